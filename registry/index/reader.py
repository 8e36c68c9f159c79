"""What the workers ask the index: a search, and lists of repositories and tags in other orders than that of names.

Nothing here raises anything for want of an index. Where there is none, or it is damaged, or not complete enough for
the question, the answer is None, and the caller looks into the storage. What an answer says may be some seconds old.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from registry.browsing.shapes import Progress, RepositoriesPage, RepositoryRow, TagRow, TagsPage
from registry.index import schema
from registry.index.level import level
from registry.index.searching import search
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from registry.browsing.shapes import Hits, Level

_MOST_IDLE: Final = 4
_JUDGED: Final = 2000
"""Repositories that are judged for one page, at most."""
_MOST_ALIASES: Final = 20
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class _Order(NamedTuple):
    """An order: by `value`, an expression, of the type `kind`, and where that is the same, by `name`."""

    value: str
    kind: Callable[[str], float | str]
    name: str
    descending: bool = False


_REPOSITORIES: Final = {
    "name": _Order("ordering", str, "ordering"),
    "pushed": _Order("coalesce(pushed, 0)", float, "ordering"),
    "-pushed": _Order("coalesce(pushed, 0)", float, "ordering", descending=True),
    "size": _Order("coalesce(size, -1)", int, "ordering"),
    "-size": _Order("coalesce(size, -1)", int, "ordering", descending=True),
}
_TAGS: Final = {
    "name": _Order("tags.name", str, "tags.name"),
    "pushed": _Order("coalesce(pushed, 0)", float, "tags.name"),
    "-pushed": _Order("coalesce(pushed, 0)", float, "tags.name", descending=True),
    "size": _Order("coalesce(size, -1)", int, "tags.name"),
    "-size": _Order("coalesce(size, -1)", int, "tags.name", descending=True),
}


class Index:
    """The index at `path`, if it is that of the storage with this `identity`; threads may share it."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._identity = identity
        self._idle: deque[tuple[int, sqlite3.Connection]] = deque()

    def search(self, text: str, shows: Callable[[str], bool], after: str = "", limit: int = 50) -> Hits | None:
        """Return what has all words of `text` in its name: repositories, then tags; ``app:v1`` means tags of some.

        There is what `shows` takes by the repository's name, and nothing else.
        """
        return self._answer(lambda connection: search(connection, text, shows, after, limit))

    def level(self, path: str, shows: Callable[[str], bool], after: str = "", limit: int = 50) -> Level | None:
        """Return what lies directly below `path`, as registry.browsing.tree does."""
        return self._answer(lambda connection: level(connection, path, shows, after, limit))

    def tags(self, repository: str, sort: str = "name", after: str = "", limit: int = 50) -> TagsPage | None:
        """Return tags of a repository in an order: ``name``, ``pushed``, ``size``, with ``-`` the other way round."""
        return self._answer(lambda connection: _tags(connection, repository, sort, after, limit))

    def repositories(
        self, sort: str, shows: Callable[[str], bool], after: str = "", limit: int = 50
    ) -> RepositoriesPage | None:
        """Return repositories in an order, as tags(); a page may be short though there is more."""
        return self._answer(lambda connection: _repositories(connection, sort, shows, after, limit))

    def progress(self) -> Progress | None:
        """Return how far the index is."""
        return self._answer(_progress, complete=False)

    def _answer(self, ask: Callable[[sqlite3.Connection], _Answer], *, complete: bool = True) -> _Answer | None:
        try:
            inode, connection = self._take()
        except (sqlite3.Error, OSError, schema.NotAnIndexError) as error:
            _log.debug("there is no index: %s", error)
            return None
        good = False
        try:
            answer = ask(connection) if not complete or _is_complete(connection) else None
            good = True
        except (sqlite3.Error, ValueError, TypeError, DigestInvalidError) as error:
            self._tell(error)
            return None
        else:
            return answer
        finally:
            if good and len(self._idle) < _MOST_IDLE:
                self._idle.append((inode, connection))
            else:
                connection.close()

    def _take(self) -> tuple[int, sqlite3.Connection]:
        """Return a connection to the file that is there now, and its inode.

        Raises:
            sqlite3.Error, OSError, NotAnIndexError: there is none.
        """
        inode = os.stat(self._path).st_ino  # noqa: PTH116  each answer asks, and a Path takes longer
        while self._idle:
            with suppress(IndexError):  # another thread has taken it
                opened, connection = self._idle.pop()
                if opened == inode:
                    return inode, connection
                connection.close()
        connection = schema.open_to_read(self._path, self._identity)
        # What is beside the file is that of another one if it was replaced as it was opened.
        if os.stat(self._path).st_ino != inode:  # noqa: PTH116  as above
            connection.close()
            raise schema.NotAnIndexError("it was replaced")
        return inode, connection

    def _tell(self, error: Exception) -> None:
        """Leave word for the writer that the file is damaged, if it is: then it makes a new one."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code & 0xFF in _DAMAGED:
            _log.warning("the index cannot be used: %s", error)
            with suppress(OSError):
                schema.damaged_mark(self._path).touch()
        else:
            _log.debug("the index does not answer: %s", error)


def _is_complete(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM state WHERE key = 'scanned' AND value").fetchone() is not None


def _progress(connection: sqlite3.Connection) -> Progress:
    counts = (
        "repositories",
        "tags",
        "tags WHERE unread",
        "manifests WHERE unread",
    )
    repositories, tags, links, manifests = (
        connection.execute(f"SELECT count(*) FROM {each}").fetchone()[0]  # noqa: S608  constants
        for each in counts
    )
    unread = links + manifests
    scanned = connection.execute("SELECT value FROM state WHERE key = 'scanned'").fetchone()
    complete = scanned[0] if scanned else None
    return Progress(complete, complete is not None and not unread, repositories, tags, unread)


def _tags(connection: sqlite3.Connection, repository: str, sort: str, after: str, limit: int) -> TagsPage:
    order = _TAGS[sort]
    where, values = _behind(order, after)
    found = connection.execute("SELECT id, tags FROM repositories WHERE name = ?", (repository,)).fetchone()
    number, total = found or (None, 0)
    query = f"""
        SELECT {order.value}, tags.name, digest, media_type, size, platforms, pushed, (
            SELECT json_group_array(name) FROM (
                SELECT name FROM tags AS twins
                WHERE twins.manifest = tags.manifest AND twins.repository = tags.repository AND twins.name != tags.name
                ORDER BY name LIMIT {_MOST_ALIASES}
            )
        )
        FROM tags LEFT JOIN manifests ON manifest = manifests.id
        WHERE repository = ? AND {where} ORDER BY {_by(order)} LIMIT ?
    """  # noqa: S608  of constants
    rows = connection.execute(query, (number, *values, limit + 1)).fetchall()
    following = _cursor(rows[limit - 1][0], rows[limit - 1][1]) if len(rows) > limit else None
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


def _repositories(
    connection: sqlite3.Connection, sort: str, shows: Callable[[str], bool], after: str, limit: int
) -> RepositoriesPage:
    order = _REPOSITORIES[sort]
    where, values = _behind(order, after)
    query = f"""
        SELECT {order.value}, ordering, name, tags, pushed, size FROM repositories
        WHERE {where} ORDER BY {_by(order)} LIMIT ?
    """  # noqa: S608  of constants
    shown: list[RepositoryRow] = []
    last = ""
    rows = connection.execute(query, (*values, _JUDGED + 1))
    for judged, (value, ordering, *row) in enumerate(rows):
        if judged == _JUDGED or len(shown) == limit:
            return RepositoriesPage(tuple(shown), last)
        last = _cursor(value, ordering)
        if shows(row[0]):
            shown.append(RepositoryRow(*row))
    return RepositoriesPage(tuple(shown), None)


def _cursor(value: float | str, name: str) -> str:
    """Return what the next page begins after; what stands before the first colon is what it is sorted by."""
    return name if value == name else f"{value!r}:{name}"


def _behind(order: _Order, after: str) -> tuple[str, Sequence[object]]:
    """Return the condition of what comes after `after`, and its values.

    Raises:
        ValueError: `after` is not what _cursor() gives.
    """
    if not after:
        return "true", ()
    if order.kind is str:
        return f"{order.name} > ?", (after,)
    value, _, name = after.partition(":")
    sign = "<" if order.descending else ">"
    number = order.kind(value)
    return f"({order.value} {sign} ? OR ({order.value} = ? AND {order.name} > ?))", (number, number, name)


def _by(order: _Order) -> str:
    return f"{order.value} {'DESC' if order.descending else ''}, {order.name}"
