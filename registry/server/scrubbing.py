"""``python -m registry.server.scrubbing``: a scrub, in a process of its own.

It is started by registry.fsck.jobs, and told what to do by registry.jobs.child.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from drivers.base import DriverError
from registry.config.cached import Cached
from registry.fsck.absences import Absences
from registry.fsck.check import Check, Status, Wish, policy_for
from registry.fsck.contents import Contents
from registry.fsck.losses import missing_half
from registry.fsck.pacing import Pacer
from registry.fsck.scrubbed import write_scrubbed
from registry.fsck.store import Store
from registry.jobs.child import answer_parent
from registry.observation import log
from registry.services import open_existing_storage, validation_policy
from registry.storage.descriptors import NoDescriptors
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.base import StorageDriver
    from registry.fsck.check import Finding
    from registry.fsck.jobs import Task
    from registry.fsck.scrubbed import Scrubbed

_NOTE_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The server ends; the scrub goes on when it is started again."""


def scrub(task: Task, stopping: Callable[[], bool]) -> Mapping[str, Any]:
    """Scrub as ``storage.maintenance.scrub`` says; return how that ended: clean, damaged, stopped or failed."""
    log.configure(task.configuration.log)
    section = task.configuration.storage.maintenance.scrub
    try:
        driver = open_existing_storage(task.configuration)
        if missing := missing_half(driver):
            return {"result": "failed", "error": f"{missing}: is all of the storage mounted?"}
        notes = _Notes(driver, task.begun, stopping)
        with Contents(driver, Pacer(section.rate), notes) as contents:
            policy = policy_for(driver, validation_policy(task.configuration))
            store = Store(driver, contents, Runs(driver), NoDescriptors(), may_link_blobs=False)
            absences = Absences(policy, Cached(task.configuration.upstreams))
            check = Check(store, absences, Wish(deep=section.deep, start=task.begun.at), notes.look)
            notes.follow(check)
            for finding in check.run():
                _tell(finding)
            ended = notes.end()
    except _StoppedError:
        return {"result": "stopped"}
    except DriverError as error:
        return {"result": "failed", "error": str(error)}
    return {"result": "damaged" if ended.damaged else "clean"}


def _tell(finding: Finding) -> None:
    damage = finding.damage
    if damage.is_damage or finding.status is Status.FAILED:
        facts = {"kind": damage.kind, "where": damage.where, "tags": ",".join(damage.affected.tags)}
        _log.error("damaged: %s: %s", damage.where, damage.text, extra=facts)


class _Notes:
    """Notes in the storage how far a scrub is, and stops it when the server ends."""

    def __init__(self, driver: StorageDriver, begun: Scrubbed, stopping: Callable[[], bool]) -> None:
        self._driver = driver
        self._begun = replace(begun, ended=0.0)
        self._stopping = stopping
        self._before = begun.damaged if begun.at else 0
        self._noted = float("-inf")
        self._check: Check | None = None
        self.read = 0

    def follow(self, check: Check) -> None:
        """Note from now on how far `check` is."""
        self._check = check
        self.look("")

    def advance(self, size: int, what: str) -> None:
        """Note that `size` more bytes of `what` were read."""
        self.read += size
        self.look(what)

    def look(self, what: str) -> None:
        """Note how far the check is, if the last note is old."""
        del what
        if self._stopping():
            raise _StoppedError
        now = time.monotonic()
        if now - self._noted >= _NOTE_SECONDS:
            self._noted = now
            write_scrubbed(self._driver, self._so_far())

    def end(self) -> Scrubbed:
        """Note that the check has ended; return what was noted."""
        damaged = self._before + (self._check.sum.damaged if self._check else 0)
        ended = replace(self._begun, at="", ended=time.time(), damaged=damaged)
        write_scrubbed(self._driver, ended)
        _log.info("scrubbed", extra={"damaged": ended.damaged, "read": self.read})
        return ended

    def _so_far(self) -> Scrubbed:
        """Return what the next one need not do again: it looks at all repositories once more, but not at all blobs."""
        if self._check is None:
            return self._begun
        found = self._check.sum
        damaged = self._before + (found.damaged_blobs if self._check.has_read_all else found.damaged)
        return replace(self._begun, at=self._check.at or self._begun.at, damaged=damaged)


if __name__ == "__main__":
    answer_parent(scrub)
