"""Manifests as a registry reads them (OCI image-spec, manifest.md and image-index.md): what they are, what they name.

The bytes are the manifest. What is read here is never written back, so nothing is lost of fields unknown to us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from registry.oci import documents, media_types
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SIZE = 4 * 1024 * 1024
"""Bytes of the largest manifest that is accepted (OCI distribution-spec, "Pushing manifests")."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content (OCI image-spec, descriptor.md); `size` in bytes as the manifest claims it."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    platform: Mapping[str, object] = field(default_factory=dict)

    @property
    def may_be_absent(self) -> bool:
        """Whether a layer described so need not be stored: its type is not for distribution, and its `urls` have it."""
        return bool(self.urls) and self.media_type in media_types.NON_DISTRIBUTABLE


Kind = Literal["config", "blob", "foreign", "manifest", "entry"]
"""What a manifest says that the content is which it names.

"blob" is a layer of an image, or a blob of an artifact; "foreign" is such a layer that may be absent. "entry" is an
entry of an index whose type is not known here: a manifest, or a blob (build caches are indexes of layers). It is also
what only some clients find in a stored manifest.
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a registry must know of a manifest."""

    content: bytes
    media_type: str
    config: Descriptor | None = None
    blobs: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Descriptor, ...] = ()
    """What a client may find named that reads the document in another way; only a stored manifest has any."""
    other_subjects: tuple[Descriptor, ...] = ()
    """The same of its subject."""

    @property
    def subjects(self) -> tuple[Descriptor, ...]:
        """What clients take for the subject: at most one, except in a stored manifest that can be read in two ways."""
        return (self.subject, *self.other_subjects) if self.subject else self.other_subjects

    def references(self) -> Iterator[tuple[Kind, Descriptor]]:
        """Yield what this manifest leads to: a client that has the manifest asks for the rest.

        The subject is not among it. A manifest may name a subject that is not stored, and to keep or to copy a
        manifest does not mean to keep or to copy its subject; it is the subject that leads to its referrers.
        """
        if self.config:
            yield "config", self.config
        for blob in self.blobs:
            yield ("foreign" if blob.may_be_absent else "blob"), blob
        for entry in self.manifests:
            yield ("manifest" if entry.media_type in media_types.MANIFESTS else "entry"), entry
        for other in self.others:
            yield "entry", other

    def count(self) -> int:
        """Return how many descriptors and URLs the manifest has."""
        named = [*self.blobs, *self.manifests, *(each for each in (self.config, self.subject) if each)]
        return len(named) + sum(len(each.urls) for each in named)

    def listed_as(self, digest: Digest) -> dict[str, object]:
        """Return the descriptor that stands for this manifest in a list of referrers ("Listing Referrers")."""
        described: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(digest),
            "size": len(self.content),
        }
        if self.artifact_type:
            described["artifactType"] = self.artifact_type
        if self.annotations:
            described["annotations"] = dict(self.annotations)
        return described


_LIMIT: Final = 1 << 63
"""What is greater than an integer of 64 bits, which clients read numbers into."""

_VERSION: Final = 2
"""The schemaVersion of images and indexes, which both specifications fix."""
_VERSIONED: Final = media_types.IMAGES | media_types.INDEXES

_UNUSED_KEYS: Final = {
    **dict.fromkeys(media_types.INDEXES, ("config", "layers")),
    **dict.fromkeys(media_types.IMAGES, ("manifests",)),
    media_types.OCI_ARTIFACT: ("config", "layers", "manifests"),
}
"""Keys that would make a document of one media type a manifest of another."""

DOCUMENT_NAMES: Final = documents.Names(
    *("schemaVersion", "mediaType", "artifactType", "annotations"),
    *("config", "layers", "blobs", "manifests", "subject"),
)
DESCRIPTOR_NAMES: Final = documents.Names(
    *("mediaType", "digest", "size", "urls", "platform"),
    *("annotations", "artifactType", "data"),
)
PLATFORM_NAMES: Final = documents.Names("architecture", "os", "os.version", "os.features", "variant", "features")
_PLATFORM_LISTS: Final = frozenset(("os.features", "features"))
_PLAIN_DESCRIPTOR: Final = frozenset(("mediaType", "digest", "size"))
_BASE64: Final = re.compile("[A-Za-z0-9+/]*+={0,2}")
_LINE_BREAK: Final = re.compile("[\r\n]")
_UNREAD: Final = frozenset(("annotations", "artifactType", "data"))


