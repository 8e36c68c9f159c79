"""Jobs in processes that are forked as workers are."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.foundation.election import Election
from registry.jobs.board import JobBoard, JobState
from registry.jobs.job import Job, JobFailedError
from registry.jobs.runner import Elections, Runner
from tests.serving import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

HOUR = 3600.0
LONG_AGO = 1000.0


class Workers:
    """Forks processes that run the jobs `names`; what has run where is read from a file."""

    def __init__(self, directory: Path) -> None:
        self.board = JobBoard()
        self._directory = directory
        self._runs = directory / "runs"
        self._runs.touch()
        self._pids: set[int] = set()

    def fork(self, elections: Elections, jobs: Sequence[Job]) -> int:
        """Return the pid of a worker."""
        pid = os.fork()
        if pid == 0:
            Runner(jobs, elections, self.board, None, lambda: self._stopping(os.getpid()).exists()).start()
            threading.Event().wait()
        self._pids.add(pid)
        return pid

    def job(self, name: str, *, exclusive: bool = True, then: Callable[[], float | None] = lambda: HOUR) -> Job:
        """Return a job that notes where it runs."""

        def run() -> float | None:
            with self._runs.open("a") as runs:
                runs.write(f"{name} {os.getpid()}\n")
            return then()

        return Job(name, run, HOUR, exclusive=exclusive)

    def ran(self) -> list[tuple[str, int]]:
        return [(line.split()[0], int(line.split()[1])) for line in self._runs.read_text().splitlines()]

    def stop(self, pid: int) -> None:
        """Tell a worker that it is to stop."""
        self._stopping(pid).touch()

    def _stopping(self, pid: int) -> Path:
        return self._directory / f"stopping-{pid}"

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._pids.discard(pid)

    def kill_all(self) -> None:
        for pid in list(self._pids):
            self.kill(pid)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as ending:
        made = Workers(tmp_path)
        ending.callback(made.kill_all)
        yield made


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_worker_that_is_not_elected_holds_one_thread_however_many_jobs_there_are(workers: Workers) -> None:
    elections = Elections()
    jobs = [workers.job(name, exclusive=name != "health") for name in ("purge", "cluster", "acme", "health")]
    first = workers.fork(elections, jobs)
    wait_until("they run", lambda: len(workers.ran()) == 4)
    others = [workers.fork(elections, jobs) for _ in range(2)]

    wait_until("the others wait", lambda: {threads(pid) for pid in others} == {2})
    assert {pid for _, pid in workers.ran()} == {first}


def test_another_process_takes_over_at_once_when_the_elected_one_is_killed(workers: Workers) -> None:
    elections = Elections()
    jobs = [workers.job("health", exclusive=False), workers.job("purge")]
    elected = workers.fork(elections, jobs)
    wait_until("they run", lambda: len(workers.ran()) == 2)
    successor = workers.fork(elections, jobs)
    wait_until("it waits", lambda: threads(successor) == 2)

    workers.kill(elected)

    wait_until("it runs them", lambda: len(workers.ran()) == 4)
    assert sorted(workers.ran()[2:]) == [("health", successor), ("purge", successor)]


def test_after_a_reload_exclusive_jobs_wait_until_the_processes_before_have_ended_and_others_do_not(
    workers: Workers,
) -> None:
    elections = Elections()
    jobs = [workers.job("purge"), workers.job("health", exclusive=False)]
    before = workers.fork(elections, jobs)
    wait_until("they run", lambda: len(workers.ran()) == 2)

    after = workers.fork(elections.renewed(), jobs)

    wait_until("health is looked at", lambda: ("health", after) in workers.ran())
    time.sleep(0.1)
    assert ("purge", after) not in workers.ran()
    workers.kill(before)
    wait_until("uploads are purged", lambda: ("purge", after) in workers.ran())


def test_a_process_that_is_told_to_stop_begins_no_job_and_leaves_the_election_to_others(workers: Workers) -> None:
    elections = Elections()
    jobs = [workers.job("purge", then=lambda: 0.01), workers.job("health", exclusive=False, then=lambda: 0.01)]
    elected = workers.fork(elections, jobs)
    wait_until("they run", lambda: len(workers.ran()) >= 4)
    stopping = workers.fork(elections, jobs)
    wait_until("it waits", lambda: threads(stopping) == 2)

    workers.stop(elected)
    wait_until("its jobs end", lambda: threads(elected) == 1)
    before = workers.ran()
    workers.stop(stopping)
    workers.kill(elected)
    wait_until("it does not want to be elected", lambda: threads(stopping) == 1)
    assert workers.ran() == before

    successor = workers.fork(elections, jobs)
    wait_until("another one runs them", lambda: {("purge", successor), ("health", successor)} <= set(workers.ran()))


def test_a_job_whose_thread_trips_over_something_is_begun_anew(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.jobs.runner._RETRY_SECONDS", 0.01)
    bugs = [LookupError("a bug")]

    def first_pause() -> float:
        if bugs:
            raise bugs.pop()
        return 0.0

    workers.fork(Elections(), [replace(workers.job("job"), interval_seconds=0.01, first_pause=first_pause)])

    wait_until("it runs", workers.ran)


def test_a_job_whose_interval_is_nanoseconds_pauses_all_the_same(workers: Workers) -> None:
    begun = time.monotonic()
    workers.fork(Elections(), [workers.job("often", then=lambda: 1e-8)])

    wait_until("it has run five times", lambda: len(workers.ran()) >= 5)
    assert time.monotonic() - begun >= 4 * 0.1


def test_what_is_known_of_jobs_outlasts_a_reload(workers: Workers) -> None:
    workers.board.post([JobState("job", LONG_AGO, LONG_AGO, "an error")])
    assert JobBoard(workers.board.read()).read() == [JobState("job", LONG_AGO, None, "an error")]


def test_a_job_that_hangs_holds_up_no_other(workers: Workers) -> None:
    def hang() -> float:
        threading.Event().wait()
        return 0

    workers.fork(Elections(), [workers.job("hangs", then=hang), workers.job("often", then=lambda: 0.01)])

    wait_until("the other one runs on", lambda: [name for name, _ in workers.ran()].count("often") >= 3)
    assert [name for name, _ in workers.ran()].count("hangs") == 1
    (state,) = [each for each in workers.board.read() if each.name == "hangs"]
    assert state == JobState("hangs")


def expected() -> float:
    raise JobFailedError("the disk is full, _state=hunter2", pause_seconds=60)


def unexpected() -> float:
    raise LookupError("a bug")


@pytest.mark.parametrize(
    ("then", "error", "pause"),
    [
        (lambda: 60.0, "", 60),
        (lambda: None, "", HOUR),
        (expected, "the disk is full, _state=...", 60),
        (unexpected, "LookupError: a bug", HOUR),
    ],
)
def test_the_board_tells_when_a_job_has_run_and_will_run_and_what_went_wrong(
    workers: Workers, then: Callable[[], float | None], error: str, pause: float
) -> None:
    workers.board.post([JobState("job", LONG_AGO, None, "another error"), JobState("gone")])
    began = time.time()
    workers.fork(Elections(), [workers.job("job", then=then)])

    wait_until("it has run", lambda: workers.board.read()[0].next_run and workers.board.read()[0].last_run != LONG_AGO)

    (state,) = workers.board.read()
    assert state.error == error
    assert state.last_run is not None
    assert state.next_run is not None
    assert began <= state.last_run <= time.time()
    assert state.next_run - state.last_run == pytest.approx(pause, abs=1)
    assert workers.board.errors() == ({"job_job": error} if error else {})


def test_jobs_of_one_name_all_run(workers: Workers) -> None:
    twins = [workers.job("check", exclusive=False) for _ in range(2)]
    workers.fork(Elections(), twins)
    wait_until("both run", lambda: len(workers.ran()) == 2)


def test_what_fails_around_the_jobs_is_tried_again_and_begins_none_twice(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.jobs.runner._RETRY_SECONDS", 0.01)

    class Failing(Election):
        failures = 2

        def wait(self) -> None:
            super().wait()
            if self.failures:
                self.failures -= 1
                raise OSError(errno.ENOLCK, "No locks available")

    elections = Elections(server=Failing())
    workers.fork(elections, [workers.job("health", exclusive=False), workers.job("purge")])
    wait_until("both run", lambda: len(workers.ran()) >= 2)
    assert sorted(name for name, _ in workers.ran()) == ["health", "purge"]


def test_a_job_that_should_have_run_is_told_whatever_has_become_of_its_thread() -> None:
    board, now = JobBoard(), time.time()
    board.post([JobState("late", None, now - 100), JobState("due", None, now - 1), JobState("runs", now - 1000, None)])

    (error,) = board.errors().items()
    assert error[0] == "job_late"
    assert error[1].startswith("was to run at 2")


def test_the_longest_states_fit() -> None:
    board = JobBoard()
    board.post(JobState(chr(0x1F600 + n) * 1000, 1e10 / 3, 1e10 / 3, "\U0001f600" * 1000) for n in range(200))
    assert len(board.read()) == 100


def test_a_job_waits_for_its_first_run_and_keeps_what_was_known_of_the_last_one(workers: Workers) -> None:
    workers.board.post([JobState("job", LONG_AGO, None, "an error")])
    workers.fork(Elections(), [Job("job", lambda: None, 1, first_pause=lambda: HOUR)])

    wait_until("the next run is known", lambda: workers.board.read()[0].next_run)

    (state,) = workers.board.read()
    assert (state.last_run, state.error) == (LONG_AGO, "an error")
    assert state.next_run == pytest.approx(time.time() + HOUR, abs=60)
    assert workers.board.table()["job"]["last_run"] == "1970-01-01T00:16:40+00:00"


def test_a_process_that_stops_waits_for_runs_that_end_soon_and_for_no_others() -> None:
    begun, told, ended = threading.Event(), threading.Event(), threading.Event()
    hangs = threading.Event()

    def end_soon() -> float:
        begun.set()
        told.wait(SECONDS)
        time.sleep(0.05)
        ended.set()
        return HOUR

    jobs = [Job("soon", end_soon, HOUR, ends_soon=True), Job("long", lambda: float(hangs.wait(SECONDS)), HOUR)]
    runner = Runner(jobs, Elections(), JobBoard(), None, told.is_set)
    runner.start()
    assert begun.wait(SECONDS)
    told.set()

    runner.finish(SECONDS)

    assert ended.is_set()
    hangs.set()


def test_jobs_that_run_often_do_not_post_each_run(workers: Workers, tmp_path: Path) -> None:
    posts = tmp_path / "posts"
    posts.touch()

    class Board(JobBoard):
        def post(self, states: Iterable[JobState]) -> None:
            super().post(states)
            with posts.open("ab") as file:
                file.write(b".")

    workers.board = Board()
    before = posts.stat().st_size
    workers.fork(Elections(), [workers.job(f"often {number}", then=lambda: 0.1) for number in range(10)])
    wait_until("all have run often", lambda: len(workers.ran()) > 300)

    assert 1 <= posts.stat().st_size - before <= len(workers.ran()) / 5
    wait_until("it is told", lambda: all(state.last_run for state in workers.board.read()))
