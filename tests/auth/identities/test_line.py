from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from auth.identities.line import Line, LineFullError
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Queue:
    """Threads that stand in a line, one after the other, and note when they are served."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.served: list[str] = []
        self.refused: list[str] = []
        self._threads: list[threading.Thread] = []

    def stand(self, name: str, key: str) -> None:
        before = self.waiting
        thread = threading.Thread(target=self._stand, args=(name, key))
        thread.start()
        self._threads.append(thread)
        wait_until(f"{name} stands", lambda: self.waiting > before or name in self.refused)

    @property
    def waiting(self) -> int:
        return sum(map(len, self.line._waiting.values()))

    def end(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _stand(self, name: str, key: str) -> None:
        try:
            with self.line.turn(key):
                self.served.append(name)
        except LineFullError:
            self.refused.append(name)


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue(Line(most=5, most_of_one=3))
    yield queue
    queue.end()


def test_keys_are_served_in_turn(queue: Queue) -> None:
    with queue.line.turn("a"):
        for name in ("a1", "a2", "a3", "b1", "c1"):
            queue.stand(name, name[0])
        assert queue.served == []
    queue.end()
    assert queue.served == ["a1", "b1", "c1", "a2", "a3"]


def test_too_many_of_one_key_and_too_many_in_all_are_refused(queue: Queue) -> None:
    with queue.line.turn("a"):
        for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
            queue.stand(name, name[0])
    queue.end()
    assert queue.refused == ["a4", "c1"]


def test_a_turn_ends_with_an_error_as_well(queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), queue.line.turn("a"):
        _ = 1 // 0
    with queue.line.turn("a"):
        pass
    assert not queue.line._waiting
