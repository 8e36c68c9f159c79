"""The eviction as periodic work: each hour, by one of the hosts."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.jobs.child import run_in_child
from registry.jobs.due import seconds_left
from registry.jobs.job import Job, JobFailedError
from registry.proxy.eviction.outcomes import last_swept, rules_of
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.observation.metrics import Metrics
    from registry.proxy.eviction.outcomes import Swept

CHILD: Final = "registry.server.evicting"
"""What runs in a process of its own."""
INTERVAL_SECONDS: Final = 3600.0
_LOOK_SECONDS: Final = 60.0
_BUSY_SECONDS: Final = 600.0
"""How soon it is looked again where another host evicts, or garbage is being collected."""
_SPREAD_SECONDS: Final = 60.0
"""So that hosts do not begin at the same moment."""


def jobs(
    configuration: Configuration, driver: StorageDriver, metrics: Metrics | None, stopping: Callable[[], bool]
) -> Iterator[Job]:
    """Yield the job that evicts; none where no registry is cached, or nothing may be written."""
    if configuration.upstreams and not configuration.storage.maintenance.readonly.enabled:
        schedule = Schedule(configuration, driver, metrics, stopping)
        yield Job("eviction", schedule.run, INTERVAL_SECONDS, partial(random.uniform, 0, _SPREAD_SECONDS))


@dataclass(frozen=True, slots=True)
class Task:
    """What the child is to do."""

    configuration: Configuration


class Schedule:
    """Begins a sweep when it is time to, or the rules are others than those of the last one."""

    def __init__(
        self,
        configuration: Configuration,
        driver: StorageDriver,
        metrics: Metrics | None,
        stopping: Callable[[], bool] = lambda: False,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._rules = rules_of(configuration)
        self._driver = driver
        self._metrics = metrics
        self._stopping = stopping
        self._now = now

    def run(self) -> float | None:
        """Sweep if it is time to; return how many seconds to pause until the next look.

        Raises:
            JobFailedError: the storage failed.
        """
        try:
            if not self._driver.holds(paths.ROOT):
                return _LOOK_SECONDS
            last = last_swept(self._driver)
            left = seconds_left(last.at, INTERVAL_SECONDS, self._now()) if last and last.rules == self._rules else 0.0
            if last and left:
                self._show(last)
                return left + random.uniform(0, _SPREAD_SECONDS)  # noqa: S311  spreads load only
            return self._sweep()
        except DriverError as error:
            raise JobFailedError(f"what is cached cannot be evicted: {error}", pause_seconds=_BUSY_SECONDS) from error

    def _sweep(self) -> float | None:
        claim = self._driver.claim(paths.EVICTION_CLAIM)
        if claim is None:
            return _BUSY_SECONDS
        with claim:
            answer = self._answer()
        if "error" in answer:
            reason = f"what is cached cannot be evicted: {answer['error']}"
            raise JobFailedError(reason, pause_seconds=_BUSY_SECONDS)
        if "busy" in answer:
            return _BUSY_SECONDS
        if self._metrics:
            for each in answer["outcomes"]:
                self._metrics.cache_evicted(each["upstream"], each["evicted"])
        last = last_swept(self._driver)
        if last:
            self._show(last)
        return None

    def _answer(self) -> Mapping[str, Any]:
        if self._driver.shared_between_processes:
            return run_in_child(CHILD, Task(self._configuration))
        # Another process would find nothing in it.
        from registry.proxy.eviction.sweep import answer  # noqa: PLC0415  only where it sweeps are its tables loaded

        return answer(self._configuration, self._driver, self._stopping)

    def _show(self, last: Swept) -> None:
        if self._metrics:
            for each in last.outcomes:
                self._metrics.cache_holds(each.upstream, each.size)
