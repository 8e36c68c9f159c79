"""Watches what is made durable, and when."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Syncs:
    """Notes at each fsync in the block whether it is of a file or a directory, and what `path` holds by then."""

    def __init__(self, path: Path) -> None:
        self.seen: list[tuple[str, bytes | None]] = []
        self._path = path
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        sync = os.fsync

        def noting(fd: int) -> None:
            sync(fd)
            kind = "directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"
            self.seen.append((kind, self._path.read_bytes() if self._path.exists() else None))

        self._patch.setattr(os, "fsync", noting)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