def parse_manifest(content: bytes, declared_type: str | None = None) -> Manifest:
    """Read a manifest that is to be published; registry.oci.stored reads one that is.

    `declared_type` is the media type it was pushed as; without one the content alone decides, as it does for the Go
    registry: its ``mediaType``, else an index if it lists ``manifests``. Keys are matched as clients written in Go do
    it, whatever their case, and null is "not given".

    Raises:
        ManifestInvalidError: it is not a JSON object, contradicts its type, has a malformed descriptor, or can be read
            as something else by another client.
    """
    document = _object(documents.decode(content))
    _refuse_schema1(document, declared_type)
    media_type = _media_type(document, declared_type)
    _check_version(document.get("schemaVersion"), media_type)
    _check_shape(document, media_type)
    config = _optional_descriptor(document, "config")
    return Manifest(
        content=content,
        media_type=media_type,
        config=config,
        blobs=_descriptors(document, "layers") + _descriptors(document, "blobs"),
        manifests=_descriptors(document, "manifests"),
        subject=_optional_descriptor(document, "subject"),
        artifact_type=artifact_type(_text(document, "artifactType"), media_type, config),
        annotations=_annotations(document),
    )


def is_publishable_type(media_type: str) -> bool:
    """Tell whether a manifest may be sent with this Content-Type: a browser shown text/html would run what is in it."""
    return media_types.is_media_type(media_type) and media_type.lower().startswith("application/")


def artifact_type(stated: str, media_type: str, config: Descriptor | None) -> str:
    """Return the type that a manifest has in a list of referrers ("Listing Referrers"), or "" if it has none."""
    if stated or media_type in media_types.INDEXES or config is None:
        return stated
    return config.media_type


