"""How fast the time of something grows with its input: the ratio of two sizes in one run, not a time."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

FACTOR = 8
"""How much larger the large input is."""


def growth(run: Callable[[T], object], make: Callable[[int], T], size: int) -> float:
    """Return by how much longer `run` takes for an input of ``FACTOR * size`` than for one of `size`.

    It is near FACTOR for linear time, near FACTOR squared for quadratic time.
    """
    small, large = make(size), make(FACTOR * size)
    return _shortest(run, large) / _shortest(run, small)


def grows_linearly(run: Callable[[T], object], make: Callable[[int], T], size: int = 4000) -> bool:
    """Tell whether the time of `run` grows with its input and not with the square of it."""
    # A machine that others use makes single runs longer, never shorter.
    return any(growth(run, make, size) < FACTOR * FACTOR / 3 for _ in range(3))


def _shortest(run: Callable[[T], object], given: T) -> int:
    times = []
    for _ in range(3):
        # What the collector looks through is all that other tests have left in the process.
        gc.disable()
        try:
            began = time.thread_time_ns()
            run(given)
            times.append(time.thread_time_ns() - began)
        finally:
            gc.enable()
    return max(1, min(times))
