"""The check of all blobs, whatever names them: which there are, how large they are and, if asked, what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.fsck.blob_damage import BlobDamaged, BlobUnreadable
from registry.fsck.contents import State
from registry.fsck.graph import Affected
from registry.fsck.unreadable import borne, told
from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.listing import names_below
from registry.storage.names import is_hex, is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.fsck.damage import Damage
    from registry.fsck.reading import Tally
    from registry.fsck.store import Store

END: Final = "~"
"""What no digest comes after."""


class BlobCheck:
    """Notes all blobs; `deep` has all of them read that come at or after `start`, ``<algorithm>:<prefix>``.

    `at` is such a start, with which a check that broke off can be gone on with; END if all were read.
    """

    def __init__(self, store: Store, tally: Tally, *, deep: bool, start: str = "") -> None:
        self._store = store
        self._tally = tally
        self._deep = deep
        self._start = start
        self.at = ""

    def run(self) -> Iterator[Damage]:
        """Yield the blobs that do not have their digest: of those that are read, and of those that are empty."""
        for algorithm in sorted(ALGORITHMS):
            yield from borne(self._store.contents, "", paths.blob_prefixes(algorithm), self._run(algorithm))
        if self._deep:
            self.at = END
        self._tally.blobs, self._tally.size = self._store.contents.count()

    def _run(self, algorithm: str) -> Iterator[Damage]:
        for prefix in names_below(self._store.driver, paths.blob_prefixes(algorithm), is_prefix):
            try:
                self._note(algorithm, prefix)
            except DriverError as error:
                yield from told(self._store.contents, "", paths.blobs(algorithm, prefix), error)
            if self._deep and f"{algorithm}:{prefix}" >= self._start[: len(f"{algorithm}:") + 2]:
                self.at = f"{algorithm}:{prefix}"
            yield from self._check(algorithm, prefix)

    def _note(self, algorithm: str, prefix: str) -> None:
        """Note the blobs whose hex begins with `prefix`."""
        is_digest = is_hex(algorithm)
        for found in self._store.driver.walk(paths.blobs(algorithm, prefix)):
            name = found.path.rpartition("/")[0].rpartition("/")[2]
            digest = Digest(algorithm, name)
            if is_digest(name) and found.path == paths.blob_data(digest):
                self._store.contents.note(digest, found.size)
            else:
                self._tally.foreign += 1

    def _check(self, algorithm: str, prefix: str) -> Iterator[Damage]:
        contents = self._store.contents
        for digest, size in contents.noted(algorithm, prefix):
            is_read = (self._deep and str(digest) >= self._start) or size == 0
            if not is_read:
                continue
            state = contents.state(digest)
            if state is State.DAMAGED and contents.tell_once(digest):
                yield BlobDamaged(digest, size, "", Affected())
            elif state is State.UNREADABLE and contents.tell_once(digest):
                yield BlobUnreadable(digest, "", Affected())
