"""Listings of what is a name (registry.storage.names), without end, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.storage.names import IsName

PAGE: Final = 1000
"""Names that are asked for and held at once."""


def names_below(driver: StorageDriver, path: str, is_name: IsName, *, after: str = "") -> Iterator[str]:
    """Yield every name directly below `path` that sorts after `after`; holds no more than a page of them.

    All names are those of prefixes: below registry.storage.paths.ROOT no object has a name that is looked for.
    """
    yield from names_from(driver, path, is_name, driver.list_prefixes(path, after=after, limit=PAGE))


def names_from(driver: StorageDriver, path: str, is_name: IsName, found: list[str]) -> Iterator[str]:
    """Yield the names in `found`, a page of what lies directly below `path`, and every one that comes after them."""
    while True:
        yield from filter(is_name, found)
        if len(found) < PAGE:
            return
        found = driver.list_prefixes(path, after=found[-1], limit=PAGE)


def objects_below(driver: StorageDriver, path: str, is_name: IsName, *, after: str = "") -> Iterator[str]:
    """Yield every name directly below `path`, where objects lie; holds no more than a page of them."""
    full = True
    while full:
        found = driver.list(path, after=after, limit=PAGE)
        yield from filter(is_name, found)
        full = len(found) == PAGE
        after = found[-1] if found else ""


def first_names(driver: StorageDriver, path: str, is_name: IsName, *, after: str = "", limit: int) -> list[str]:
    """Return the first `limit` names directly below `path` that sort after `after`, or all if fewer."""
    names: list[str] = []
    while True:
        found = driver.list_prefixes(path, after=after, limit=limit)
        names += filter(is_name, found)
        if len(found) < limit or len(names) >= limit:
            return names[:limit]
        after = found[-1]
