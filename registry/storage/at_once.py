"""Two looks at the storage that do not depend on one another, at once where a call takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

_First = TypeVar("_First")
_Second = TypeVar("_Second")


def both(driver: StorageDriver, first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
    """Do two steps as StorageDriver.together() does, which may return different things."""
    steps: tuple[Callable[[], object], ...] = (first, second)
    done = driver.together(*steps)
    return cast("_First", done[0]), cast("_Second", done[1])
