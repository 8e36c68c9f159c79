"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime


def spell(time_ns: int) -> str:
    """Return a time, in nanoseconds since 1970, in UTC and cut off at the microsecond (RFC 3339)."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"


def rfc3339(at: float) -> str:
    """Return a time, in seconds since the epoch, as scripts read it (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
