"""Lists of repositories and of tags in the index, in several orders, a page at a time.

A page begins after a place, a text that the page before has given: the name of the last row that it has looked at,
before which what it is sorted by stands, with a colon, unless that is the name. A repository there may be one that is
not shown: registry.index.reader lets nobody read the place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.browsing.shapes import RepositoriesPage, RepositoryRow, TagRow, TagsPage
from registry.index import ordering
from registry.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

_JUDGED: Final = 2000
"""Repositories that are judged for one page, at most."""
_MOST_ALIASES: Final = 20
_NEVER: Final = "9e99"
"""What is not known comes last, whichever way a list is sorted; no value is as large as this."""


class _Order(NamedTuple):
    """An order: by `value`, an expression that gives a number, and where that is the same, by the name.

    An order by the name alone has no value.
    """

    value: str = "0"
    descending: bool = False

    @property
    def by(self) -> str:
        """What to order by."""
        return _NAME if self == _BY_NAME else f"{self.value} {'DESC' if self.descending else ''}, {_NAME}"

    def behind(self, after: str, ordering_of: Callable[[str], str]) -> tuple[str, Sequence[object]]:
        """Return the condition of what comes after the place `after`, and its values.

        Raises:
            ValueError: it is not one of this order.
        """
        if not after:
            return "true", ()
        if self == _BY_NAME:
            return f"{_NAME} > ?", (ordering_of(after),)
        value, _, name = after.partition(":")
        sign = "<" if self.descending else ">"
        condition = f"({self.value} {sign} ? OR ({self.value} = ? AND {_NAME} > ?))"
        return condition, (float(value), float(value), ordering_of(name))

    def place(self, value: float, name: str) -> str:
        """Return the place behind the row with this value and name."""
        return name if self == _BY_NAME else f"{value!r}:{name}"


_NAME: Final = "ordering"
_BY_NAME: Final = _Order()
_ORDERS: Final = {
    "name": _BY_NAME,
    "pushed": _Order(f"coalesce(pushed, {_NEVER})"),
    "-pushed": _Order("coalesce(pushed, 0)", descending=True),
    "size": _Order(f"coalesce(size, {_NEVER})"),
    "-size": _Order("coalesce(size, -1)", descending=True),
}


def tags(connection: sqlite3.Connection, repository: str, sort: str, after: str, limit: int) -> TagsPage:
    """Return what registry.index.reader.Index.tags() does."""
    order = _ORDERS[sort]
    where, values = order.behind(after, ordering.of_tag)
    found = connection.execute("SELECT id, tags FROM repositories WHERE name = ?", (repository,)).fetchone()
    number, total = found or (None, 0)
    query = f"""
        SELECT {order.value}, name, digest, media_type, size, platforms, pushed, (
            SELECT json_group_array(name) FROM (
                SELECT name FROM tags AS twins
                WHERE twins.manifest = tags.manifest AND twins.repository = tags.repository AND twins.name != tags.name
                AND NOT twins.dangling
                ORDER BY ordering LIMIT {_MOST_ALIASES}
            )
        )
        FROM tags LEFT JOIN manifests ON manifest = manifests.id AND NOT dangling
        WHERE repository = ? AND {where} ORDER BY {order.by} LIMIT ?
    """  # noqa: S608  of constants
    rows = connection.execute(query, (number, *values, limit + 1)).fetchall()
    following = order.place(*rows[limit - 1][:2]) if len(rows) > limit else None
    return TagsPage(tuple(_row(*row) for _, *row in rows[:limit]), following, total, sort)


def _row(  # noqa: PLR0913, PLR0917  the columns of a query
    name: str,
    digest: str | None,
    media_type: str | None,
    size: int | None,
    platforms: str | None,
    pushed: float | None,
    aliases: str,
) -> TagRow:
    return TagRow(
        name,
        Digest.parse(digest) if digest else None,
        media_type,
        size,
        tuple(json.loads(platforms or "[]")),
        pushed,
        tuple(json.loads(aliases)),
    )


def repositories(
    connection: sqlite3.Connection, sort: str, shows: Callable[[str], bool], after: str, limit: int
) -> RepositoriesPage:
    """Return what registry.index.reader.Index.repositories() does."""
    order = _ORDERS[sort]
    where, values = order.behind(after, ordering.of_repository)
    query = f"""
        SELECT {order.value}, name, tags, pushed, size FROM repositories
        WHERE {where} ORDER BY {order.by} LIMIT ?
    """  # noqa: S608  of constants
    shown: list[RepositoryRow] = []
    last = ""
    rows = connection.execute(query, (*values, _JUDGED + 1))
    for judged, (value, *row) in enumerate(rows):
        if judged == _JUDGED or len(shown) == limit:
            return RepositoriesPage(tuple(shown), last)
        last = order.place(value, row[0])
        if shows(row[0]):
            shown.append(RepositoryRow(*row))
    return RepositoriesPage(tuple(shown), None)
