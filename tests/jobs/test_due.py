from __future__ import annotations

import pytest

from registry.jobs.due import seconds_left

HOUR = 3600.0
NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("ended", "left"),
    [
        (NOW, HOUR),
        (NOW - 60, HOUR - 60),
        (NOW - HOUR, 0.0),
        (NOW - 99 * HOUR, 0.0),
        (NOW + 60, HOUR),
        (NOW + 2 * HOUR, 0.0),
    ],
    ids=["just now", "a while ago", "it is due", "long due", "another clock is ahead", "a clock was wrong"],
)
def test_what_ended_far_in_the_future_is_due(ended: float, left: float) -> None:
    assert seconds_left(ended, HOUR, NOW) == left
