"""Runs periodic work in one process of a host.

Every worker has one thread that waits to be elected: a record lock on a file that the workers inherit from the server
elects one of them and, when that one ends, however it ends, another one at once. The elected process has a thread for
each job, so that no job waits for another. Hosts of a cluster need no election: each job can bear that several hosts
do it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registry.foundation.election import Election
from registry.jobs.board import JobState
from registry.jobs.job import JobFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.jobs.board import JobBoard
    from registry.jobs.job import Job
    from registry.observation.metrics import Metrics

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
    """Runs `jobs` for as long as this process lives, if and when it is elected, and tells `board` and `metrics`."""

    def __init__(self, jobs: Iterable[Job], elections: Elections, board: JobBoard, metrics: Metrics | None) -> None:
        self._jobs = list(jobs)
        self._elections = elections
        self._board = board
        self._metrics = metrics
        self._states: dict[str, JobState] = {}
        self._posting = threading.Lock()

    def start(self) -> None:
        """Wait to be elected, in a thread of this process."""
        threading.Thread(target=self._wait_and_run, name="jobs", daemon=True).start()

    def _wait_and_run(self) -> None:
        self._elections.configuration.wait()
        before = {state.name: state for state in self._board.read()}
        self._states = {job.name: before.get(job.name, JobState(job.name)) for job in self._jobs}
        self._begin(job for job in self._jobs if not job.exclusive)
        self._elections.server.wait()
        self._begin(job for job in self._jobs if job.exclusive)

    def _begin(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            threading.Thread(target=self._repeat, args=(job,), name=f"job {job.name}", daemon=True).start()

    def _repeat(self, job: Job) -> None:
        pause = job.first_pause()
        while True:
            self._note(job, next_run=time.time() + pause)
            time.sleep(pause)
            pause = self._run(job)

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
            _log.exception("the job %s has failed", job.name)
        if self._metrics:
            self._metrics.job_ran(job.name, failed=bool(error))
        self._note(job, last_run=time.time(), error=error)
        return job.interval_seconds if pause is None else pause

    def _note(self, job: Job, **changed: Any) -> None:
        with self._posting:
            state = self._states[job.name] = replace(self._states[job.name], **changed)
            self._board.post(self._states.values())
        if self._metrics:
            self._metrics.job_noted(job.name, last_run=state.last_run, next_run=state.next_run)
