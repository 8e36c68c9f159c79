from __future__ import annotations

import os
import signal
from select import select
from typing import TYPE_CHECKING

import pytest

from registry.foundation.election import Election

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON_SECONDS = 0.2
PATIENCE_SECONDS = 60


@pytest.fixture
def candidate() -> Iterator[Callable[[Election], tuple[int, int]]]:
    """Fork a process that waits to be elected; gives its id and a pipe that says when it is."""
    children: list[int] = []

    def fork(election: Election) -> tuple[int, int]:
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            election.wait()
            os.write(tell, b".")
            signal.pause()
        children.append(child)
        return child, told

    yield fork
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def is_elected(told: int, seconds: float) -> bool:
    return bool(select([told], [], [], seconds)[0])


def test_one_process_is_elected_and_its_successor_when_it_was_killed(
    candidate: Callable[[Election], tuple[int, int]],
) -> None:
    election = Election()
    first, first_told = candidate(election)
    assert is_elected(first_told, PATIENCE_SECONDS)
    _, second_told = candidate(election)
    assert not is_elected(second_told, SOON_SECONDS)

    os.kill(first, signal.SIGKILL)

    assert is_elected(second_told, PATIENCE_SECONDS)


def test_a_process_that_closes_it_takes_the_office_from_nobody(
    candidate: Callable[[Election], tuple[int, int]],
) -> None:
    election = Election()
    _, first_told = candidate(election)
    assert is_elected(first_told, PATIENCE_SECONDS)
    _, second_told = candidate(election)

    election.close()

    assert not is_elected(second_told, SOON_SECONDS)
