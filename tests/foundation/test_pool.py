from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from registry.foundation.pool import Pool
from tests.faults import no_more_threads

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2) as made:
        yield made


def test_work_is_done_by_threads_of_the_pool(pool: Pool) -> None:
    assert pool.submit(threading.get_ident).result() != threading.get_ident()
    assert list(pool.map(str, range(5))) == ["0", "1", "2", "3", "4"]


def test_where_no_thread_can_be_started_the_caller_does_the_work(pool: Pool) -> None:
    with no_more_threads():
        assert pool.submit(threading.get_ident).result(0) == threading.get_ident()
        assert list(pool.map(str, range(5))) == ["0", "1", "2", "3", "4"]
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result(0)


def test_work_that_a_thread_finds_in_the_queue_later_is_not_done_twice(pool: Pool) -> None:
    done: list[int] = []

    with no_more_threads():
        for number in range(5):
            pool.submit(done.append, number)
    pool.submit(done.append, 5).result()

    assert done == [0, 1, 2, 3, 4, 5]


def test_work_that_has_not_begun_can_be_cancelled(pool: Pool) -> None:
    go_on = threading.Event()
    for _ in range(2):
        pool.submit(go_on.wait)
    waiting = pool.submit(str, 1)

    assert waiting.cancel()
    go_on.set()
    with pytest.raises(CancelledError):
        waiting.result()


def test_steps_have_the_context_of_their_caller_and_leave_it_alone(pool: Pool) -> None:
    request = ContextVar("request", default="none")
    request.set("this")

    def ask() -> str:
        before = request.get()
        request.set("another")
        return before

    assert pool.together([ask, ask, request.get]) == ["this"] * 3
    assert request.get() == "this"


def test_steps_that_no_thread_takes_are_done_by_the_caller(pool: Pool) -> None:
    go_on = threading.Event()
    for _ in range(2):
        pool.submit(go_on.wait)

    assert pool.together([threading.get_ident] * 3) == [threading.get_ident()] * 3
    with no_more_threads():
        assert pool.together([threading.get_ident] * 3) == [threading.get_ident()] * 3
    go_on.set()
