"""A level of the tree of repositories, by the names in the index.

What a level is followed by may be a name that is not shown: registry.index.reader lets nobody read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from registry.browsing.shapes import Child, Level
from registry.index.ordering import BEHIND, of_repository, repository_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_JUDGED: Final = 20_000
"""Repositories that are judged for one level, at most."""


class _Seen(NamedTuple):
    """What was seen of a child: whether any of it is shown, what it is if so, and how many names were judged."""

    is_repository: bool
    has_nested: bool
    judged: int


def level(connection: sqlite3.Connection, name: str, shows: Callable[[str], bool], after: str, limit: int) -> Level:
    """Return the children directly below `name`, "" for the root, that come after the child `after`."""
    prefix = of_repository(f"{name}/" if name else "")
    end = f"{prefix[:-1]}{BEHIND}" if prefix else "\x7f"
    position = f"{of_repository(after)}{BEHIND}" if after else prefix
    children: list[Child] = []
    left = _JUDGED
    last = after
    while row := connection.execute(
        "SELECT ordering FROM repositories WHERE ordering >= ? AND ordering < ? ORDER BY ordering LIMIT 1",
        (position, end),
    ).fetchone():
        if len(children) == limit or left <= 0:
            return Level(name, tuple(children), last)
        child = prefix + row[0][len(prefix) :].partition("!")[0]
        last = repository_of(child)
        seen = _look(connection, child, shows, left)
        left -= seen.judged
        if seen.is_repository or seen.has_nested:
            children.append(Child(last, seen.is_repository, seen.has_nested))
        position = f"{child}{BEHIND}"
    return Level(name, tuple(children), None)


def _look(connection: sqlite3.Connection, ordering: str, shows: Callable[[str], bool], most: int) -> _Seen:
    """Judge the repository and what is nested in it until one is shown; of more than `most` nothing is known."""
    is_repository, judged = False, 0
    query = "SELECT name, ordering FROM repositories WHERE ordering >= ? AND ordering < ? ORDER BY ordering LIMIT ?"
    # Between the name itself and those nested in it nothing else sorts.
    for name, found in connection.execute(query, (ordering, f"{ordering}{BEHIND}", most + 1)):
        judged += 1
        if shows(name):
            if found != ordering:
                return _Seen(is_repository, has_nested=True, judged=judged)
            is_repository = True
    return _Seen(is_repository, has_nested=False, judged=judged)
