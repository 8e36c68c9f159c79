"""A garbage collection while nobody pushes, as the Go registry's: mark what is to be kept, then delete the rest.

Breaking off leaves nothing that leads nowhere. What this one does better: signatures stay with their image, what was
pushed by sha512 stays, no repository loses what another one keeps, and what is young stays, in case somebody pushes
after all.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.lifecycle.findings import Findings, Policy
from registry.lifecycle.restoring import restore
from registry.lifecycle.scan import scan, silent
from registry.oci.errors import BlobUnknownError, ManifestUnknownError
from registry.storage import paths
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drivers.base import Found, StorageDriver
    from registry.lifecycle.cache import Cache
    from registry.oci.digest import Digest
    from registry.ports import Repositories, Repository
    from registry.publishing import Publishing
    from registry.storage.links import FoundLink


class MissingPartError(Exception):
    """A part of the storage seems not to be mounted, see Findings.missing_part(): to go on is probably a mistake."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or in a dry run would have been; sizes in bytes."""

    manifests: int
    blobs: int
    size: int
    young_blobs: int
    """How many blobs were kept for no other reason than that they are young, or what leads to them is."""
    young_size: int


class GarbageCollection:
    """Deletes what nothing leads to and was written before `cutoff`, in seconds since the epoch.

    `repositories` are those that `driver` stores. `tell` is given the lines that the Go registry prints, and
    `progress` what is being looked at; None where nobody wants to know. A dry run deletes nothing. `force` and `cache`
    are as MissingPartError and scan() say.
    """

    def __init__(  # noqa: PLR0913 - what it works on, and how
        self,
        driver: StorageDriver,
        repositories: Repositories,
        publishing: Publishing,
        tell: Callable[[str], None] | None,
        *,
        cutoff: float,
        dry_run: bool = False,
        force: bool = False,
        progress: Callable[[str], None] = silent,
        cache: Cache | None = None,
    ) -> None:
        self._driver = driver
        self._repositories = repositories
        self._publishing = publishing
        self._tell = tell or silent
        self._is_verbose = tell is not None
        self._cutoff = cutoff
        self._dry_run = dry_run
        self._force = force
        self._progress = progress
        self._cache = cache

    def run(self, *, only_tagged: bool) -> Collected:
        """Keep what tags lead to or, unless `only_tagged`, what any manifest leads to; return what went.

        Raises:
            MissingPartError: a part of the storage seems to be missing, and this is not forced.
            drivers.base.DriverError: the storage failed; what is to be kept is untouched.
        """
        with Findings() as findings:
            policy = offline_policy(self._cutoff, only_tagged=only_tagged)
            scan(self._driver, findings, policy, self._progress, cache=self._cache)
            missing = findings.missing_part()
            if missing and not self._force:
                raise MissingPartError(missing)
            if self._is_verbose:
                self._tell_marks(findings)
            counts = findings.counts()
            self._tell(
                f"\n{counts.marked} blobs marked, {counts.unreferenced_blobs} blobs and {counts.loose_revisions}"
                " manifests eligible for deletion"
            )
            if not self._dry_run:
                restore(findings, self._driver)
            for name, links in findings.condemnable():
                self._delete_links(self._repositories.open(name), links, findings)
            size = self._delete_blobs(findings)
            self._delete_condemned(findings)
            return Collected(
                counts.loose_revisions, counts.unreferenced_blobs, size, counts.young_blobs, counts.young_size
            )

    def _tell_marks(self, findings: Findings) -> None:
        for name in findings.repositories():
            self._tell(name)
            for digest in findings.roots(name):
                self._tell(f"{name}: marking manifest {digest} ")
            for digest in findings.marked_by(name):
                self._tell(f"{name}: marking blob {digest}")
        for name in findings.repositories():
            for digest, tags in findings.loose_revisions(name):
                self._tell(f"manifest eligible for deletion: {{{name} {digest} [{' '.join(tags)}]}}")

    def _delete_links(self, repository: Repository, links: Iterable[FoundLink], findings: Findings) -> None:
        """Delete links to manifests and layers."""
        for link in links:
            if link.kind is Kind.LAYER:
                self._tell(f"{repository.name}: layer link eligible for deletion: {link.digest}")
            if self._dry_run:
                continue
            with suppress(ManifestUnknownError, BlobUnknownError):
                if link.kind is Kind.LAYER:
                    self._publishing.remove_blob(repository, link.digest)
                else:
                    self._forget_history(repository.name, link.digest, findings)
                    self._publishing.remove_untagged_manifest(repository, link.digest)

    def _forget_history(self, name: str, digest: Digest, findings: Findings) -> None:
        for tag in findings.tags_that_pointed_to(name, digest):
            with suppress(PathNotFoundError):
                self._driver.delete(paths.tag_history_link(name, tag, digest))

    def _delete_blobs(self, findings: Findings) -> int:
        """Delete the bytes of what nothing leads to, and the links to them that were condemned; return their size."""
        size = 0
        for batch in findings.unreferenced():
            for blob in batch:
                self._tell(f"blob eligible for deletion: {blob.digest}")
            size += sum(blob.found.size for blob in batch)
            self._discard([blob.found for blob in batch])
            self._discard([link for blob in batch for link in blob.condemned])
        return size

    def _delete_condemned(self, findings: Findings) -> None:
        """Delete links that were condemned, and whose blobs stay for other repositories or have gone already."""
        for links in findings.obsolete(self._cutoff):
            self._discard(links)

    def _discard(self, found: Sequence[Found]) -> None:
        if found and not self._dry_run:
            self._driver.discard(found)


def offline_policy(cutoff: float, *, only_tagged: bool) -> Policy:
    """Return what GarbageCollection keeps."""
    return Policy(cutoff, lambda _: cutoff if only_tagged else None)
