"""What was meant by a word that nobody knows."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import takewhile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEAR: Final = 0.66
"""How much two words must have in common; this is above what words of equal length have by chance."""
_PREFIX_LENGTH: Final = 4
_PREFIX_WEIGHT: Final = 0.1
"""People get the beginning of a word right (as Winkler found for Jaro's distance of names)."""


def meant(word: str, known: Iterable[str]) -> str:
    """Return which of the `known` words `word` is most like, whatever its case; "" if it is like none."""
    word = word.lower()
    likeness, closest = max(((_likeness(word, each.lower()), each) for each in sorted(known)), default=(0.0, ""))
    return closest if likeness >= _NEAR else ""


def question(word: str, known: Iterable[str]) -> str:
    """Return `` (is X meant?)``, to be put behind what is said of `word`; "" if it is like none of the `known`."""
    found = meant(word, known)
    return f" (is {found} meant?)" if found else ""


def _likeness(one: str, other: str) -> float:
    pairs = zip(one[:_PREFIX_LENGTH], other[:_PREFIX_LENGTH], strict=False)
    prefix = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return SequenceMatcher(None, one, other).ratio() + prefix * _PREFIX_WEIGHT
