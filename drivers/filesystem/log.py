"""A log on a file system: a directory of files, each of which one process appends to, or has appended to.

A process that reads merges the lines of all files by their times. It does not look again at what it has read to the end
and is so old that nobody appends to it any more.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH108, PTH208

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from drivers.base import UnavailableError
from drivers.filesystem.appending import AGE_NS, NAME, AppendedFile, time_of
from drivers.filesystem.files import Translated
from drivers.filesystem.merging import COMPLETE_NS, Merge, Position
from drivers.filesystem.uploads import pread
from drivers.log import LATE_SECONDS, Log, Page, checked_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_ATTEMPTS: Final = 10
"""How often a record is written again."""
_AHEAD_SECONDS: Final = 60
"""How far a clock may be ahead without a word."""
_log = logging.getLogger(__name__)


class FileLog(Log):
    """The log at `path`, in `directory`; `check` raises an error if the file system is not there."""

    def __init__(self, path: str, directory: str, check: Callable[[], object]) -> None:
        self._path = path
        self._directory = directory
        self._check = check
        self._writing = Lock()
        self._appending = Translated("append", path)
        self._file: AppendedFile | None = None
        self._has_told = False
        self._last = ("", Position())
        """The last position that was returned: who looks in vain comes with it again."""

    # Writing

    def append(self, content: bytes) -> int:
        checked_content(content)
        with self._appending:
            for _ in range(_ATTEMPTS):
                with self._writing:
                    file, time_ns = self._next_line()
                    size = file.write(time_ns, content)
                if size is not None:
                    file.sync(size)
                    return time_ns
        raise UnavailableError(
            f"filesystem: append {self._path}: its files are deleted, or take {LATE_SECONDS:.0f} s, each time"
        )

    def _next_line(self) -> tuple[AppendedFile, int]:
        """Return the file for the next line, and the line's time."""
        while not self._file or not (time_ns := self._file.next_time()):
            self._check()
            self._file = AppendedFile.make(self._directory)
        return self._file, time_ns

    def trim(self, before_ns: int) -> None:
        with Translated("trim", self._path):
            names = self._names()
            self._tell_of_future(names[-1:])
            for name in names:
                # The last line is less than AGE_NS younger than the file.
                if time_of(name) > min(before_ns - AGE_NS, time.time_ns() - COMPLETE_NS):
                    break
                with suppress(FileNotFoundError):  # another process has deleted it
                    os.unlink(self._name_of(name))

    def _tell_of_future(self, names: Iterable[str]) -> None:
        for name in names:
            ahead_seconds = (time_of(name) - time.time_ns()) // 1_000_000_000
            if ahead_seconds > _AHEAD_SECONDS and not self._has_told:
                self._has_told = True
                _log.warning(
                    "filesystem: %s was made by a clock that is %d s ahead: its records are given in that time",
                    self._name_of(name),
                    ahead_seconds,
                )

    # Reading

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        text, known = self._last
        if text != position:
            text, known = position, Position.load(position)
        with Translated("read", self._path):
            records, new = Merge(self._directory, self._names(), known).page(before_ns, limit)
        self._last = last = (text, new) if new is known else (new.dump(), new)
        return Page(records, last[0])

    def count(self, position: str) -> int:
        known, found = Position.load(position), 0
        with Translated("read", self._path):
            for name in known.unread(self._names()):
                with suppress(FileNotFoundError, IsADirectoryError):
                    found += sum(piece.count(b"\n") for piece in self._pieces(name, known.offset(name)))
        return found

    def _pieces(self, name: str, offset: int) -> Iterator[bytes]:
        fd = os.open(self._name_of(name), os.O_RDONLY)
        try:
            yield from pread(fd, offset, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def _names(self) -> list[str]:
        """Return the names of all files, those that were made first before the others."""
        try:
            return sorted(filter(NAME.fullmatch, os.listdir(self._directory)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _name_of(self, name: str) -> str:
        return f"{self._directory}/{name}"
