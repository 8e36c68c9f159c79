"""The descriptors in a manifest, which the Go registry names in its events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from registry.oci import media_types
from registry.oci.manifest import DESCRIPTOR_NAMES, DOCUMENT_NAMES, PLATFORM_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.oci.documents import Names
    from registry.oci.manifest import Manifest

_PLATFORM: Final = ("architecture", "os", "os.version", "os.features", "variant")
_NEVER_LEFT_OUT: Final = frozenset(("architecture", "os"))


def references_of(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return the descriptors of an index's manifests, or of an image's config and layers.

    They are as the Go registry 3 writes them, whatever their spelling in the manifest: the members that it knows, in
    its order, those left out that are empty. In a Docker list each has a platform.
    """
    content = _members(json.loads(manifest.content), DOCUMENT_NAMES)
    named = [content.get("config")]
    for key in ("layers", "blobs", "manifests"):
        named += content.get(key) or ()
    needs_platform = manifest.media_type == media_types.DOCKER_LIST
    return [_descriptor(each, needs_platform=needs_platform) for each in named if isinstance(each, dict)]


def _descriptor(described: Mapping[str, Any], *, needs_platform: bool) -> dict[str, Any]:
    found = _members(described, DESCRIPTOR_NAMES)
    platform = found.get("platform")
    optional = {
        "urls": [url or "" for url in found.get("urls") or ()],
        "annotations": {key: value or "" for key, value in sorted((found.get("annotations") or {}).items())},
        "data": "".join((found.get("data") or "").split()),
        "platform": None if platform is None and not needs_platform else _platform(platform or {}),
        "artifactType": found.get("artifactType"),
    }
    return {
        "mediaType": found.get("mediaType") or "",
        "digest": found.get("digest") or "",
        "size": found.get("size") or 0,
        **{name: value for name, value in optional.items() if value},
    }


def _platform(described: Mapping[str, Any]) -> dict[str, Any]:
    found = _members(described, PLATFORM_NAMES)
    platform = {name: found.get(name) or "" for name in _PLATFORM}
    return {name: value for name, value in platform.items() if value or name in _NEVER_LEFT_OUT}


def _members(described: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return the members that Go takes for those called `names`: in any case, and the last one of several."""
    return {name: value for key, value in described.items() if (name := names.find(key))}
