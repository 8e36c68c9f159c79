"""Tells every minute how much of each quota is used, and counts it anew when that is due.

It is due where a quota was never counted or repositories belong to other quotas than they did, after a day, and after
an hour where a quota is full: what was deleted is only known then.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.jobs.job import Job, JobFailedError
from registry.quota.ledger import Ledger
from registry.quota.recount import WRITTEN_SECONDS, holds_anything, recount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.quota.allowance import Quotas
    from registry.quota.groups import Group

_INTERVAL_SECONDS: Final = 60.0
_COUNTED_SECONDS: Final = 24 * 3600.0
_FULL_SECONDS: Final = 3600.0
_MOST_REST_SECONDS: Final = 1.0


def jobs(driver: StorageDriver, quotas: Quotas | None) -> Iterator[Job]:
    """Yield the job that keeps the counts of `quotas`; none where no repository has one."""
    if quotas:
        yield Job("quotas", _Counting(driver, quotas).run, _INTERVAL_SECONDS)


@dataclass
class _Counting:
    driver: StorageDriver
    quotas: Quotas
    # The hosts of a cluster would else count at the same time.
    later_seconds: float = field(default_factory=lambda: random.uniform(0, _FULL_SECONDS))  # noqa: S311  spreads load only

    def run(self) -> None:
        try:
            if not holds_anything(self.driver):
                return
            ledger = Ledger(self.driver)
            due = [group for group in self.quotas.groups if self._is_due(ledger, group)]
            if due:
                time.sleep(WRITTEN_SECONDS)
                recount(self.driver, self.quotas.groups, due, _Resting().rest)
                for group in due:
                    self.quotas.counter.read(group)
        except DriverError as error:
            raise JobFailedError(f"quotas are not counted: {error}") from error

    def _is_due(self, ledger: Ledger, group: Group) -> bool:
        used = self.quotas.counter.read(group)
        base, counted = ledger.base(group.label), ledger.counted(group.label)
        if base is None or counted is None or base.division != self.quotas.groups.division:
            return True
        age_seconds = time.time() - counted
        return age_seconds > _COUNTED_SECONDS + self.later_seconds or (
            used >= group.limit and age_seconds > _FULL_SECONDS
        )


class _Resting:
    """Rests for as long as the work before took, so that requests have the half of the storage at least."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def rest(self) -> None:
        time.sleep(min(time.monotonic() - self._began, _MOST_REST_SECONDS))
        self._began = time.monotonic()
