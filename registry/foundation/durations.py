"""Durations in Go's notation, ``1h30m``, ``500ms``, ``1.5s``, and with a unit of ours, the day of 24 hours: ``90d``."""

from __future__ import annotations

import re
from decimal import Decimal

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5 micro sign
    "μs": 1_000,  # U+03BC Greek mu, which Go takes as well
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
    "d": 24 * 3600 * NANOSECONDS,
}
_LONGEST = 2**63 - 1  # nanoseconds, about 292 years: Go's limit
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_TERM = re.compile(_NUMBER + r"(ns|us|µs|μs|ms|s|m|h|d)")
_BARE = re.compile(rf"[-+]?{_NUMBER}")
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_TERM.pattern})+)")


def parse(text: str) -> float:
    """Return the seconds that `text` stands for; a number other than 0 needs a unit.

    Raises:
        ValueError: `text` is not a duration, or a longer one than Go can count.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    nanoseconds = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _TERM.findall(text))
    if nanoseconds > _LONGEST:
        raise ValueError(text)
    return (-nanoseconds if text.startswith("-") else nanoseconds) / NANOSECONDS


def hint(text: str, unit: str = "s") -> str:
    """Return what to add to the error about `text`: with `unit`, if it is a number without one, else nothing."""
    return f"; a unit is missing, as in {text}{unit}" if _BARE.fullmatch(text) and text != "0" else ""


def spell(seconds: float) -> str:
    """Return `seconds` in Go's notation, without days, exact to the nanosecond: ``90.5`` gives ``1m30.5s``."""
    sign = "-" if seconds < 0 else ""
    left = round(abs(Decimal(seconds)) * NANOSECONDS)
    hours, left = divmod(left, _UNITS["h"])
    minutes, left = divmod(left, _UNITS["m"])
    words = [f"{hours}h"] if hours else []
    words += [f"{minutes}m"] if minutes else []
    if left or not words:
        whole, fraction = divmod(left, NANOSECONDS)
        words.append(f"{whole}.{fraction:09}".rstrip("0").rstrip(".") + "s")
    return sign + "".join(words)
