"""The orders of names, as texts that sort so byte by byte."""

from __future__ import annotations

import re
from typing import Final

BEHIND: Final = '"'
"""Sorts behind what stands for a slash in of_repository(), and before all else in a name."""

_NUMBER: Final = re.compile("0*([0-9]+)")


def of_repository(name: str) -> str:
    """Return what sorts as the catalog does, where ``a/b`` comes before ``a-b``, of a name or the beginning of one."""
    return name.replace("/", "!")


def repository_of(ordering: str) -> str:
    """Return the name of which of_repository() has given `ordering`."""
    return ordering.replace("!", "/")


def of_tag(name: str) -> str:
    """Return what sorts as people count, ``v1.9`` before ``v1.10``; each tag has its own."""
    counted = _NUMBER.sub(lambda number: f"\1{len(number[1]):03}{number[1]}", name)
    # Tags that count the same, v1 and v01, come one after another.
    return f"{counted}\0{name}"
