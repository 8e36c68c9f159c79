"""The scrub: a check as periodic work, which repairs nothing and tells what it has found.

Of the hosts of a cluster the first one whose time has come does it; that two do it for a moment is harmless. It goes on
where the one before was cut short.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.fsck.scrubbed import Scrubbed, read_scrubbed
from registry.jobs.child import run_in_child
from registry.jobs.due import seconds_left
from registry.jobs.job import Job, JobFailedError
from registry.lease import this_server
from registry.storage import paths
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.observation.metrics import Metrics

CHILD: Final = "registry.server.scrubbing"
"""What runs in a process of its own."""
_LOOK_SECONDS: Final = 600.0
"""How soon it is looked again where another host scrubs, or garbage is being collected."""
_LONGEST_SECONDS: Final = 3600.0
"""How soon it is looked again at the latest: what was found may have been repaired."""
_ABANDONED_SECONDS: Final = 1800.0
"""After so long without a note, another host goes on with a scrub."""
_SPREAD_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


def jobs(configuration: Configuration, driver: StorageDriver, metrics: Metrics | None) -> Iterator[Job]:
    """Yield the job that scrubs, if that is enabled; none where the storage belongs to one process.

    Nor is there one where the registry is read-only: how far it is could not be remembered.
    """
    maintenance = configuration.storage.maintenance
    if maintenance.scrub.enabled and not maintenance.readonly.enabled and driver.shared_between_processes:
        interval = max(maintenance.scrub.interval_seconds, 1.0)
        schedule = Schedule(configuration, driver, metrics)
        yield Job("scrub", schedule.run, interval, partial(random.uniform, 0, min(interval, _SPREAD_SECONDS)))


@dataclass(frozen=True, slots=True)
class Task:
    """What the child is to do: to go on with what was `begun`."""

    configuration: Configuration
    begun: Scrubbed


class Schedule:
    """Begins a scrub when it is time to."""

    def __init__(
        self,
        configuration: Configuration,
        driver: StorageDriver,
        metrics: Metrics | None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._interval = max(configuration.storage.maintenance.scrub.interval_seconds, 1.0)
        self._driver = driver
        self._metrics = metrics
        self._now = now
        self._host = this_server(configuration.http.addr)

    def run(self) -> float | None:
        """Scrub if it is time to; return how many seconds to pause until the next look.

        Raises:
            JobFailedError: the storage fails, or what the last scrub has found is still damaged.
        """
        try:
            if not self._driver.holds(paths.ROOT):
                return min(self._interval, _LOOK_SECONDS)
            scrubbed = read_scrubbed(self._driver)
            if self._is_under_way(scrubbed) or Runs(self._driver).read().is_on:
                return min(self._interval, _LOOK_SECONDS)
        except DriverError as error:
            raise JobFailedError(f"it is not known when was scrubbed: {error}") from error
        left = seconds_left(scrubbed.ended, self._interval, self._now())
        if not scrubbed.ended or not left:
            scrubbed = self._scrub(Scrubbed(self._host) if scrubbed.ended else scrubbed)
            left = self._interval
        if not scrubbed.ended:  # this process is about to stop
            return _LOOK_SECONDS
        pause = min(left + random.uniform(0, min(self._interval, _SPREAD_SECONDS)), _LONGEST_SECONDS)  # noqa: S311
        if self._metrics:
            self._metrics.scrub_seen(scrubbed.ended, scrubbed.damaged)
        if scrubbed.damaged:
            advice = "registry fsck says which, and --repair repairs what it can"
            raise JobFailedError(f"the scrub has found {scrubbed.damaged} damages: {advice}", pause_seconds=pause)
        return pause

    def _is_under_way(self, scrubbed: Scrubbed) -> bool:
        """Tell whether another host scrubs."""
        is_recent = abs(self._now() - scrubbed.noted) < _ABANDONED_SECONDS
        return not scrubbed.ended and scrubbed.host not in {"", self._host} and is_recent

    def _scrub(self, begun: Scrubbed) -> Scrubbed:
        answer = run_in_child(CHILD, Task(self._configuration, begun))
        if self._metrics:
            self._metrics.scrub_ended(answer["result"])
        if answer["result"] == "failed":
            raise JobFailedError(f"the scrub broke off: {answer['error']}", pause_seconds=_LOOK_SECONDS)
        return read_scrubbed(self._driver)
