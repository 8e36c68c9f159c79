"""What is held of each upstream and by each repository, for people who look at a cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from registry.config.upstreams import Upstream
    from registry.proxy.eviction.usage import Usage

_HELD: Final = """
    SELECT upstream, max(name), coalesce(sum(kind = 'revision'), 0), coalesce(sum(kind = 'layer'), 0),
    coalesce(max(used), 0) FROM links JOIN repositories ON repositories.id = repository WHERE NOT chosen AND {}
"""
_HELD_SIZE: Final = """
    SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (
        SELECT target FROM links JOIN repositories ON repositories.id = repository WHERE NOT chosen AND {}
    )
"""
_HELD_TAGS: Final = """
    SELECT count(*) FROM tags JOIN repositories ON repositories.id = repository WHERE NOT chosen AND {}
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of an upstream, or by a repository: bytes, each counted once, and the last use of any of it."""

    name: str
    upstream: str
    tags: int
    manifests: int
    blobs: int
    size: int
    used: float


def held_of_upstreams(usage: Usage, upstreams: Iterable[Upstream]) -> Iterator[Held]:
    """Yield what is held of each upstream of which anything is."""
    for each in upstreams:
        found = _held(usage.connection, "upstream = ?", each.name)
        if found:
            yield replace(found, name=each.name)


def held_by_repositories(usage: Usage) -> Iterator[Held]:
    """Yield what each repository holds, in the order of the catalog."""
    query = "SELECT name FROM repositories ORDER BY replace(name, '/', char(1))"
    for (name,) in usage.connection.execute(query).fetchall():
        found = _held(usage.connection, "repositories.name = ?", name)
        if found:
            yield found


def _held(connection: sqlite3.Connection, condition: str, value: str) -> Held | None:
    row = connection.execute(_HELD.format(condition), (value,)).fetchone()
    tags = connection.execute(_HELD_TAGS.format(condition), (value,)).fetchone()[0]
    upstream, name, manifests, blobs, used = row
    if not upstream:
        return None
    size = connection.execute(_HELD_SIZE.format(condition), (value,)).fetchone()[0]
    return Held(name, upstream, tags, manifests, blobs, size, used)
