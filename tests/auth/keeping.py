"""Records that are kept in memory, as several controllers may share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class RecordsInMemory:
    def __init__(self) -> None:
        self.contents_by_name: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.contents_by_name.get(name)

    def put(self, name: str, content: bytes) -> None:
        self.contents_by_name[name] = content

    def create(self, name: str, content: bytes) -> bool:
        return self.contents_by_name.setdefault(name, content) is content

    def delete(self, name: str) -> bool:
        return self.contents_by_name.pop(name, None) is not None

    def names(self, below: str) -> Iterator[str]:
        return iter([name for name in self.contents_by_name if name.startswith(f"{below}/")])

    def contents(self, below: str) -> Iterator[tuple[str, bytes]]:
        return iter([(name, self.contents_by_name[name]) for name in self.names(below)])
