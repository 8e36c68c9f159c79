"""One deadline for a whole exchange: the timeouts of sockets begin anew with each byte."""

from __future__ import annotations

import time


class Deadline:
    """The moment `seconds` after this was made; with None it never comes."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining_seconds(self) -> float | None:
        """Return for how long one may still wait, None without end.

        Raises:
            TimeoutError: the moment has come.
        """
        if self._at is None:
            return None
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining
