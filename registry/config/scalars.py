"""What a plain scalar stands for, as resolve.go of gopkg.in/yaml.v2 2.4 decides it."""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Value: TypeAlias = str | bool | int | float | None

_WORDS: Final[dict[str, tuple[str, Value]]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), ("bool", True)),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), ("bool", False)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("float", math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("float", math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("float", -math.inf)),
    "<<": ("merge", "<<"),
}
_WHOLE: Final = {
    10: re.compile(r"([-+]?)(0|[1-9][0-9]*)"),
    8: re.compile(r"([-+]?)0[oO]?([0-7]+)"),
    16: re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)"),
    2: re.compile(r"([-+]?)0[bB]([01]+)"),
}
_FRACTION: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT_FIRST: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_MOST_DIGITS: Final = 64  # of an integer of Go's


def resolve(text: str) -> tuple[str, Value]:
    """Return the name of the type, ``str``, ``null``, ``bool``, ``int``, ``float`` or ``merge``, and the value."""
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("."):
        number = _float(text) if _POINT_FIRST.fullmatch(text) else None
    elif text.startswith(("-", "+", *"0123456789")):
        number = _number(text.replace("_", ""))
    else:
        number = None
    return ("str", text) if number is None else (type(number).__name__, number)


def _number(text: str) -> int | float | None:
    for base, pattern in _WHOLE.items():
        found = pattern.fullmatch(text)
        if found and len(digits := found[2].lstrip("0")) <= _MOST_DIGITS:
            number = int(f"{found[1]}{digits or 0}", base)
            if -(2**63) <= number < (2**63 if found[1] else 2**64):
                return number
    return _float(text) if _FRACTION.fullmatch(text) else None


def _float(text: str) -> float | None:
    number = float(text.replace("_", ""))
    return None if math.isinf(number) else number
