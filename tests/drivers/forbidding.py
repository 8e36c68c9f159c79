"""A driver that may not look into a part of the tree, as where another user has made a directory in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import NotPermittedError
from drivers.delegating import DelegatingDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import Found, StorageDriver


class ForbiddingDriver(DelegatingDriver):
    """Lists and gets what `inner` does, but nothing at or below `forbidden`."""

    def __init__(self, inner: StorageDriver, forbidden: str) -> None:
        super().__init__(inner)
        self._forbidden = forbidden

    def _allow(self, path: str) -> None:
        if f"{path}/".startswith(f"{self._forbidden}/"):
            raise NotPermittedError(f"{path}: Permission denied")

    def get(self, path: str, *, limit: int) -> bytes:
        self._allow(path)
        return super().get(path, limit=limit)

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self._allow(path)
        return super().list_prefixes(path, after=after, limit=limit)

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        self._allow(path)
        return super().holds(path, likely=likely, is_name=is_name)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self._allow(path)
        return super().list(path, after=after, limit=limit)

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        found = super().scan(path, after=after, limit=limit)
        for each in found:
            self._allow(each.path)
        return found

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        for each in super().walk(path, leaf_in=leaf_in):
            self._allow(each.path)
            yield each
