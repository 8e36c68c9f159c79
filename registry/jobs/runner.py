"""Runs periodic work in one process of a host.

Every worker, or the one process that the server has for jobs, has one thread that waits to be elected: a record lock
on a file that the processes inherit from the server elects one of them and, when that one ends, however it ends,
another one at once. The elected process has a thread for each job, so that no job waits for another. Hosts of a cluster
need no election: each job can bear that several hosts do it.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from registry.error_codes import FAULTS
from registry.foundation.election import Election
from registry.foundation.threads import LastingThread
from registry.jobs.board import JobState
from registry.jobs.job import JobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.jobs.board import JobBoard
    from registry.jobs.job import Job
    from registry.observation.metrics import Metrics

_RETRY_SECONDS: Final = 10.0
_LONGEST_SLEEP_SECONDS: Final = 1e9  # the kernel refuses what ends after its clock does
_OFTEN_SECONDS: Final = 5.0
"""A job that pauses for no more counts as one that runs all the time: its next run is not told."""
_POST_SECONDS: Final = 1.0
"""How often is posted at most when such a job has run, if nothing else has changed."""
_LEAST_PAUSE_SECONDS: Final = 0.1  # an interval without a unit is one of nanoseconds: it would take all of a core
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Elections:
    """Elect a process among the workers of one configuration, and among all workers of a server.

    The second one is waited for only by a process that has won the first one.
    """

    configuration: Election = field(default_factory=Election)
    server: Election = field(default_factory=Election)

    def renewed(self) -> Elections:
        """Return the elections for the workers of the next configuration."""
        return replace(self, configuration=Election())


class Runner:
    """Runs `jobs` for as long as this process lives, if and when it is elected, and tells `board` and `metrics`.

    Once `stopping` is true, no job begins: it would be cut off, and it would do what an old configuration says.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        elections: Elections,
        board: JobBoard,
        metrics: Metrics | None,
        stopping: Callable[[], bool],
    ) -> None:
        self._jobs = list(jobs)
        self._elections = elections
        self._board = board
        self._metrics = metrics
        self._stopping = stopping
        self._states: dict[str, JobState] = {}
        self._begun: set[Job] = set()
        self._posting = threading.Lock()
        self._posted = float("-inf")
        self._running = 0
        self._ended = threading.Condition()

    def start(self) -> None:
        """Wait to be elected, in a thread of this process."""
        LastingThread("jobs", self._wait_and_run, pause_seconds=_RETRY_SECONDS).begin()

    def finish(self, seconds: float) -> None:
        """Wait, for so long at most, for runs that end soon; the process is about to stop, so that no other begins."""
        with self._ended:
            self._ended.wait_for(lambda: not self._running, seconds)

    def _wait_and_run(self) -> None:
        if not self._elected(self._elections.configuration):
            return
        if not self._states:
            before = {state.name: state for state in self._board.read()}
            self._states = {job.name: before.get(job.name, JobState(job.name)) for job in self._jobs}
        self._begin(job for job in self._jobs if not job.exclusive)
        if self._elected(self._elections.server):
            self._begin(job for job in self._jobs if job.exclusive)

    def _elected(self, election: Election) -> bool:
        """Wait until this process is elected; return False if it is about to end by then, and leave it to others."""
        election.wait()
        if self._stopping():
            election.release()
            return False
        return True

    def _begin(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if job not in self._begun:
                pause_seconds = max(job.interval_seconds, _RETRY_SECONDS)
                LastingThread(f"job {job.name}", partial(self._repeat, job), pause_seconds=pause_seconds).begin()
                self._begun.add(job)

    def _repeat(self, job: Job) -> None:
        """Run `job` again and again until this process is to stop."""
        pause = job.first_pause()
        self._note(job, next_run=time.time() + pause)
        while True:
            time.sleep(min(pause, _LONGEST_SLEEP_SECONDS))
            with self._counted(job):
                if self._stopping():
                    return
                pause = self._run(job)

    @contextmanager
    def _counted(self, job: Job) -> Iterator[None]:
        """Count what finish() waits for."""
        number = int(job.ends_soon)
        with self._ended:
            self._running += number
        try:
            yield
        finally:
            with self._ended:
                self._running -= number
                self._ended.notify_all()

    def _run(self, job: Job) -> float:
        """Run `job` once; return how many seconds to pause until the next run."""
        self._note(job, next_run=None)
        pause, error = None, ""
        try:
            pause = job.run()
        except JobFailedError as failure:
            pause, error = failure.pause_seconds, str(failure)
            _log.log(failure.level, "%s", failure)
        except Exception as failure:  # noqa: BLE001  whatever a run trips over, there is a next one
            error = f"{type(failure).__name__}: {failure}"
            if isinstance(failure, FAULTS):
                _log.error("the job %s has failed: %s", job.name, failure)
            else:
                _log.exception("the job %s has failed", job.name)
        if self._metrics:
            self._metrics.job_ran(job.name, failed=bool(error))
        pause = max(job.interval_seconds if pause is None else pause, _LEAST_PAUSE_SECONDS)
        now = time.time()
        self._note(job, last_run=now, next_run=now + pause, error=error)
        return pause

    def _note(self, job: Job, *, next_run: float | None, **changed: Any) -> None:
        told = next_run if next_run and next_run - time.time() > _OFTEN_SECONDS else None
        with self._posting:
            before = self._states[job.name]
            state = self._states[job.name] = replace(before, next_run=told, **changed)
            is_new = (state.next_run, state.error) != (before.next_run, before.error)
            if is_new or time.monotonic() - self._posted >= _POST_SECONDS:
                self._board.post(self._states.values())
                self._posted = time.monotonic()
        if self._metrics:
            self._metrics.job_noted(job.name, last_run=state.last_run, next_run=next_run)
