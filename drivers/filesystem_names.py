"""The names in a directory in byte order, a page at a time.

A directory is no index: to find the next hundred names is to read all. So a process remembers the names of large
directories, packed and within a fixed number of bytes, and asks each time whether the directory is still the one
that it has read. Whatever is not certain is read anew.
"""

from __future__ import annotations

import math
import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SETTLING_SECONDS: Final = 2.0
"""More than any file system below takes between two changes for their times to differ."""
_TELLING: Final = frozenset(
    {"btrfs", "ext2", "ext3", "ext4", "f2fs", "nfs", "nfs4", "overlay", "tmpfs", "xfs", "zfs"},
)
"""File systems that give a directory a new time whenever a name comes or goes; not so most that FUSE offers."""
_FEWEST: Final = 1000
"""Names that are read as quickly as they are looked up."""
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_NAMES: Final = 200_000
"""Of one directory: while they are put in order they are strings, which take several times as much."""
_ENTRY_BYTES: Final = 1024
"""What an entry takes beside its names, more or less."""
_BLOCK: Final = 256


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
        found: list[str] = []
        for index in range(max(bisect_right(self._firsts, after) - 1, 0), len(self._blocks)):
            found += [name for name in self._blocks[index].split("/") if name > after]
            if len(found) >= limit:
                break
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
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            stamp = _stamp_of(fd)
            entry = self._recall(directory, stamp)
            if entry and not entry.names and self._clock() - entry.since >= _SETTLING_SECONDS:
                entry = self._learn(directory, fd, stamp)
            if entry and entry.names:
                return entry.names.after(after, limit)
            page, total = _select(_names_in(fd), after, limit)
            if not entry and total >= _FEWEST and _tells_of_changes(fd):
                self._remember(directory, _Entry(stamp, self._clock()))
            return page
        finally:
            os.close(fd)

    def _recall(self, directory: str, stamp: _Stamp) -> _Entry | None:
        with self._lock:
            entry = self._entries.get(directory)
            if entry is None or entry.stamp != stamp:
                return None
            self._entries.move_to_end(directory)
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


def _names_in(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        for entry in entries:
            name = entry.name
            if name[0] != ".":
                yield name


def _read_all(fd: int, most_bytes: int) -> list[str] | None:
    """Return all names in order; None if they are too many or have more than `most_bytes` together."""
    names: list[str] = []
    size = 0
    for name in _names_in(fd):
        size += len(name) + 1
        if size > most_bytes or len(names) >= _MOST_NAMES:
            return None
        names.append(name)
    names.sort()
    return names


def _select(names: Iterable[str], after: str, limit: int) -> tuple[list[str], int]:
    """Return the first `limit` names after `after`, and how many there are in all; holds few more than `limit`."""
    page: list[str] = []
    last, total = "", 0
    for name in names:
        total += 1
        if name > after and (not last or name < last):
            page.append(name)
            if len(page) >= 2 * limit + _BLOCK:
                page.sort()
                del page[limit:]
                last = page[-1] if page else after
    page.sort()
    return page[:limit], total


def _tells_of_changes(fd: int) -> bool:
    """Tell whether the directory `fd` lies on a file system whose times can be relied on."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())
        mount = fields["mnt_id"].strip()
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except (OSError, KeyError):
        return False
    # A line begins with the number of the mount; its type follows the only dash that stands alone.
    return any(line.split(" ", 1)[0] == mount and line.partition(" - ")[2].split(" ")[0] in _TELLING for line in mounts)