def _object(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise ManifestInvalidError("the manifest is not a JSON object")
    return documents.members(document, DOCUMENT_NAMES, "the manifest")


def _check_version(version: object, media_type: str) -> None:
    # Clients written in Go read it into an integer: 2.0 is none.
    if version is not None and (type(version) is not int or not -_LIMIT <= version < _LIMIT):
        raise ManifestInvalidError("schemaVersion must be an integer")
    if media_type in _VERSIONED and version != _VERSION:
        raise ManifestInvalidError("schemaVersion must be 2")


def _refuse_schema1(document: Mapping[str, Any], declared_type: str | None) -> None:
    """Refuse Docker's first manifests by name, whatever else contradicts: their documents do not state a type."""
    stated = document.get("mediaType")
    types = [each.lower() for each in (stated, declared_type) if isinstance(each, str)]
    if any(each in media_types.SCHEMA1 for each in types) or (not stated and document.get("schemaVersion") == 1):
        raise ManifestInvalidError("schema 1 manifests are not supported; push the image with a current client")


def _media_type(document: Mapping[str, Any], declared_type: str | None) -> str:
    stated = _text(document, "mediaType")
    if stated and not is_publishable_type(stated):
        raise ManifestInvalidError("mediaType is not a media type of the application tree", stated[:256])
    inferred = stated or (media_types.OCI_INDEX if document.get("manifests") is not None else media_types.OCI_MANIFEST)
    # Docker's types must be stated, or the manifest would come back from storage as an OCI one.
    if declared_type is not None and declared_type.lower() != inferred.lower():
        raise ManifestInvalidError(
            f"the manifest is of type {inferred}, but was pushed with Content-Type {declared_type[:256]}",
        )
    # Clients compare it exactly, or in any case, and would take the manifest for an unknown thing, or for this one.
    if inferred not in media_types.MANIFESTS and inferred.lower() in media_types.MANIFESTS:
        raise ManifestInvalidError(f"mediaType must be spelled {inferred.lower()}")
    return inferred


def _check_shape(document: Mapping[str, Any], media_type: str) -> None:
    """Refuse a document that two readers could take for different things (CVE-2021-41190)."""
    foreign = [key for key in _UNUSED_KEYS.get(media_type, ()) if document.get(key) is not None]
    if foreign:
        raise ManifestInvalidError(f"a manifest of type {media_type} must not have {' or '.join(foreign)}")
    if media_type in media_types.IMAGES and document.get("config") is None:
        raise ManifestInvalidError("the manifest has no config")


def _descriptors(document: Mapping[str, Any], key: str) -> tuple[Descriptor, ...]:
    listed = document.get(key)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise ManifestInvalidError(f"{key} must be a list")
    return tuple(_descriptor(item, f"{key}[{position}]") for position, item in enumerate(listed))


def _optional_descriptor(document: Mapping[str, Any], key: str) -> Descriptor | None:
    described = document.get(key)
    return None if described is None else _descriptor(described, key)


def _descriptor(described: object, where: str) -> Descriptor:
    if not isinstance(described, dict):
        raise ManifestInvalidError(f"{where} must be a descriptor")
    urls: tuple[str, ...] = ()
    platform: Mapping[str, object] = {}
    if type(described) is not dict or not described.keys() <= _PLAIN_DESCRIPTOR:
        described = documents.members(described, DESCRIPTOR_NAMES, where)
        urls, platform = _texts(described, "urls", where), _platform(described, where)
        if described.keys() & _UNREAD:
            _check_unread(described, where)
    media_type, digest, size = described.get("mediaType"), described.get("digest"), described.get("size")
    if size is None:
        size = 0
    if not (media_type is None or isinstance(media_type, str)) or not isinstance(digest, str):
        raise ManifestInvalidError(f"{where}: mediaType and digest must be strings")
    if type(size) is not int or not 0 <= size < _LIMIT:
        raise ManifestInvalidError(f"{where}: size must be a number of bytes")
    try:
        return Descriptor(media_type or "", Digest.parse(digest), size, urls, platform)
    except DigestInvalidError as error:
        raise ManifestInvalidError(f"{where}: {error.message}", error.detail) from None


def _platform(described: Mapping[str, Any], where: str) -> Mapping[str, object]:
    platform = described.get("platform")
    if platform is None:
        return {}
    if not isinstance(platform, dict):
        raise ManifestInvalidError(f"{where}: platform must be an object")
    platform = documents.members(platform, PLATFORM_NAMES, f"{where}: platform")
    for name, value in platform.items():
        if name in _PLATFORM_LISTS:
            _texts(platform, name, f"{where}: platform")
        elif not isinstance(value, str):
            _text(platform, name, f"{where}: platform: ")
    if None in platform.values():
        return {name: value for name, value in platform.items() if value is not None}
    return platform


def _check_unread(described: Mapping[str, Any], where: str) -> None:
    """Refuse what this registry does not read and clients do: those written in Go fail if it is of another type."""
    _text(described, "artifactType", f"{where}: ")
    # Go skips line breaks in it.
    data = _LINE_BREAK.sub("", _text(described, "data", f"{where}: "))
    if len(data) % 4 or not _BASE64.fullmatch(data):
        raise ManifestInvalidError(f"{where}: data must be base64 with its padding (RFC 4648 section 4)")
    _annotations(described, f"{where}: ")


def _text(document: Mapping[str, Any], key: str, where: str = "") -> str:
    text = document.get(key)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ManifestInvalidError(f"{where}{key} must be a string")
    return text


def _texts(document: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Return a list of strings; null in it is an empty one, as it is to Go."""
    texts = document.get(key)
    if texts is None:
        return ()
    if not isinstance(texts, list) or not all(isinstance(text, str) or text is None for text in texts):
        raise ManifestInvalidError(f"{where}: {key} must be a list of strings")
    return tuple(text or "" for text in texts)


def _annotations(document: Mapping[str, Any], where: str = "") -> Mapping[str, str]:
    annotations = document.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(
        isinstance(value, str) or value is None for value in annotations.values()
    ):
        raise ManifestInvalidError(f"{where}annotations must map strings to strings")
    if isinstance(annotations, documents.Ambiguous):
        documents.refuse_repeated(annotations.repeated, f"{where}annotations")
    return {key: value or "" for key, value in annotations.items()} if None in annotations.values() else annotations
