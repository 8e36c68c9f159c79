"""The search in the index: parts of names, found by their trigrams, or by a look at each name where that is too short.

Repositories come first, in the order of the catalog, then tags, in byte order. The work for a page is bounded: so many
names are judged by the rights of who asks, and no more. What a page is followed by may be the place of a name that is
not shown: registry.index.reader lets nobody read it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from registry.browsing.shapes import Hit, Hits
from registry.index.ordering import of_repository

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

_JUDGED: Final = 2000
"""Names that are judged for one page, at most."""
_MOST_WORDS: Final = 8
_COMMON: Final = 1000
"""What more names have is not looked for by trigrams, which would name all of them first."""
_TRIGRAM: Final = 3
_LAST: Final = "~"
"""Sorts behind every tag."""
_WITH_TAG: Final = """
    SELECT name FROM repositories WHERE id IN (SELECT repository FROM tags WHERE tags.name = ?) AND ordering > ?
    ORDER BY ordering
"""
_Candidate = tuple[Hit | None, str]
"""What may be shown, None for what has been looked at for nothing; and what a page that ends with it is followed by."""
_may_be_in_a_name: Final = re.compile(r"[A-Za-z0-9._/-]+").fullmatch


def search(connection: sqlite3.Connection, text: str, shows: Callable[[str], bool], after: str, limit: int) -> Hits:
    """Return what registry.index.reader.Index.search() does."""
    left, colon, right = text.partition(":")
    words, in_tag = left.split(), right.split()
    if not words + in_tag or len(words + in_tag) > _MOST_WORDS or not all(map(_may_be_in_a_name, words + in_tag)):
        return Hits((), None)
    found = _Found(shows, limit)
    if colon:
        found.take(_tags_in(connection, words, in_tag, after))
        return found.hits()
    repository, is_tag, tag = after.partition(":")
    if not is_tag:
        found.take((Hit(name), name) for name in _repositories(connection, words, "ordering > ?", repository))
    if found.following is None:
        found.take(_tags(connection, words, tag, repository if is_tag else ""))
    return found.hits()


class _Found:
    """Takes what is shown, until there is enough of it or enough was judged."""

    def __init__(self, shows: Callable[[str], bool], limit: int) -> None:
        self._shows = shows
        self._limit = limit
        self._judged: dict[str, bool] = {}
        self._looked = 0
        self._last = ""
        self._rows: list[Hit] = []
        self.following: str | None = None

    def take(self, candidates: Iterator[_Candidate]) -> None:
        for hit, place in candidates:
            if len(self._rows) == self._limit or self._looked == _JUDGED:
                self.following = self._last
                return
            self._looked += 1
            self._last = place
            if hit and self._is_shown(hit.repository):
                self._rows.append(hit)

    def hits(self) -> Hits:
        return Hits(tuple(self._rows), self.following)

    def _is_shown(self, name: str) -> bool:
        shown = self._judged.get(name)
        if shown is None:
            shown = self._judged[name] = self._shows(name)
        return shown


def _repositories(connection: sqlite3.Connection, words: Sequence[str], behind: str, after: str) -> Iterator[str]:
    where, values = _has_all(connection, "repositories", words)
    query = f"SELECT name FROM repositories WHERE {where} AND {behind} ORDER BY ordering"  # noqa: S608  of constants
    for (name,) in connection.execute(query, (*values, of_repository(after))):
        yield name


def _tags(connection: sqlite3.Connection, words: Sequence[str], tag: str, repository: str) -> Iterator[_Candidate]:
    """Yield the tags that have all words, each with all its repositories, after that `tag` in that `repository`."""
    where, values = _has_all(connection, "tag_names", words)
    names = f"SELECT name FROM tag_names WHERE {where} AND name >= ? ORDER BY name"  # noqa: S608  of constants
    for (name,) in connection.execute(names, (*values, tag)):
        behind = of_repository(repository) if name == tag else ""
        for (found,) in connection.execute(_WITH_TAG, (name, behind)):
            yield Hit(found, name), f"{found}:{name}"


def _tags_in(
    connection: sqlite3.Connection, words: Sequence[str], in_tag: Sequence[str], after: str
) -> Iterator[_Candidate]:
    """Yield the tags with all of `in_tag` in the repositories with all `words`, after the tag `after`."""
    repository, _, tag = after.partition(":")
    where, values = _likes("tags", in_tag)
    tags = f"""
        SELECT tags.name FROM tags WHERE repository = (SELECT id FROM repositories WHERE name = ?)
        AND tags.name > ? AND {where} ORDER BY tags.name
    """  # noqa: S608  of constants
    for name in _repositories(connection, words, "ordering >= ?", repository):
        for (found,) in connection.execute(tags, (name, tag if name == repository else "", *values)):
            yield Hit(name, found), f"{name}:{found}"
        yield None, f"{name}:{_LAST}"


def _has_all(connection: sqlite3.Connection, table: str, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the condition that a name in `table` has all `words`, and its values."""
    long = [word for word in words if len(word) >= _TRIGRAM]
    if not long or not _has_words(connection):
        return _likes(table, words)
    query = f"SELECT rowid FROM {table}_words WHERE {table}_words MATCH ? LIMIT {_COMMON + 1}"  # noqa: S608  constants
    found = connection.execute(query, (" AND ".join(f'"{word}"' for word in long),)).fetchall()
    if len(found) > _COMMON:  # a look at one name after another comes to enough of them soon
        return _likes(table, words)
    where, values = _likes(table, [word for word in words if len(word) < _TRIGRAM])
    return f"{where} AND {table}.id IN ({','.join(str(number) for (number,) in found)})", values


def _likes(table: str, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    conditions = ["true", *(f"{table}.name LIKE ? ESCAPE '!'" for _ in words)]
    return " AND ".join(conditions), [f"%{word.replace('_', '!_')}%" for word in words]


def _has_words(connection: sqlite3.Connection) -> bool:
    row = connection.execute("SELECT value FROM state WHERE key = 'words'").fetchone()
    return bool(row and row[0])
