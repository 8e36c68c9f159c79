"""What several threads want done at the same time one of them does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from registry.proxy.flights import Flights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager


class Work:
    """Work that takes until it is released; each time it is done has another number."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.released = threading.Semaphore(0)
        self.times = 0
        self.fails = False

    def __call__(self) -> int:
        self.times += 1
        number = self.times
        self.begun.release()
        assert self.released.acquire(timeout=10)
        if self.fails:
            raise ValueError(number)
        return number


class Waiting:
    """Counts who waits."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self) -> AbstractContextManager[None]:
        with self._lock:
            self.count += 1
        return nullcontext()

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while self.count < count:
            assert time.monotonic() < deadline
            time.sleep(0.001)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_those_who_come_meanwhile_get_what_the_first_does(pool: ThreadPoolExecutor) -> None:
    flights, work, waiting = Flights[int](), Work(), Waiting()

    def share() -> Future[int]:
        return pool.submit(flights.share, "a", work, waiting)

    results = [share()]
    assert work.begun.acquire(timeout=10)
    results += [share() for _ in range(9)]
    waiting.until(9)
    work.released.release()

    assert {result.result() for result in results} == {1}
    work.released.release()
    assert flights.share("a", work, waiting) == 2, "nothing is remembered"


def test_those_who_want_a_newer_answer_share_the_next(pool: ThreadPoolExecutor) -> None:
    flights, work, waiting = Flights[int](), Work(), Waiting()

    first = pool.submit(flights.share, "a", work, waiting, begun=False)
    assert work.begun.acquire(timeout=10)
    others = [pool.submit(flights.share, "a", work, waiting, begun=False) for _ in range(9)]
    waiting.until(9)
    work.released.release()
    assert first.result() == 1
    # One of them leads, the others come to wait for it, before or after it has begun.
    waiting.until(17)
    work.released.release()

    assert {other.result() for other in others} == {2}


@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_is_shared_by_all_who_wait(pool: ThreadPoolExecutor, *, begun: bool) -> None:
    flights, work, waiting = Flights[int](), Work(), Waiting()
    work.fails = True

    results = [pool.submit(flights.share, "a", work, waiting, begun=begun)]
    assert work.begun.acquire(timeout=10)
    results += [pool.submit(flights.share, "a", work, waiting, begun=begun) for _ in range(9)]
    waiting.until(9)
    work.released.release()

    for result in results:
        with pytest.raises(ValueError, match="1"):
            result.result()
    work.fails = False
    work.released.release()
    assert flights.share("a", work, waiting) == 2


def test_work_of_different_keys_goes_on_side_by_side(pool: ThreadPoolExecutor) -> None:
    flights, work, waiting = Flights[int](), Work(), Waiting()

    results = [pool.submit(flights.share, key, work, waiting) for key in "abc"]
    for _ in results:
        assert work.begun.acquire(timeout=10)
    for _ in results:
        work.released.release()

    assert sorted(result.result() for result in results) == [1, 2, 3]
    assert waiting.count == 0
