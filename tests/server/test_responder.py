from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from registry.server import responder
from registry.server.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.connection import Connection


class Writing(Responder):
    """A responder whose requests take `seconds` of a clock of its own."""

    def __init__(self) -> None:
        self._write_seconds = 0.0
        self.seconds = 0.0
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def _respond(self, request: Any, connection: Connection, hand_over: Callable[[], None]) -> None:
        del request, connection, hand_over
        self._now += self.seconds

    def hands_over(self, ahead: float = math.inf, length: float = math.inf) -> bool:
        """Tell whether a request with such a body is handed over."""
        handed: list[bool] = []
        request = SimpleNamespace(fields=SimpleNamespace(body_length=length))
        connection = SimpleNamespace(ahead=ahead)
        self._respond_to_write(request, connection, lambda: handed.append(True))  # type: ignore[arg-type]  # all that is asked of them
        return bool(handed)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Writing:
    made = Writing()
    monkeypatch.setattr(responder, "time", made)
    return made


def test_a_small_body_is_led_on_with_while_writing_is_quick(worker: Writing) -> None:
    assert [worker.hands_over(length=0) for _ in range(3)] == [False] * 3

    worker.seconds = 0.02
    slow = [worker.hands_over(length=1000) for _ in range(4)]
    worker.seconds = 0.0
    quick = [worker.hands_over(length=1000) for _ in range(60)]

    assert slow == [False, True, True, True]
    assert quick[0]
    assert not quick[-1]


def test_a_large_body_and_one_of_unknown_length_are_handed_over_and_say_nothing_of_small_ones(
    worker: Writing,
) -> None:
    worker.seconds = 0.02

    assert worker.hands_over(length=1024 * 1024 + 1)
    assert worker.hands_over()
    assert not worker.hands_over(length=1024 * 1024)


def test_a_body_that_has_not_arrived_is_handed_over(worker: Writing) -> None:
    assert worker.hands_over(ahead=999, length=1000)
    assert not worker.hands_over(ahead=1000, length=1000)
