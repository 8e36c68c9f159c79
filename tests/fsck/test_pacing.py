from __future__ import annotations

import pytest

from registry.fsck.pacing import Pacer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_reading_takes_as_long_as_the_rate_says() -> None:
    clock = Clock()
    pacer = Pacer(1000, clock=clock, pause=clock.pause)

    for _ in range(50):
        pacer.spend(100)

    assert clock.now == pytest.approx(105.0)


def test_a_pause_is_not_made_up_for_but_for_a_second() -> None:
    clock = Clock()
    pacer = Pacer(1000, clock=clock, pause=clock.pause)
    clock.now += 3600

    for _ in range(50):
        pacer.spend(100)

    assert clock.now == pytest.approx(3704.0)


def test_without_a_rate_nothing_is_waited_for() -> None:
    clock = Clock()

    Pacer(0, clock=clock, pause=clock.pause).spend(10**12)

    assert clock.now == 100.0
