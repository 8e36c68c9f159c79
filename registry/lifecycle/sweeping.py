"""Sweeping: bytes are deleted that nothing refers to and that no link has led to for the grace.

Nothing is deleted by the run that first finds it: links have to have been condemned, and blobs without any link listed,
by an earlier one. What a part of the tree that was missing then has led to stays if it is back by now.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.oci.errors import ManifestInvalidError
from registry.oci.manifest import MAX_SIZE
from registry.oci.stored import read_stored
from registry.storage import paths
from registry.storage.parts import Kind, part_at
from registry.storage.runs import Closed, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.lifecycle.findings import Bytes, Findings
    from registry.lifecycle.notices import Notices
    from registry.lifecycle.orphans import OrphanLists
    from registry.lifecycle.own_run import OwnRun
    from registry.oci.manifest import Descriptor


class Sweeping:
    """Deletes bytes, and the condemned links to them, in one run."""

    def __init__(self, driver: StorageDriver, own_run: OwnRun, notices: Notices) -> None:
        self._driver = driver
        self._own_run = own_run
        self._notices = notices
        self.blobs = 0
        self.size = 0
        self.unlinked_blobs = 0
        self.unlinked_size = 0

    def sweep(
        self, findings: Findings, condemned_before: float, orphans: OrphanLists, between: Callable[[], None]
    ) -> None:
        """Delete what was condemned before `condemned_before`, or listed among `orphans` before then.

        `between` is called where nothing is closed.

        Raises:
            DriverError, RunLostError: what is closed stays closed.
        """
        for batch in findings.sweepable(condemned_before, orphans.written_before(condemned_before)):
            self._own_run.close(Phase.SWEEPING, Closed(digests=frozenset(str(each.digest) for each in batch)))
            self._notices.read(findings)
            self._delete([each for each in batch if not self._notices.name(each.digest)], findings)
            self._own_run.open()
            between()
        for links in findings.obsolete(condemned_before):
            self._driver.discard(self._own_run.while_held(links))
            between()

    def _delete(self, blobs: Sequence[Bytes], findings: Findings) -> None:
        traces = {each.found.path: list(self._traces(each, findings)) for each in blobs}
        changed = set(self._driver.discard(self._own_run.while_held(each.found for each in blobs)))
        gone = [each for each in blobs if each.found.path not in changed]
        self.blobs += len(gone)
        self.size += sum(each.found.size for each in gone)
        unlinked = [each for each in gone if not each.condemned]
        self.unlinked_blobs += len(unlinked)
        self.unlinked_size += sum(each.found.size for each in unlinked)
        for path in (trace for each in gone for trace in traces[each.found.path]):
            self._own_run.require()
            with suppress(PathNotFoundError):
                self._driver.delete(path)
        # A link to bytes that are gone is one that the next run finds obsolete.
        links = (link for each in gone for link in each.condemned)
        self._driver.discard(self._own_run.while_held(links))

    def _traces(self, blob: Bytes, findings: Findings) -> Iterator[str]:
        """Yield what repositories remember of a manifest besides its link: subjects have it, tags have led to it."""
        parts = [part_at(link.path) for link in blob.condemned]
        names = [part.repository for part in parts if part and part.kind is Kind.CONDEMNED_REVISION]
        if not names:
            return
        subjects: Sequence[Descriptor] = ()
        with suppress(PathNotFoundError, ObjectTooLargeError, ManifestInvalidError):
            subjects = read_stored(self._driver.get(blob.found.path, limit=MAX_SIZE)).subjects
        for name in names:
            for subject in subjects:
                yield paths.referrer(name, subject.digest, blob.digest)
            for tag in findings.tags_that_pointed_to(name, blob.digest):
                yield paths.tag_history_link(name, tag, blob.digest)
