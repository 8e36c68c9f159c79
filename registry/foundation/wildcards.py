"""Wildcards as regular expressions that take no more than linear time, whatever the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def wildcards(segments: Sequence[str], one: str) -> str:
    """Return the regex of `segments` in this order, with any number of `one` between two of them.

    `one` is the regex of what a wildcard may skip at a time, for instance a character. Each segment is a regex whose
    match can end at one place only, given where it begins. Use ``fullmatch``.

    Where a segment is found first, it is taken for good (an atomic group): what a later place would leave for the
    segments after it, the first place leaves too. To try all places of each segment, as plain ``.*`` does, takes
    the power of the text's length that there are wildcards.
    """
    first, *rest = segments
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>{one}*?{each})" for each in middle) + f"{one}*{last}"


def starred(text: str, one: str) -> str:
    """Return the regex of `text`, in which ``*`` is any number of `one`, the regex of a character, and ``?`` is one."""
    segments = ["".join(one if char == "?" else re.escape(char) for char in part) for part in text.split("*")]
    return wildcards(segments, one)
