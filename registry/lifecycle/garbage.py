"""A collection: mark, then delete what is not marked, in an order in which breaking off leaves nothing that dangles.

The Go registry's is to be run while nobody pushes, and so is this one. What it does better: signatures stay with
their image, what was pushed by sha512 stays, no repository suffers for another, and what is young stays, in case
somebody pushes after all.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.lifecycle.marking import Marker, layers, modified
from registry.lifecycle.sets import Sets
from registry.storage import paths
from registry.storage.enumeration import blobs
from registry.storage.links import read_link
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted, or in a rehearsal would have been; sizes in bytes."""

    manifests: int
    blobs: int
    size: int
    young_blobs: int
    """Blobs that nothing leads to and that were kept for their youth."""


class Collection:
    """Deletes what nothing leads to and was written before `cutoff`, in seconds since the epoch.

    `tell` is given the lines that the Go registry prints. A `rehearsal` deletes nothing.
    """

    def __init__(
        self,
        driver: StorageDriver,
        tell: Callable[[str], None],
        *,
        cutoff: float,
        rehearsal: bool = False,
    ) -> None:
        self._driver = driver
        self._repositories = Repositories(driver)
        self._tell = tell
        self._cutoff = cutoff
        self._rehearsal = rehearsal

    def run(self, *, only_tagged: bool) -> Collected:
        """Keep what tags lead to or, unless `only_tagged`, what any manifest leads to; return what went.

        Raises:
            drivers.base.DriverError: the storage failed; what is to be kept is untouched.
        """
        with Sets() as sets:
            marker = Marker(self._driver, sets, self._tell, self._cutoff)
            for name in self._repositories.catalog.linking():
                marker.mark(self._repositories.open(name), only_tagged=only_tagged)
            for name, digest in sets.condemned_manifests():
                self._tell(f"manifest eligible for deletion: {{{name} {digest} [{' '.join(sets.tags(name, digest))}]}}")
            young = self._condemn_blobs(sets)
            self._tell(
                f"\n{sets.marked()} blobs marked, {sets.blobs()} blobs and {sets.manifests()} manifests"
                " eligible for deletion"
            )
            self._delete_manifests(sets)
            self._delete_links(sets)
            return Collected(sets.manifests(), sets.blobs(), self._delete_blobs(sets), young)

    def _condemn_blobs(self, sets: Sets) -> int:
        """Note the blobs that are not marked; return how many of these are too young to go."""
        young = 0
        for blob in blobs(self._driver):
            if blob.digest is None or sets.is_marked(blob.digest):
                continue
            written = modified(self._driver, blob.path)
            if written is not None and written < self._cutoff:
                sets.condemn_blob(blob.digest, blob.size)
            else:
                young += 1
        return young

    def _delete_manifests(self, sets: Sets) -> None:
        for name, digest in sets.condemned_manifests():
            for tag in sets.tags(name, digest):
                self._delete(paths.tag_history_link(name, tag, digest))
            if not self._rehearsal:
                self._repositories.open(name).manifests.forget(digest)

    def _delete_links(self, sets: Sets) -> None:
        for name in self._repositories.catalog.linking():
            for digest in layers(self._driver, name):
                target = read_link(self._driver, paths.layer_link(name, digest))
                if target and not sets.is_marked(target) and not sets.is_marked(digest):
                    self._tell(f"{name}: layer link eligible for deletion: {digest}")
                    self._delete(paths.layer_link(name, digest))

    def _delete_blobs(self, sets: Sets) -> int:
        size = 0
        for digest, length in sets.condemned_blobs():
            self._tell(f"blob eligible for deletion: {digest}")
            self._delete(paths.blob_data(digest))
            size += length
        return size

    def _delete(self, path: str) -> None:
        if not self._rehearsal:
            with suppress(PathNotFoundError):
                self._driver.delete(path)
