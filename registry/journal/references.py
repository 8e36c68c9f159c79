"""The descriptors in a manifest, as the Go registry names them in its events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from registry.oci import media_types
from registry.oci.documents import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.oci.manifest import Manifest

_DOCUMENT: Final = Names("config", "layers", "blobs", "manifests")
_LISTS: Final = ("layers", "blobs", "manifests")
_DESCRIPTOR: Final = Names("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
_PLATFORM: Final = Names("architecture", "os", "os.version", "os.features", "variant")

_Typed = TypeVar("_Typed")


def references_of(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the config and the layers of an image, or the manifests of an index: none of what has no meaning there.

    Each is as the Go registry 3 writes it, whatever its spelling in the manifest: the members of ``v1.Descriptor`` in
    their order, media type, digest and size always, others if they are not empty. In a Docker list each has a platform.
    """
    try:
        document = _members(json.loads(manifest.content), _DOCUMENT)
    except (ValueError, RecursionError):  # what no client can read names nothing
        return []
    listed = [document.get("config")]
    for name in _LISTS:
        several = document.get(name)
        listed += several if isinstance(several, list) else ()
    default: dict[str, Any] = {"platform": {}} if manifest.media_type == media_types.DOCKER_LIST else {}
    return [_descriptor(default | _members(each, _DESCRIPTOR)) for each in listed if isinstance(each, dict)]


def _descriptor(found: Mapping[str, Any]) -> Mapping[str, Any]:
    descriptor = {
        "mediaType": _typed(found.get("mediaType"), str),
        "digest": _typed(found.get("digest"), str),
        "size": _typed(found.get("size"), int),
    }
    if found.keys() > descriptor.keys():
        for name, read in _OPTIONAL.items():
            value = read(found.get(name))
            if value:
                descriptor[name] = value
    return descriptor


def _platform(value: object) -> Mapping[str, Any] | None:
    """Return a platform; its architecture and its operating system are never left out."""
    if not isinstance(value, dict):
        return None
    found = _members(value, _PLATFORM)
    platform: dict[str, Any] = {name: _typed(found.get(name), str) for name in ("architecture", "os")}
    others = {
        "os.version": _typed(found.get("os.version"), str),
        "os.features": _texts(found.get("os.features")),
        "variant": _typed(found.get("variant"), str),
    }
    return platform | {name: other for name, other in others.items() if other}


def _annotations(value: object) -> Mapping[str, str]:
    return {key: text or "" for key, text in sorted(_typed(value, dict).items()) if isinstance(text, str | None)}


def _texts(value: object) -> list[str]:
    """Return the texts of a list; null is an empty one."""
    return [each or "" for each in _typed(value, list) if isinstance(each, str | None)]


def _text(value: object) -> str:
    return _typed(value, str)


def _base64(value: object) -> str:
    """Return the text without line breaks, which Go reads over."""
    return "".join(_typed(value, str).split())


_OPTIONAL: Final[Mapping[str, Callable[[object], Any]]] = {
    "urls": _texts,
    "annotations": _annotations,
    "data": _base64,
    "platform": _platform,
    "artifactType": _text,
}


def _members(value: object, names: Names) -> dict[str, Any]:
    """Return the members of an object that Go takes for those called `names`, under these names."""
    if not isinstance(value, dict) or value.keys() <= names.exact:
        return _typed(value, dict)
    return {name: member for key, member in value.items() if (name := names.find(key))}


def _typed(value: object, kind: type[_Typed]) -> _Typed:
    """Return `value`, or what is empty of its kind if it is of another kind."""
    return value if type(value) is kind else kind()
