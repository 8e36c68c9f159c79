"""Listings without end, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

PAGE: Final = 1000
"""Names that are asked for and held at once."""


def names_below(driver: StorageDriver, path: str, *, after: str = "") -> Iterator[str]:
    """Yield every name directly below `path` that sorts after `after`; holds no more than a page of them."""
    yield from names_from(driver, path, driver.list(path, after=after, limit=PAGE))


def names_from(driver: StorageDriver, path: str, names: list[str]) -> Iterator[str]:
    """Yield `names`, a page of those directly below `path`, and every one that comes after them."""
    while True:
        yield from names
        if len(names) < PAGE:
            return
        names = driver.list(path, after=names[-1], limit=PAGE)
