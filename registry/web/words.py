"""Numbers, moments, digests and texts of others as pages show them; templates have these as filters."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from registry.foundation.printable import printable
from registry.foundation.sizes import spelled
from registry.foundation.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHORT_DIGITS: Final = 12
_LINE: Final = re.compile(r"[^\n\t]+")
_STEPS: Final = (
    (60, "minute"),
    (3600, "hour"),
    (86400, "day"),
    (30 * 86400, "month"),
    (365 * 86400, "year"),
)


def ago(at: float, now: float | None = None) -> str:
    """Return how long ago `at` was, in seconds since 1970: ``3 days ago``; what is to come is ``in 3 days``."""
    seconds = (time.time() if now is None else now) - at
    told = ""
    for length, unit in _STEPS:
        count = int(abs(seconds) // length)
        if count:
            told = f"{count} {unit}{'s' if count > 1 else ''}"
    if not told:
        return "just now" if seconds >= 0 else "in a moment"
    return f"{told} ago" if seconds >= 0 else f"in {told}"


def short(digest: object) -> str:
    """Return the first digits of a digest, without its algorithm if that is the usual one."""
    algorithm, _, digits = str(digest).partition(":")
    return digits[:_SHORT_DIGITS] if algorithm == "sha256" else f"{algorithm}:{digits[:_SHORT_DIGITS]}"


def visible(text: object) -> str:
    r"""Return a text of others so that all of it is seen: what turns its direction, hides or controls is escaped.

    Line breaks and tabs stay; a character that has text run from right to left becomes ``\u202e``.
    """
    told = str(text)
    return told if told.isprintable() else _LINE.sub(lambda found: printable(found[0]), told)


def shown(value: object) -> str:
    """Return what a page has in place of an expression of its template: HTML as it is, all else so that it is seen."""
    return value if isinstance(value, Markup) else visible(value)


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "size": spelled,
    "moment": rfc3339,
    "ago": ago,
    "short": short,
    "quoted": shlex.quote,
}
"""By the names that templates use: ``{{ row.size | size }}``."""
