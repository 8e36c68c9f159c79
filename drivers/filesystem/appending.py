"""A file to which one process appends lines, each with the time at which it was appended.

A line is ``<time in nanoseconds, 19 digits> <CRC-32 of time and content, 8 hex digits> <content>``. The name of the
file begins with the time at which it was made, in 19 digits. Lines are added for less than an hour after that, so the
name bounds the times of all lines: none is older than the file, or an hour younger.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH108, PTH116

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from threading import Condition, Lock
from typing import Final, Self
from zlib import crc32

from drivers.filesystem.files import NewNames
from drivers.log import LATE_SECONDS

AGE_NS: Final = 3600 * 1_000_000_000
"""How long after its making a file is appended to."""
_SIZE: Final = 8 * 1024 * 1024
"""From how many bytes on a file is not appended to."""
_STEP_NS: Final = 100_000_000
"""How far the clock may go back without a new file: where it is coarse, several lines have nearly the same time."""

_LATE_NS: Final = int(LATE_SECONDS * 1_000_000_000)

HEAD_SIZE: Final = 29
LINE: Final = re.compile(rb"([0-9]{19}) ([0-9a-f]{8}) (.*)", re.DOTALL)
NAME: Final = re.compile(r"[0-9]{19}-[0-9a-f]{16}")


class AppendedFile:
    """Owns `fd`. One thread at a time may write; any number may sync."""

    def __init__(self, name: str, fd: int, made_ns: int) -> None:
        self._name = name
        self._fd = fd
        self._made_ns = self._last_ns = made_ns
        self._pid = os.getpid()
        self._inode = os.fstat(fd)
        self._size = self._durable_size = 0
        self._ended = False
        """Whether the next line has to go to another file."""
        self._lock = Lock()
        """Guards what follows; `_synced` tells of it, but its own methods take three times as long to lock."""
        self._synced = Condition(self._lock)
        self._waiting = 0
        self._syncing = False
        self._failure: OSError | None = None
        """Why what was written may not be durable."""

    @classmethod
    def make(cls, directory: str) -> Self:
        """Make a file in `directory`, which is made if it is not there; its name is durable."""
        made_ns = time.time_ns()
        name = f"{directory}/{made_ns:019}-{secrets.token_hex(8)}"
        opened: list[int] = []
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        names = NewNames()
        names.place(name, lambda target: opened.append(os.open(target, flags, 0o666)))
        file = cls(name, opened[0], made_ns)
        try:
            names.sync()
        except OSError:
            file._remove()
            raise
        return file

    def __del__(self) -> None:
        # The last of the threads that use it may come long after the file was exchanged for the next one. What was
        # acknowledged is durable already, so a failure has nothing to tell.
        with suppress(OSError):
            os.close(self._fd)

    def next_time(self) -> int | None:
        """Return the time for one more line; None if that has to go to another file."""
        now_ns = time.time_ns()
        time_ns = max(now_ns, self._last_ns + 1)
        if (
            self._ended
            or self._size >= _SIZE
            or time_ns - now_ns > _STEP_NS
            or time_ns - self._made_ns >= AGE_NS
            or self._pid != os.getpid()
        ):
            return None
        return time_ns

    def write(self, time_ns: int, content: bytes) -> int | None:
        """Append a line; return how large the file is with it, or None if readers may not find it in time.

        Raises:
            OSError: it was not added as a whole.
        """
        digits = b"%019d" % time_ns
        line = b"%b %08x %b\n" % (digits, checksum(digits, content), content)
        try:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, memoryview(line)[written:])
        except OSError:
            # The beginning of a line must not stand before the next one.
            self._ended = True
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
                self._ended = False
            raise
        self._size += written
        self._last_ns = time_ns
        # This process may have stood still: readers may have left the file as complete.
        if self._is_as_written() and time.time_ns() - time_ns < _LATE_NS:
            return self._size
        self._ended = True
        return None

    def _is_as_written(self) -> bool:
        """Tell whether the file still has its name, and nobody else has changed it."""
        try:
            found = os.stat(self._name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return found.st_ino == self._inode.st_ino and found.st_dev == self._inode.st_dev and found.st_size == self._size

    def sync(self, size: int) -> None:
        """Return once the first `size` bytes are durable; a sync for one thread does for all that wrote before it.

        Raises:
            OSError: they may not be. Nothing more may be appended: the kernel reports a failure only once.
        """
        with self._lock:
            while self._syncing and self._durable_size < size:
                self._waiting += 1
                self._synced.wait()
                self._waiting -= 1
            if self._durable_size >= size:
                return
            if self._failure:
                raise OSError(self._failure.errno, self._failure.strerror, self._name)
            self._syncing, written = True, self._size
        try:
            os.fdatasync(self._fd)
            self._durable_size = written
        except OSError as error:
            self._failure, self._ended = error, True
            if not self._durable_size:
                self._remove()  # a medium that fails is not to be filled with files
            raise
        finally:
            with self._lock:
                self._syncing = False
                if self._waiting:
                    self._synced.notify_all()

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._name)


def checksum(time: bytes, content: bytes) -> int:
    """Return the CRC-32 by which a line is told from what a loss of power has made of it."""
    return crc32(content, crc32(time))


def time_of(name: str) -> int:
    """Return the time at which the file called `name` was made."""
    return int(name[:19])
