"""Moments as people type them: how long ago, or when."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from registry.foundation import durations

_SECOND_NS = 1_000_000_000
_MICROSECOND_NS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(click.ParamType[int]):
    """A duration before now, or a time (RFC 3339), which is in UTC unless it says otherwise; in ns since 1970."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, context: click.Context | None) -> int:
        """Return the moment."""
        if not isinstance(value, str):
            return value
        try:
            seconds = durations.parse(value)
        except ValueError:
            return self._convert_time(value, param, context)
        if seconds < 0:
            self.fail(f"{value!r} is negative; it counts back from now", param, context)
        return max(0, time.time_ns() - int(seconds * _SECOND_NS))

    def _convert_time(self, value: str, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            at = datetime.fromisoformat(value)
            since = (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
        except (ValueError, OverflowError):
            wrong = f"{value!r} is neither a duration such as 2h nor a time such as 2026-03-09T14:00:00Z"
            self.fail(wrong + durations.hint(value, "h"), param, context)
        return max(0, (since.days * 86400 + since.seconds) * _SECOND_NS + since.microseconds * _MICROSECOND_NS)
