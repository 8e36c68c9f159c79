"""How far long work has come, as those who do the work tell it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows how far the work has come."""

    def advance(self, size: int, what: str) -> None:
        """Note that `size` more bytes of `what` are done. Several threads may call this."""
