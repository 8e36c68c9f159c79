from __future__ import annotations

import math

import pytest

from registry.server import pace as pacing
from registry.server.pace import Pace, PaceLimits

LIMITS = PaceLimits(stall_seconds=20, rate=10, window_seconds=60)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pacing, "time", made)
    return made


def test_only_a_client_that_is_waited_for_is_too_slow(clock: Clock) -> None:
    pace = Pace()
    clock.now += 1000
    assert not pace.is_too_slow(LIMITS, clock.now)
    pace.begin()
    assert not pace.is_too_slow(LIMITS, clock.now + 20)
    assert pace.is_too_slow(LIMITS, clock.now + 20.1)
    pace.end()
    assert not pace.is_too_slow(LIMITS, clock.now + 1000)


@pytest.mark.parametrize(("each", "too_slow"), [(9, True), (11, False)])
def test_the_rate_is_that_of_a_window_of_waiting(clock: Clock, each: int, too_slow: bool) -> None:
    pace = Pace()
    found = []
    for _ in range(130):
        pace.begin()
        clock.now += 1
        found.append(pace.is_too_slow(LIMITS, clock.now))
        pace.moved(each)
        pace.end()
        clock.now += 100  # what the storage takes

    assert any(found[:59]) is False
    assert any(found) is too_slow


def test_a_quick_beginning_does_not_excuse_what_follows_for_ever(clock: Clock) -> None:
    pace = Pace()
    pace.begin()
    clock.now += 1
    pace.moved(10**9)
    found = []
    for _ in range(130):
        clock.now += 1
        pace.moved(1)
        found.append(pace.is_too_slow(LIMITS, clock.now))

    assert found.index(True) in range(58, 125)


def test_no_rate_and_no_stall_limit_let_a_client_take_its_time(clock: Clock) -> None:
    pace = Pace()
    pace.begin()
    assert not pace.is_too_slow(PaceLimits(math.inf, 0), clock.now + 10**6)
