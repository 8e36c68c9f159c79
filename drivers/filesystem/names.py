"""The names in a directory in byte order, a page at a time.

A directory is not sorted: to find the next hundred names one must read all of them. So a process remembers the names
of large directories, packed and within a fixed number of bytes, and checks each time that the directory has not
changed since it was read. If that is not certain, the directory is read again.
"""

from __future__ import annotations

import math
import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from drivers.filesystem.mounts import tells_of_changes

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTLING_SECONDS: Final = 2.0
"""More than any file system below takes between two changes for their times to differ."""
_FEWEST: Final = 1000
"""Names that are read as quickly as they are looked up."""
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_NAMES: Final = 200_000
"""Of one directory: while they are put in order they are strings, which take several times as much."""
_ENTRY_BYTES: Final = 1024
"""What an entry takes beside its names, more or less."""
_BLOCK: Final = 256
_BATCH: Final = 1024
"""Names that are read and held at once, before those are chosen that are wanted."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes when a directory does. The change time is the kernel's own: nobody can set it back."""

    device: int
    inode: int
    modified: int
    changed: int


class _Packed:
    """Names in byte order, in a fraction of the memory that as many strings take."""

    __slots__ = ("_blocks", "_firsts", "size")

    def __init__(self, names: list[str]) -> None:
        starts = range(0, len(names), _BLOCK)
        self._firsts = [names[start] for start in starts]
        self._blocks = ["/".join(names[start : start + _BLOCK]) for start in starts]
        self.size = sum(map(len, self._blocks)) + sum(map(len, self._firsts)) + 200 * len(starts)

    def after(self, after: str, limit: int) -> list[str]:
        """Return the names that sort after `after`, at most `limit`."""
        index = max(bisect_right(self._firsts, after) - 1, 0)
        found = self._blocks[index].split("/")
        del found[: bisect_right(found, after)]
        while len(found) < limit and (index := index + 1) < len(self._blocks):
            found += self._blocks[index].split("/")
        return found[:limit]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a directory: `since` when it has had its stamp, and its names once they could be trusted."""

    stamp: _Stamp
    since: float
    names: _Packed | None = None

    @property
    def size(self) -> int:
        return _ENTRY_BYTES + (self.names.size if self.names else 0)


class DirectoryNames:
    """Lists directories; remembers those least long ago listed, in at most `most_bytes` and half of that for one.

    Names are trusted as git's index trusts: a directory that is changed twice within one tick of its file system's
    clock has the same times after either. So it must have been seen with its times a while before it is read; a
    change after that gets another time. The while passes on our `clock`: that of a file server may tell any time,
    as long as it goes on.

    The directory is opened for each look, which is when NFS asks its server for the times. So what is remembered is
    no staler than what would be read: in both cases a mount with ``nocto`` may be late to see other hosts' changes.
    """

    def __init__(self, *, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that are taken now."""
        return self._bytes

    def after(self, directory: str, after: str, limit: int) -> list[str]:
        """Return the names in `directory` that sort after `after` and do not begin with a dot, at most `limit`.

        Raises:
            OSError: it cannot be read.
        """
        if directory not in self._entries:
            page, total = _select(directory, after, limit)
            if total >= _FEWEST:
                self._notice(directory)
            return page
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            entry = self._recall(directory, fd)
            if not entry.names and self._clock() - entry.since >= _SETTLING_SECONDS:
                entry = self._learn(directory, fd, entry.stamp)
            return entry.names.after(after, limit) if entry.names else _select(fd, after, limit)[0]
        finally:
            os.close(fd)

    def _notice(self, directory: str) -> None:
        """Remember that a directory is large, and its times, if they will tell of changes."""
        with suppress(FileNotFoundError):  # deleted meanwhile
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if tells_of_changes(fd):
                    self._remember(directory, _Entry(_stamp_of(fd), self._clock()))
            finally:
                os.close(fd)

    def _recall(self, directory: str, fd: int) -> _Entry:
        """Return what is known of a directory as it is now: that it has been so since now, if it has changed."""
        stamp = _stamp_of(fd)
        with self._lock:
            entry = self._entries.get(directory)
            if entry and entry.stamp == stamp:
                self._entries.move_to_end(directory)
                return entry
        entry = _Entry(stamp, self._clock())
        self._remember(directory, entry)
        return entry

    def _learn(self, directory: str, fd: int, stamp: _Stamp) -> _Entry:
        """Read the whole of a directory that has had `stamp` for a while; without its names if they are too many."""
        names = _read_all(fd, self._most_bytes // 2)
        entry = _Entry(stamp, math.inf, _Packed(names) if names else None)
        self._remember(directory, entry)
        return entry

    def _remember(self, directory: str, entry: _Entry) -> None:
        with self._lock:
            former = self._entries.pop(directory, None)
            self._bytes += entry.size - (former.size if former else 0)
            self._entries[directory] = entry
            while self._bytes > self._most_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.size


def _stamp_of(fd: int) -> _Stamp:
    status = os.fstat(fd)
    return _Stamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _read_all(fd: int, most_bytes: int) -> list[str] | None:
    """Return all names in order; None if they are too many or have more than `most_bytes` together."""
    names: list[str] = []
    size = 0
    with os.scandir(fd) as entries:
        while batch := [entry.name for entry in islice(entries, _BATCH)]:
            names += batch
            size += sum(map(len, batch)) + len(batch)
            if size > most_bytes or len(names) > _MOST_NAMES:
                return None
    _put_in_order(names)
    return names


def _select(directory: str | int, after: str, limit: int) -> tuple[list[str], int]:
    """Return the first `limit` names after `after`, and how many there are in all; holds few more than `limit`."""
    page: list[str] = []
    total = 0
    with os.scandir(directory) as entries:
        while True:
            names = [entry.name for entry in islice(entries, _BATCH)]
            total += len(names)
            complete = len(names) < _BATCH
            if after:
                names = [name for name in names if name > after]
            if len(page) == limit > 0:
                names = [name for name in names if name < page[-1]]
            page += names
            _put_in_order(page)
            del page[limit:]
            if complete:
                return page, total


def _put_in_order(names: list[str]) -> None:
    """Sort `names` and leave out those that begin with a dot: all from it to the character after it."""
    names.sort()
    if names and names[0] < "/":
        del names[bisect_left(names, ".") : bisect_left(names, "/")]
