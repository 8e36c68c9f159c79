"""How fast is read: a check that takes days must leave the disks to the clients."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pacer:
    """Lets through `rate` bytes a second on average, any number of them if that is 0.

    What was not used is lost but for a second's worth, so that a pause is not followed by a rush.
    """

    def __init__(
        self,
        rate: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._pause = pause
        self._due = clock()

    def spend(self, size: int) -> None:
        """Wait until `size` bytes more that were read are in proportion."""
        if not self._rate:
            return
        now = self._clock()
        self._due = max(self._due, now - 1) + size / self._rate
        if self._due > now:
            self._pause(self._due - now)
