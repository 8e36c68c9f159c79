"""What the client of an upstream tells of its work to whoever counts."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts for all upstreams; called from any thread, and raises nothing."""

    def asked(self, upstream: str, code: str, seconds: float) -> None:
        """Count a request: `code` is the status of its answer, or "error"; `seconds` until its head had come."""

    def limited(self, upstream: str, remaining: int) -> None:
        """Take note of how many pulls the upstream says are left (``RateLimit-Remaining``)."""

    def circuit(self, upstream: str, *, is_open: bool) -> None:
        """Take note that the upstream is asked no more for a while, or is again."""


class NoMeter:
    """A Meter that counts nothing."""

    def asked(self, upstream: str, code: str, seconds: float) -> None:
        """Count nothing."""

    def limited(self, upstream: str, remaining: int) -> None:
        """Count nothing."""

    def circuit(self, upstream: str, *, is_open: bool) -> None:
        """Count nothing."""
