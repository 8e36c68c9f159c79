"""Manifests as a registry reads them (OCI image-spec, manifest.md and image-index.md): what they are, what they name.

The bytes are the manifest. What is read here is never written back, so nothing is lost of fields unknown to us.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from registry.oci import media_types
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
entry of an index whose type is not known here: a manifest, or a blob (build caches are indexes of layers).
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


def parse_manifest(content: bytes, declared_type: str | None = None) -> Manifest:
    """Read a manifest.

    `declared_type` is the media type it was pushed as; without one (when reading from storage) the content
    alone decides, as it does for the Go registry: its ``mediaType``, else an index if it lists ``manifests``.

    Raises:
        ManifestInvalidError: it is not a JSON object, contradicts its type, or has a malformed descriptor.
    """
    document = _load(content)
    _refuse_schema1(document, declared_type)
    media_type = _media_type(document, declared_type)
    if media_type in media_types.IMAGES | media_types.INDEXES and document.get("schemaVersion") != 2:  # noqa: PLR2004 the version that both specifications fix
        raise ManifestInvalidError("schemaVersion must be 2")
    _check_shape(document, media_type)
    config = _optional_descriptor(document, "config")
    return Manifest(
        content=content,
        media_type=media_type,
        config=config,
        blobs=_descriptors(document, "layers") + _descriptors(document, "blobs"),
        manifests=_descriptors(document, "manifests"),
        subject=_optional_descriptor(document, "subject"),
        artifact_type=_artifact_type(document, media_type, config),
        annotations=_annotations(document),
    )


def _load(content: bytes) -> dict[str, Any]:
    try:
        # Only what every parser takes alike: given bytes, Python's would also take UTF-16, and NaN for a number.
        document = _DECODER.decode(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ManifestInvalidError("the manifest is not valid JSON", str(error)) from None
    if not isinstance(document, dict):
        raise ManifestInvalidError("the manifest is not a JSON object")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _refuse_schema1(document: Mapping[str, Any], declared_type: str | None) -> None:
    """Refuse Docker's first manifests by name, whatever else contradicts: their documents do not state a type."""
    stated = document.get("mediaType")
    types = [each.lower() for each in (stated, declared_type) if isinstance(each, str)]
    if any(each in media_types.SCHEMA1 for each in types) or (not stated and document.get("schemaVersion") == 1):
        raise ManifestInvalidError("schema 1 manifests are not supported; push the image with a current client")


def _media_type(document: Mapping[str, Any], declared_type: str | None) -> str:
    stated = document.get("mediaType", "")
    if not isinstance(stated, str):
        raise ManifestInvalidError("mediaType must be a string")
    # A browser shown a manifest as text/html would run what is in it.
    if stated and not (media_types.is_media_type(stated) and stated.lower().startswith("application/")):
        raise ManifestInvalidError("mediaType is not a media type of the application tree", stated[:256])
    inferred = stated or (media_types.OCI_INDEX if document.get("manifests") is not None else media_types.OCI_MANIFEST)
    # Docker's types must be stated, or the manifest would come back from storage as an OCI one.
    if declared_type is not None and declared_type.lower() != inferred.lower():
        raise ManifestInvalidError(
            f"the manifest is of type {inferred}, but was pushed with Content-Type {declared_type[:256]}",
        )
    return inferred


def _check_shape(document: Mapping[str, Any], media_type: str) -> None:
    """Refuse a document that two readers could take for different things (CVE-2021-41190)."""
    if media_type in media_types.INDEXES:
        foreign = [key for key in ("config", "layers") if document.get(key) is not None]
    elif media_type in media_types.IMAGES:
        foreign = [key for key in ("manifests",) if document.get(key) is not None]
        if document.get("config") is None:
            raise ManifestInvalidError("the manifest has no config")
    else:
        foreign = []
    if foreign:
        raise ManifestInvalidError(f"a manifest of type {media_type} must not have {' or '.join(foreign)}")


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
    media_type, digest, size = (
        described.get("mediaType", ""),
        described.get("digest", ""),
        described.get("size", 0),
    )
    if not isinstance(media_type, str) or not isinstance(digest, str):
        raise ManifestInvalidError(f"{where}: mediaType and digest must be strings")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestInvalidError(f"{where}: size must be a number of bytes")
    urls, platform = described.get("urls") or (), described.get("platform") or {}
    if urls and not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)):
        raise ManifestInvalidError(f"{where}: urls must be a list of strings")
    if not isinstance(platform, dict):
        raise ManifestInvalidError(f"{where}: platform must be an object")
    try:
        return Descriptor(media_type, Digest.parse(digest), size, tuple(urls), platform)
    except DigestInvalidError as error:
        raise ManifestInvalidError(f"{where}: {error.message}", error.detail) from None


def _artifact_type(document: Mapping[str, Any], media_type: str, config: Descriptor | None) -> str:
    stated = document.get("artifactType", "")
    if not isinstance(stated, str):
        raise ManifestInvalidError("artifactType must be a string")
    if stated or media_type in media_types.INDEXES or config is None:
        return stated
    return config.media_type


def _annotations(document: Mapping[str, Any]) -> Mapping[str, str]:
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise ManifestInvalidError("annotations must map strings to strings")
    return annotations
