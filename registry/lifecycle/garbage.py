"""A garbage collection: mark what is to be kept, then delete the rest.

Breaking off leaves nothing that leads nowhere. Nobody may push meanwhile, as with the Go registry's. What this one does
better: signatures stay with their image, what was pushed by sha512 stays, no repository loses what another one keeps,
and what is young stays, in case somebody pushes after all.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.lifecycle.marking import Marker, modified
from registry.lifecycle.sets import Sets
from registry.oci.errors import BlobUnknownError
from registry.storage import enumeration, paths
from registry.storage.links import read_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.ports import Repositories, Repository
    from registry.publishing import Publishing


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

    `repositories` are those that `driver` stores. `tell` is given the lines that the Go registry prints. A dry run
    deletes nothing.
    """

    def __init__(  # noqa: PLR0913 - what it works on, and how
        self,
        driver: StorageDriver,
        repositories: Repositories,
        publishing: Publishing,
        tell: Callable[[str], None],
        *,
        cutoff: float,
        dry_run: bool = False,
    ) -> None:
        self._driver = driver
        self._repositories = repositories
        self._publishing = publishing
        self._tell = tell
        self._cutoff = cutoff
        self._dry_run = dry_run

    def run(self, *, only_tagged: bool) -> Collected:
        """Keep what tags lead to or, unless `only_tagged`, what any manifest leads to; return what went.

        Raises:
            drivers.base.DriverError: the storage failed; what is to be kept is untouched.
        """
        with Sets() as sets:
            marker = Marker(self._driver, sets, self._tell, self._cutoff)
            for name in self._repositories.catalog.linking():
                marker.mark(self._repositories.open(name), only_tagged=only_tagged)
            for name, digest in sets.unreferenced_manifests():
                self._tell(f"manifest eligible for deletion: {{{name} {digest} [{' '.join(sets.tags(name, digest))}]}}")
            young_blobs, young_size = self._note_unreferenced_blobs(sets)
            self._tell(
                f"\n{sets.marked()} blobs marked, {sets.blobs()} blobs and {sets.manifests()} manifests"
                " eligible for deletion"
            )
            self._delete_manifests(sets)
            self._delete_links(sets)
            return Collected(sets.manifests(), sets.blobs(), self._delete_blobs(sets), young_blobs, young_size)

    def _note_unreferenced_blobs(self, sets: Sets) -> tuple[int, int]:
        """Note the blobs that are not marked; return how many would be, but for their age, and their size."""
        young, young_size = 0, 0
        for blob in enumeration.blobs(self._driver):
            if sets.is_marked(blob.digest):
                is_young = sets.is_only_young(blob.digest)
            else:
                written = modified(self._driver, paths.blob_data(blob.digest))
                is_young = written is None or written >= self._cutoff
                if not is_young:
                    sets.add_unreferenced_blob(blob.digest, blob.size)
            if is_young:
                young, young_size = young + 1, young_size + blob.size
        return young, young_size

    def _delete_manifests(self, sets: Sets) -> None:
        for name, digest in sets.unreferenced_manifests():
            for tag in sets.tags(name, digest):
                self._delete(paths.tag_history_link(name, tag, digest))
            if not self._dry_run:
                self._publishing.remove_untagged_manifest(self._repositories.open(name), digest)

    def _delete_links(self, sets: Sets) -> None:
        for name in self._repositories.catalog.linking():
            repository = self._repositories.open(name)
            for digest in enumeration.layers(self._driver, name):
                target = read_link(self._driver, paths.layer_link(name, digest))
                if target and not sets.is_marked(target) and not sets.is_marked(digest):
                    self._tell(f"{name}: layer link eligible for deletion: {digest}")
                    self._remove_blob(repository, digest)

    def _remove_blob(self, repository: Repository, digest: Digest) -> None:
        if not self._dry_run:
            with suppress(BlobUnknownError):
                self._publishing.remove_blob(repository, digest)

    def _delete_blobs(self, sets: Sets) -> int:
        size = 0
        for digest, length in sets.unreferenced_blobs():
            self._tell(f"blob eligible for deletion: {digest}")
            self._delete(paths.blob_data(digest))
            size += length
        return size

    def _delete(self, path: str) -> None:
        if not self._dry_run:
            with suppress(PathNotFoundError):
                self._driver.delete(path)
