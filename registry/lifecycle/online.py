"""A garbage collection while everybody pushes and pulls.

A run announces itself, waits until every writer knows, and scans the storage. What nothing refers to, and what was
written longer ago than the grace, is condemned (registry.lifecycle.condemning). What was condemned longer ago than the
grace is deleted (registry.lifecycle.sweeping). Writers say meanwhile what they rely on: registry.storage.passage.

All ages are told by the clock of the storage alone.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from drivers.base import DriverError
from registry.config.cached import NOTHING
from registry.foundation.sizes import spelled
from registry.jobs.cluster import member_name
from registry.lifecycle import members
from registry.lifecycle.cache import cache_of
from registry.lifecycle.condemning import Condemning
from registry.lifecycle.findings import Findings, Policy
from registry.lifecycle.mounts import empty_directory
from registry.lifecycle.notices import Notices
from registry.lifecycle.orphans import OrphanLists
from registry.lifecycle.own_run import RunLostError, begin, clock
from registry.lifecycle.reports import Report, Result, latest_reports, write_report
from registry.lifecycle.restoring import restore
from registry.lifecycle.scan import scan
from registry.lifecycle.sweeping import Sweeping
from registry.storage import paths, runs
from registry.storage.parts import part_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.config.cached import Cached
    from registry.config.collection import GarbageCollection
    from registry.lifecycle.cache import Cache
    from registry.lifecycle.findings import Bytes
    from registry.lifecycle.own_run import OwnRun
    from registry.publishing import Publishing

_SKEW_SECONDS: Final = 60.0
"""By how much the clocks of this host and of the storage may differ without a warning."""
_PERCENT: Final = 100
_LOOK_BEATS: Final = 6
"""For how many beats it is believed that all hosts of the cluster take notice of a run."""
_MOST_UNLINKED_PERCENT: Final = 5
"""Of the stored bytes, to which no link leads: deleted repositories leave more, but so does a missing mount."""
_SEEN_BETWEEN: Final = 1000
"""Objects that are scanned between two looks whether the run may go on."""
_log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The run was stopped, and has ended where nothing is closed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run may do.

    `grace_seconds` is how long what nothing refers to stays, twice: before it is condemned and before it is deleted; it
    is at least runs.PACE.margin, which is added to it. `untagged_seconds` gives for a repository how old a manifest
    without a tag has to be to go; None if all manifests of it stay. `maxshare` is the most that a run condemns or
    deletes, in percent of the bytes that are stored and of the links; None is all, also where a part is missing. What
    was evicted from repositories that are `cached` does not count: its size and its age were what the configuration
    says. A run that does not condemn only deletes what has been, or is without any link.
    """

    grace_seconds: float
    untagged_seconds: Callable[[str], float | None] = lambda _: None
    maxshare: int | None = None
    dry_run: bool = False
    cached: Cached = NOTHING
    condemns: bool = True

    @staticmethod
    def of(
        section: GarbageCollection,
        keepfor: Callable[[str], float | None] = lambda _: None,
        cached: Cached = NOTHING,
    ) -> Terms:
        """Return what the configuration says.

        `keepfor` gives for a repository how many seconds a manifest without a tag stays there, None where it does not
        say. Of what is only cached, ``cache.ttl`` says that.
        """
        untagged = section.untagged
        age = untagged.age_seconds if untagged.enabled else None

        def untagged_seconds(repository: str) -> float | None:
            if cached.is_only_cached(repository):
                return None
            kept = keepfor(repository)
            return age if kept is None else kept

        return Terms(section.grace_seconds, untagged_seconds, section.maxshare, section.dryrun, cached)

    @property
    def age_seconds(self) -> float:
        """How old a link, or a condemned one, has to be."""
        return runs.age_seconds(self.grace_seconds)

    def policy(self, now: float) -> Policy:
        """Return what stays, at `now` by the clock of the storage."""

        def untagged_before(repository: str) -> float | None:
            age = self.untagged_seconds(repository)
            return None if age is None else now - age

        return Policy(now - self.age_seconds, untagged_before)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a run takes place.

    `host` is what others call this one. `outdated` gives the hosts of the cluster that do not know of runs. `progress`
    is told what is looked at, `stopping` asked whether the run is to end early, `pause` waits. `cache` is what earlier
    runs have read, None where nothing is kept.
    """

    host: str
    outdated: Callable[[], Sequence[str]] = tuple
    progress: Callable[[str], object] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    pause: Callable[[float], object] = time.sleep
    cache: Cache | None = None

    @staticmethod
    def of(configuration: Configuration, driver: StorageDriver, **others: Any) -> Surroundings:
        """Return those of a run of this host on the storage that the hosts of the cluster share."""
        host = member_name(configuration.http.addr)
        return Surroundings(host, partial(members.outdated, driver), cache=cache_of(configuration), **others)


class OnlineCollection:
    """A run over all that `driver` stores; `publishing` tells of what goes."""

    def __init__(self, driver: StorageDriver, publishing: Publishing, terms: Terms, surroundings: Surroundings) -> None:
        self._driver = driver
        self._publishing = publishing
        self._terms = terms
        self._surroundings = surroundings
        self._looked = float("-inf")

    def run(self) -> Report:
        """Do all of it; return what was done, which is also kept in the storage.

        Raises:
            RunBusyError: another one is on.
            RunLostError: another one has taken over.
            StoppedError: it was asked to stop, or a host has come that takes no notice of it.
            DriverError: the storage failed. What is closed then stays so until supersede() or a later run opens it.
        """
        if not self._driver.holds(paths.ROOT):
            # It may be the bare mount point of a storage that is not mounted, to which nothing is to be written.
            raise DriverError("nothing is stored there yet, or it is not mounted: there is nothing to collect")
        began = time.time()
        with Findings() as findings, Notices(self._driver) as notices:
            own_run = begin(self._driver, self._surroundings.host, notices.note_former, pause=self._surroundings.pause)
            report = Report(own_run.number, self._surroundings.host, began)
            with own_run:
                try:
                    report = self._collect(own_run, findings, notices, report)
                    report = replace(report, ended=time.time(), notices=notices.count())
                    write_report(self._driver, report)
                    own_run.end()
                except BaseException as error:
                    reason = str(error) or ("interrupted" if isinstance(error, KeyboardInterrupt) else repr(error))
                    self._give_up(own_run, replace(report, ended=time.time(), result=Result.FAILED, reason=reason))
                    raise
            return report

    def _give_up(self, own_run: OwnRun, report: Report) -> None:
        """Let no writer wait for a run that has failed, unless it was changing something: that may come yet."""
        if not own_run.is_open:
            return
        with suppress(DriverError, RunLostError):
            own_run.end()
            write_report(self._driver, report)

    def _collect(self, own_run: OwnRun, findings: Findings, notices: Notices, report: Report) -> Report:
        announced = self._driver.stat(paths.GC_RUN).modified
        _compare_clocks(announced)
        self._wait(own_run)
        notices.discard_former(own_run)
        old = announced - self._terms.age_seconds
        scan(
            self._driver,
            findings,
            self._terms.policy(announced),
            _Watch(own_run, self._surroundings),
            cache=self._surroundings.cache,
        )
        orphans = OrphanLists(self._driver)
        report = _counted(findings, report, self._terms)
        found = _Sweepable.count(findings, old, orphans, self._terms.cached)
        refusal = self._refusal(findings, report, found)
        if refusal:
            return replace(report, result=Result.REFUSED, reason=refusal)
        if self._terms.dry_run:
            return replace(report, result=Result.DRY_RUN, deleted_blobs=found.blobs, deleted_bytes=found.size)
        report = replace(report, restored=restore(findings, self._driver, partial(self._between, own_run)))
        condemning = Condemning(self._driver, own_run, notices, self._publishing)
        if self._terms.condemns:
            condemning.condemn(findings, partial(self._between_changes, own_run))
        self._require_no_outdated()
        sweeping = Sweeping(self._driver, own_run, notices)
        sweeping.sweep(findings, old, orphans, partial(self._between_changes, own_run))
        if not orphans.wait(old):
            orphans.replace(own_run.number, findings.orphans())
        return self._done(report, condemning, sweeping)

    def _wait(self, own_run: OwnRun) -> None:
        """Wait until no writer can believe that no run is on."""
        until = clock() + runs.PACE.announced
        while (left := until - clock()) > 0:
            self._surroundings.pause(min(left, runs.PACE.beat))
            self._between(own_run)

    def _between(self, own_run: OwnRun) -> None:
        """Return if the run may go on, now that it has closed nothing."""
        own_run.require()
        if self._surroundings.stopping():
            raise StoppedError("the run was stopped; the next one goes on")

    def _between_changes(self, own_run: OwnRun) -> None:
        """As _between(); now and then the hosts of the cluster are looked at, too: one may have come meanwhile."""
        self._between(own_run)
        if clock() - self._looked > _LOOK_BEATS * runs.PACE.beat:
            self._require_no_outdated()

    def _require_no_outdated(self) -> None:
        if reason := self._reason_of_outdated():
            raise StoppedError(reason)

    def _reason_of_outdated(self) -> str:
        """Return which hosts of the cluster take no notice of a run, and what to do; "" if all do."""
        self._looked = clock()
        outdated = self._surroundings.outdated()
        if outdated:
            return f"{', '.join(outdated)} runs a version that pushes without regard to it: update it first"
        return ""

    def _refusal(self, findings: Findings, report: Report, found: _Sweepable) -> str:
        """Return why nothing may be condemned or deleted, "" if that may be."""
        most = self._terms.maxshare
        missing = findings.missing_part()
        if missing and (findings.lacks_repositories or most is not None):
            return missing
        if not self._terms.dry_run and (reason := self._reason_of_outdated()):
            return reason
        counts = findings.counts()
        loose_size = counts.loose_size if self._terms.condemns else 0
        for verb, size in (("condemned", loose_size), ("deleted", found.size - found.evicted_size)):
            if most is not None and size * _PERCENT > most * report.stored_bytes:
                share = f"{spelled(size)} of {spelled(report.stored_bytes)} would be {verb}"
                return f"{share}, more than maxshare ({most} %): use --force if that is right"
        if most is not None and found.unlinked_size * _PERCENT > _MOST_UNLINKED_PERCENT * report.stored_bytes:
            empty = empty_directory(self._driver)
            if empty:
                share = f"{spelled(found.unlinked_size)} of {spelled(report.stored_bytes)} have no link"
                return f"{share}, and nothing lies in {empty}: is it not mounted? If all is there, delete it"
        loose = counts.loose_revisions + counts.loose_layers if self._terms.condemns else 0
        if most is not None and loose * _PERCENT > most * counts.links:
            share = f"{loose} of {counts.links} links would be condemned"
            return f"{share}, more than maxshare ({most} %): use --force if that is right"
        return ""

    def _done(self, report: Report, condemning: Condemning, sweeping: Sweeping) -> Report:
        waiting = report.waiting_blobs - (sweeping.blobs - sweeping.unlinked_blobs)
        waiting_bytes = report.waiting_bytes - (sweeping.size - sweeping.unlinked_size)
        return replace(
            report,
            condemned_manifests=condemning.manifests,
            condemned_blobs=condemning.blobs,
            deleted_blobs=sweeping.blobs,
            deleted_bytes=sweeping.size,
            waiting_blobs=waiting,
            waiting_bytes=waiting_bytes,
            unlinked_blobs=report.unlinked_blobs - sweeping.unlinked_blobs,
            unlinked_bytes=report.unlinked_bytes - sweeping.unlinked_size,
            next_deletion=self._next_deletion(condemning, waiting),
        )

    def _next_deletion(self, condemning: Condemning, waiting: int) -> float | None:
        """Return from when on all that waits may be deleted."""
        if not waiting:
            return None
        if not condemning.manifests and not condemning.blobs:
            for former in latest_reports(self._driver, 1):
                if former.next_deletion is not None:
                    return former.next_deletion
        return time.time() + self._terms.age_seconds


@dataclass(frozen=True, slots=True)
class _Sweepable:
    """How much may be deleted, in bytes; of it, what was evicted, and what never had a link."""

    blobs: int
    size: int
    evicted_size: int
    unlinked_size: int

    @staticmethod
    def count(findings: Findings, old: float, orphans: OrphanLists, cached: Cached) -> _Sweepable:
        blobs = size = evicted_size = unlinked_size = 0
        for batch in findings.sweepable(old, orphans.written_before(old)):
            blobs += len(batch)
            size += sum(each.found.size for each in batch)
            evicted_size += sum(each.found.size for each in batch if _was_evicted(each, cached))
            unlinked_size += sum(each.found.size for each in batch if not each.condemned)
        return _Sweepable(blobs, size, evicted_size, unlinked_size)


def _was_evicted(blob: Bytes, cached: Cached) -> bool:
    """Tell whether all links to a blob were those of cached repositories."""
    if not cached or not blob.condemned:
        return False
    parts = (part_at(link.path) for link in blob.condemned)
    return all(part is not None and part.repository in cached for part in parts)


class _Watch:
    """Looks now and then, while a scan goes on, whether the run may."""

    def __init__(self, own_run: OwnRun, surroundings: Surroundings) -> None:
        self._own_run = own_run
        self._surroundings = surroundings
        self._seen = 0

    def __call__(self, what: str) -> None:
        self._surroundings.progress(what)
        self._seen += 1
        if self._seen % _SEEN_BETWEEN == 0:
            self._own_run.require()
            if self._surroundings.stopping():
                raise StoppedError("the run was stopped; the next one begins anew")


def _counted(findings: Findings, report: Report, terms: Terms) -> Report:
    """Return the report with what was found, as if all was condemned that may be, and nothing deleted."""
    counts = findings.counts()
    may_be = int(terms.condemns)
    return replace(
        report,
        stored_blobs=counts.blobs,
        stored_bytes=counts.size,
        condemned_manifests=counts.loose_revisions * may_be,
        condemned_blobs=counts.loose_layers * may_be,
        waiting_blobs=counts.condemned_blobs + counts.loose_blobs * may_be,
        waiting_bytes=counts.condemned_size + counts.loose_size * may_be,
        unlinked_blobs=counts.orphans,
        unlinked_bytes=counts.orphans_size,
    )


def _compare_clocks(announced: float) -> None:
    skew = time.time() - announced
    if abs(skew) > _SKEW_SECONDS:
        _log.warning("the clocks of this host and of the storage differ by %.0f s", skew)
