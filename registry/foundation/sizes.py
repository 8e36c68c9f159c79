"""Numbers of bytes as people read and write them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_WRITTEN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?)?B?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse(text: str) -> int:
    """Return the number of bytes that `text` stands for: ``10GiB``, ``1.5 MiB``, ``4096``; ``10GB`` is 10**10 bytes.

    Raises:
        ValueError: `text` is not a number of bytes.
    """
    written = _WRITTEN.fullmatch(text)
    if not written:
        raise ValueError(text)
    number, prefix = Decimal(written[1]), (written[2] or "").lower()
    return int(number * (_STEP if prefix.endswith("i") else 1000) ** _POWERS[prefix.removesuffix("i")])


def spelled(size: int) -> str:
    """Return a number of bytes for people: ``1.5 GiB``."""
    value, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"
