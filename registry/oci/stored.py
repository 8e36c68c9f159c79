"""Manifests that are stored already, by whatever registry: read as clients written in Go read them, and not refused.

The Go registry takes what registry.oci.manifest does not let in: null for any value, a size of -1, text in Latin-1,
several keys that are one to it. All of it is served as it is, and leads to whatever any client finds named in it.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from registry.oci import documents, media_types
from registry.oci.digest import Digest
from registry.oci.documents import Object
from registry.oci.errors import DigestInvalidError, ManifestInvalidError
from registry.oci.manifest import (
    DESCRIPTOR_NAMES,
    DOCUMENT_NAMES,
    PLATFORM_NAMES,
    Descriptor,
    Manifest,
    artifact_type,
    is_publishable_type,
    parse_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SIGNED_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
_EMPTIED_BY_NULL: Final = frozenset(
    ("layers", "blobs", "manifests", "subject", "annotations", "urls", "platform"),
)
"""Members that Go reads into a list, a map or a pointer; null leaves text, numbers and structs as they are."""


def read_stored(content: bytes) -> Manifest:
    """Return a stored manifest, with all that is read in it.

    Raises:
        ManifestInvalidError: it is not a JSON object, or is of schema 1, whose layers are not read.
    """
    try:
        return parse_manifest(content)
    except ManifestInvalidError:
        return _read_as_go(content)


def stored_media_type(content: bytes) -> str:
    """Return the Content-Type with which a stored manifest is served: what the Go registry serves, with the same one.

    Raises:
        ManifestInvalidError: it is not a JSON object.
    """
    document = _as_go(_object(content), DOCUMENT_NAMES)
    return _SIGNED_SCHEMA1 if _is_schema1(document) else _media_type(document)


def _read_as_go(content: bytes) -> Manifest:
    whole = _object(content)
    document = _as_go(whole, DOCUMENT_NAMES)
    if _is_schema1(document):
        raise ManifestInvalidError(
            "the layers of schema 1 manifests are not read; push the image with a current client"
        )
    media_type = _media_type(document)
    config = next(_descriptors([document.get("config")]), None)
    subject = next(_descriptors([document.get("subject")]), None)
    blobs = (*_descriptors(document.get("layers")), *_descriptors(document.get("blobs")))
    manifests = tuple(_descriptors(document.get("manifests")))
    subjects = [value for key, value in whole if documents.spelling(key) == "subject"]
    rest = [value for key, value in whole if documents.spelling(key) != "subject"]
    return Manifest(
        content=content,
        media_type=media_type,
        config=config,
        blobs=blobs,
        manifests=manifests,
        subject=subject,
        artifact_type=artifact_type(_text(document.get("artifactType")), media_type, config),
        annotations=_annotations(document.get("annotations")),
        others=_others(rest, (config, *blobs, *manifests)),
        other_subjects=_others(subjects, (subject,)),
    )


def _object(content: bytes) -> Object:
    document = documents.decode_stored(content)
    if not isinstance(document, Object):
        raise ManifestInvalidError("the manifest is not a JSON object")
    return document


def _as_go(value: Any, names: documents.Names) -> dict[str, Any]:
    """Return what Go finds in `value` for a struct with fields called `names`: nothing if it is not an object."""
    found: dict[str, Any] = {}
    for key, member in value if isinstance(value, Object) else ():
        name = names.find(key)
        if name is None:
            continue
        if member is None and name in _EMPTIED_BY_NULL:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), member)
    return found


def _merged(old: Any, new: Any) -> Any:
    """Return what Go has after it has read `new` into a field in which it has read `old`, which may be changed."""
    if _is_list(old) and _is_list(new):
        return [_merged_item(*each) for each in zip_longest(old[: len(new)], new)]
    return _merged_item(old, new)


def _merged_item(old: Any, new: Any) -> Any:
    if isinstance(old, Object) and isinstance(new, Object):
        old.extend(new)
        return old
    return old if new is None else new


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, Object)


def _is_schema1(document: Mapping[str, Any]) -> bool:
    stated = _text(document.get("mediaType"))
    return document.get("schemaVersion") == 1 and (not stated or stated in media_types.SCHEMA1)


def _media_type(document: Mapping[str, Any]) -> str:
    stated = _text(document.get("mediaType"))
    if is_publishable_type(stated):
        return stated
    return media_types.OCI_INDEX if document.get("manifests") is not None else media_types.OCI_MANIFEST


def _descriptors(listed: Any) -> Iterator[Descriptor]:
    """Yield the descriptors in a list that name anything."""
    for each in listed if _is_list(listed) else ():
        described = _as_go(each, DESCRIPTOR_NAMES)
        try:
            digest = Digest.parse(_text(described.get("digest")))
        except DigestInvalidError:
            continue
        size, urls = described.get("size"), described.get("urls") or []
        yield Descriptor(
            media_type=_text(described.get("mediaType")),
            digest=digest,
            size=size if type(size) is int else 0,
            urls=tuple(map(_text, urls)) if _is_list(urls) else (),
            platform=_as_go(described.get("platform"), PLATFORM_NAMES),
        )


def _others(values: list[Any], read: Iterable[Descriptor | None]) -> tuple[Descriptor, ...]:
    """Return a descriptor for each digest that a member of this name has in `values` and that is not `read`."""
    known = {each.digest for each in read if each}
    return tuple(Descriptor("", digest, 0) for digest in dict.fromkeys(_named(values)) if digest not in known)


def _named(values: list[Any]) -> Iterator[Digest]:
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Object):
            for key, member in value:
                if isinstance(member, list):
                    waiting.append(member)
                elif isinstance(member, str) and documents.spelling(key) == "digest":
                    yield from _parsed(member)
        elif isinstance(value, list):
            waiting += [each for each in value if isinstance(each, list)]


def _parsed(text: str) -> Iterator[Digest]:
    with suppress(DigestInvalidError):
        yield Digest.parse(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _annotations(value: Any) -> dict[str, str]:
    return {key: _text(text) for key, text in value} if isinstance(value, Object) else {}
