"""An image fetched as a whole, before a client asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.found_digests import FoundDigests
from registry.oci.errors import BlobUnknownError, ManifestUnknownError, RegistryError, UpstreamError
from registry.oci.reference import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Manifest
    from registry.ports import Repository

_PAGE: Final = 100


@dataclass(slots=True)
class Whole:
    """What an image consists of, in numbers; `fetched` are the bytes of blobs that were not here."""

    manifests: int = 0
    blobs: int = 0
    fetched: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of an image, what is for one of `platforms`, each as in ``linux/arm64`` or ``linux/arm64/v8``, or all of it.

    With `referrers`, its signatures, too, and what else names it as its subject.
    """

    platforms: Collection[str] = ()
    referrers: bool = False

    def includes(self, platform: Mapping[str, object]) -> bool:
        """Tell whether an entry of an index is wanted that is for `platform`."""
        if not self.platforms or not platform:
            return True
        parts = [str(platform.get(name) or "") for name in ("os", "architecture", "variant")]
        return bool({"/".join(parts), "/".join(parts[:2])} & set(self.platforms))


def fetch_image(
    repository: Repository,
    kept: Repository,
    reference: Tag | Digest,
    wanted: Wanted,
    progress: Callable[[int, str], object] = lambda _size, _what: None,
) -> Whole:
    """Have all of an image fetched that `repository`, which is cached, does not have; `kept` is what of it is here.

    `progress` is told bytes as they come, and of what.

    Raises:
        ManifestUnknownError: there is no such image, or none for any of the platforms.
        UpstreamError, DriverError: it cannot be fetched.
    """
    whole = Whole()
    root = repository.tags.serve(reference) if isinstance(reference, Tag) else reference
    with FoundDigests() as manifests, FoundDigests() as blobs:
        manifests.add(root)
        for digest in manifests.follow():
            whole.manifests += 1
            progress(len(repository.manifests.serve(digest).content), str(digest))
            _follow(repository, digest, wanted, manifests, blobs)
            if wanted.referrers:
                manifests.add_all(_referrers(repository, digest))
        for digest, _ in blobs.all():
            whole.blobs += 1
            if not kept.blobs.has(digest):
                whole.fetched += _fetch(repository, digest, progress)
    return whole


def _follow(
    repository: Repository, digest: Digest, wanted: Wanted, manifests: FoundDigests, blobs: FoundDigests
) -> None:
    """Note what a manifest leads to; nothing if it cannot be read, as one of schema 1."""
    try:
        manifest = repository.manifests.get(digest)
    except ManifestUnknownError:
        return
    entries = [*_entries(manifest)]
    chosen = [each for _, each in entries if wanted.includes(each.platform)]
    if entries and not chosen:
        raise ManifestUnknownError(f"{digest} has no image for {' or '.join(sorted(wanted.platforms))}")
    manifests.add_all(each.digest for kind, each in entries if kind == "manifest" and each in chosen)
    for kind, each in manifest.references():
        if kind in {"config", "blob"} or (kind == "entry" and each in chosen):
            blobs.add(each.digest)


def _entries(manifest: Manifest) -> Iterator[tuple[str, Descriptor]]:
    return ((kind, each) for kind, each in manifest.references() if kind in {"manifest", "entry"})


def _referrers(repository: Repository, subject: Digest) -> Iterator[Digest]:
    last: Digest | None = None
    while True:
        try:
            page = repository.referrers.page(subject, after=last, limit=_PAGE)
        except UpstreamError:
            raise
        except RegistryError:  # the upstream has no such lists
            return
        for each in page.referrers:
            yield each.digest
        last = page.last
        if last is None:
            return


def _fetch(repository: Repository, digest: Digest, progress: Callable[[int, str], object]) -> int:
    """Read a blob to its end, which has it kept; return how many bytes that were."""
    blob = repository.blobs.serve(digest)
    fetched = 0
    for piece in repository.blobs.read(blob, 0, blob.size):
        fetched += len(piece)
        progress(len(piece), str(digest))
    if fetched != blob.size:
        raise BlobUnknownError("the blob ended early", str(digest))
    return fetched
