"""The names in a directory in byte order, a page at a time.

A directory is not sorted: to find the next hundred names, all have to be read. So a process remembers the names of
large directories, packed and within a fixed number of bytes, and looks each time whether the directory has changed
since it was read. If that is not certain, it is read anew.
"""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_left, bisect_right
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final

from drivers.filesystem.mounts import tells_of_changes
from registry.foundation.recent import RecentlyUsedByWeight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _NamesOf = Callable[[Sequence[os.DirEntry[str]]], list[str]]

_SETTLING_SECONDS: Final = 2.0
"""More than any file system below takes between two changes for their times to differ."""
_FEWEST: Final = 1000
"""Names that are read as quickly as they are looked up."""
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_NAMES: Final = 200_000
"""Names of one directory: while they are sorted they are strings, which take several times the memory."""
_ENTRY_BYTES: Final = 1024
"""What an entry takes beside its names, more or less."""
_BLOCK: Final = 256
_BATCH: Final = 1024
"""Names that are read and held at once, before those are chosen that are wanted."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes when a directory does. The change time is the kernel's own: no program can set it back."""

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
    """Lists directories; remembers those listed last, in at most `most_bytes`, and in half of that for one directory.

    As with git's index, equal times do not prove that nothing has changed: a directory that is changed twice within
    one tick of its file system's clock has the same times after both. So it must have been seen with its times for a
    while before it is read; a change after that gets another time. `clock` measures that while: the clock of a file
    server may be wrong, as long as it goes on.

    The directory is opened for each look, because NFS then asks its server for the times. So what is remembered is
    no older than what would be read: in both cases a mount with ``nocto`` may see other hosts' changes late.

    With `directories_only`, other entries are left out, and links that lead to a parent of theirs: a walk down the tree
    would not come to an end.
    """

    def __init__(
        self,
        *,
        directories_only: bool = False,
        most_bytes: int = _MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names_of = _names_of_directories if directories_only else _names
        self._most_bytes = most_bytes
        self._clock = clock
        self._entries: RecentlyUsedByWeight[str, _Entry] = RecentlyUsedByWeight(most_bytes, attrgetter("size"))

    @property
    def size(self) -> int:
        """Bytes that are taken now."""
        return self._entries.weight

    def after(self, directory: str, after: str, limit: int) -> list[str]:
        """Return the names in `directory` that sort after `after` and do not begin with a dot, at most `limit`.

        Raises:
            OSError: it cannot be read.
        """
        if directory not in self._entries:
            page, total = _select(directory, partial(self._names_of, directory), after, limit)
            if total >= _FEWEST:
                self._notice(directory)
            return page
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            entry = self._recall(directory, fd)
            if not entry.names and self._clock() - entry.since >= _SETTLING_SECONDS:
                entry = self._learn(directory, fd, entry.stamp)
            if entry.names:
                return entry.names.after(after, limit)
            return _select(fd, partial(self._names_of, directory), after, limit)[0]
        finally:
            os.close(fd)

    def _notice(self, directory: str) -> None:
        """Remember that a directory is large, and its times, if they will tell of changes."""
        with suppress(FileNotFoundError):  # deleted meanwhile
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if tells_of_changes(fd):
                    self._entries.put(directory, _Entry(_stamp_of(fd), self._clock()))
            finally:
                os.close(fd)

    def _recall(self, directory: str, fd: int) -> _Entry:
        """Return what is known of a directory as it is now: that it has been so since now, if it has changed."""
        stamp = _stamp_of(fd)
        entry = self._entries.get(directory)
        if entry is None or entry.stamp != stamp:
            entry = _Entry(stamp, self._clock())
            self._entries.put(directory, entry)
        return entry

    def _learn(self, directory: str, fd: int, stamp: _Stamp) -> _Entry:
        """Read the whole of a directory that has had `stamp` for a while; without its names if they are too many."""
        names = _read_all(fd, partial(self._names_of, directory), self._most_bytes // 2)
        entry = _Entry(stamp, math.inf, _Packed(names) if names else None)
        self._entries.put(directory, entry)
        return entry


def _stamp_of(fd: int) -> _Stamp:
    status = os.fstat(fd)
    return _Stamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _names(_: str, entries: Sequence[os.DirEntry[str]]) -> list[str]:
    return [entry.name for entry in entries]


def _names_of_directories(directory: str, entries: Sequence[os.DirEntry[str]]) -> list[str]:
    """Return the names of directories, and of links that lead to one which is not `directory` or a parent of it.

    Most file systems tell of each name whether it is a directory or a link.
    """
    try:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # one may not be looked at
        names = [entry.name for entry in entries if _is_directory(entry)]
    if len(names) < len(entries) and (links := [entry for entry in entries if _is_link(entry)]):
        parents = identities_above(directory)
        names += [entry.name for entry in links if _leads_down(entry, parents)]
    return names


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False


def identities_above(directory: str) -> set[tuple[int, int]]:
    """Return device and inode of `directory` and of all its parents: by its name, and without the links in that."""
    paths = (Path(directory), Path(os.path.realpath(directory)))
    statuses = [above.stat() for above in {above for path in paths for above in (path, *path.parents)}]
    return {(status.st_dev, status.st_ino) for status in statuses}


def _leads_down(link: os.DirEntry[str], parents: set[tuple[int, int]]) -> bool:
    """Tell whether a link leads to a directory that is not among `parents`."""
    try:
        status = link.stat()
    except OSError:  # it leads nowhere, to itself, or to what may not be looked at
        return False
    return S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in parents


def _read_all(fd: int, names_of: _NamesOf, most_bytes: int) -> list[str] | None:
    """Return all names in order; None if they are too many or have more than `most_bytes` together."""
    names: list[str] = []
    size = 0
    with os.scandir(fd) as entries:
        while some := [*islice(entries, _BATCH)]:
            batch = names_of(some)
            names += batch
            size += sum(map(len, batch)) + len(batch)
            if size > most_bytes or len(names) > _MOST_NAMES:
                return None
    _put_in_order(names)
    return names


def _select(directory: str | int, names_of: _NamesOf, after: str, limit: int) -> tuple[list[str], int]:
    """Return the first `limit` names after `after`, and how many entries there are; holds few more than `limit`."""
    page: list[str] = []
    total = 0
    with os.scandir(directory) as entries:
        while True:
            some = [*islice(entries, _BATCH)]
            total += len(some)
            complete = len(some) < _BATCH
            names = names_of(some)
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
