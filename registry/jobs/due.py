"""When work that hosts share is due, by when the last of it ended, which another host or the storage may have told."""

from __future__ import annotations

from typing import Final

_CLOCKS_SECONDS: Final = 300.0
"""How far the clocks of hosts and of the storage may be apart."""


def seconds_left(ended: float, interval: float, now: float, *, clocks: float = _CLOCKS_SECONDS) -> float:
    """Return how many seconds remain until it is due, at most `interval`; 0 if it is.

    `clocks` is by how many seconds clocks may differ. What ended further in the future than that tells nothing, because
    a clock was wrong then or is now: it is due. Otherwise it would not be done until that time has come.
    """
    passed = now - ended
    if passed < -clocks:
        return 0.0
    return min(interval, max(0.0, interval - passed))
