"""Looks at the storage that do not depend on one another, at once where a call takes long."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import StorageDriver

_AT_ONCE: Final = 16
"""How many looks of one request are made at a time."""

_Given = TypeVar("_Given")
_First = TypeVar("_First")
_Second = TypeVar("_Second")


def both(driver: StorageDriver, first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """Do two steps as StorageDriver.together() does, which may return different things."""
    done: list[Any] = driver.together(first, second)
    return done[0], done[1]


def each(driver: StorageDriver, look: Callable[[_Given], _First], given: Iterable[_Given]) -> Iterator[_First]:
    """Yield what `look` returns for each of `given`, in order; some are looked at ahead."""
    rest = iter(given)
    while some := [partial(look, one) for one in islice(rest, _AT_ONCE)]:
        yield from driver.together(*some)
