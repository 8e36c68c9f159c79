"""Listings without end, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_PAGE: Final = 1000
"""Names that are asked for and held at once."""


def names_below(driver: StorageDriver, path: str, *, after: str = "") -> Iterator[str]:
    """Yield every name directly below `path` that sorts after `after`; holds no more than a page of them."""
    while True:
        names = driver.list(path, after=after, limit=_PAGE)
        yield from names
        if len(names) < _PAGE:
            return
        after = names[-1]
