"""What stored manifests lead to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.lifecycle.tables import pack, packed_length
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE
from registry.oci.stored import read_stored
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drivers.base import StorageDriver
    from registry.oci.manifest import Manifest

INDEX: Final = "index"
IMAGE: Final = "image"
MANIFEST: Final = "manifest"

_MEDIA: Final = {INDEX: b"i", IMAGE: b"m", MANIFEST: b"?"}
_KINDS: Final = {"config": b"c", "blob": b"b", "foreign": b"f", "manifest": b"m", "entry": b"e"}
_SUBJECT: Final = b"s"
_MEDIA_OF: Final = {code: media for media, code in _MEDIA.items()}
_KIND_OF: Final = {code: kind for kind, code in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class References:
    """What a manifest leads to, each a packed digest (registry.lifecycle.tables), and what it says that it is.

    `media` is INDEX, IMAGE or MANIFEST. A `problem` is why nobody can tell what it leads to: it cannot be read, or
    is missing.
    """

    media: str = MANIFEST
    children: Mapping[bytes, str] = field(default_factory=dict)
    """Each with its kind, see registry.oci.manifest.Kind."""
    subjects: tuple[bytes, ...] = ()
    problem: str | None = None

    def dump(self) -> bytes:
        """Return what load() makes these of; a manifest that cannot be read has nothing to remember."""
        children = b"".join(_KINDS[kind] + child for child, kind in self.children.items())
        return _MEDIA[self.media] + children + b"".join(_SUBJECT + subject for subject in self.subjects)

    @staticmethod
    def load(dumped: bytes) -> References:
        """Return the references of which dump() has made `dumped`."""
        children: dict[bytes, str] = {}
        subjects: list[bytes] = []
        position = 1
        while position < len(dumped):
            code, begin = dumped[position : position + 1], position + 1
            position = begin + packed_length(dumped[begin])
            packed = dumped[begin:position]
            if code == _SUBJECT:
                subjects.append(packed)
            else:
                children[packed] = _KIND_OF[code]
        return References(_MEDIA_OF[dumped[:1]], children, tuple(subjects))


def read_references(driver: StorageDriver, digests: Sequence[Digest]) -> Iterator[References]:
    """Yield for each of `digests`, under which bytes of a manifest may lie, what it leads to."""
    data_paths = [paths.blob_data(digest) for digest in digests]
    for digest, content in zip(digests, driver.get_each(data_paths, limit=MAX_SIZE), strict=True):
        yield _absent(driver, digest) if content is None else _references(content, digest)


def _absent(driver: StorageDriver, digest: Digest) -> References:
    try:
        size = driver.stat(paths.blob_data(digest)).size
    except PathNotFoundError:
        return References(problem="its bytes are missing")
    return References(problem=f"it has {size} bytes, more than a manifest may have")


def _references(content: bytes, digest: Digest) -> References:
    if Digest.of(content, digest.algorithm) != digest:
        # A torn write of another registry, or a damaged disk.
        return References(problem="its bytes do not have its digest")
    try:
        manifest = read_stored(content)
    except ManifestInvalidError as error:
        return References(problem=error.message)
    return References(
        _media(manifest),
        {pack(descriptor.digest): kind for kind, descriptor in manifest.references()},
        tuple({pack(subject.digest) for subject in manifest.subjects}),
    )


def _media(manifest: Manifest) -> str:
    if manifest.media_type in media_types.INDEXES:
        return INDEX
    return IMAGE if manifest.media_type in media_types.IMAGES else MANIFEST
