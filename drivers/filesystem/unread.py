"""What of a log's file has not been given yet: lines, read a piece at a time, so that many files need little memory."""

# A string is passed to the system call as it is; to make a Path costs more than the call.

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Final

from drivers.filesystem.appending import AGE_NS, HEAD_SIZE, LINE, checksum
from drivers.log import MOST_BYTES

_PIECE: Final = 16 * 1024
_LONGEST: Final = HEAD_SIZE + MOST_BYTES + 1

_log = logging.getLogger(__name__)


class Unread:
    """The lines of the file `name`, made at `made_ns`, from `offset` on, which is where a line begins.

    A line that cannot be read is passed over if nobody appends to the file any more, so that it is `complete`, or if a
    later line is older than `settled_ns`. Otherwise the lines end there for now: it may still be on its way to the
    file, and what another host writes may be seen in another order. The file is open only while a piece is read.
    """

    def __init__(self, name: str, made_ns: int, offset: int, *, complete: bool, settled_ns: int) -> None:
        self.offset = offset
        self._name = name
        self._made_ns = made_ns
        self._complete = complete
        self._settled_ns = settled_ns
        self._buffer = b""
        self._start = 0
        self._ended = False
        self._level = logging.WARNING

    def next_time(self) -> int | None:
        """Return the time of the next line; None if there is none yet."""
        while not self._ended:
            time_ns = self._time()
            if time_ns is not None:
                return time_ns
            self._pass_over()
        return None

    def _time(self) -> int | None:
        """Return the time of the next line; None if it does not begin as a line of this file, or is not there."""
        if len(self._buffer) - self._start < HEAD_SIZE:
            self._read(_PIECE)
        if not LINE.match(self._buffer, self._start):
            return None
        time_ns = int(self._buffer[self._start : self._start + 19])
        return time_ns if 0 <= time_ns - self._made_ns < AGE_NS else None

    def take(self) -> bytes | None:
        """Return the content of the next line and go on behind it; None if that cannot be read, or not yet."""
        end = self._end()
        if end >= 0 and (line := LINE.fullmatch(self._buffer, self._start, end)):
            time, sum_, content = line.groups()
            if checksum(time, content) == int(sum_, 16):
                self._go_on(end + 1)
                return content
        self._pass_over()
        return None

    def _end(self) -> int:
        """Return where in the buffer the next line ends; -1 if it has no end yet, or is too long."""
        while True:
            end = self._buffer.find(b"\n", self._start)
            held = len(self._buffer) - self._start
            if end >= 0 or held == _LONGEST:
                return end
            self._read(min(max(_PIECE, 4 * held), _LONGEST))
            if len(self._buffer) == held:
                return -1

    def _go_on(self, start: int) -> None:
        self.offset += start - self._start
        self._start = start

    def _pass_over(self) -> None:
        """Go on behind the next line, which cannot be read; end where there is none, or where it may change."""
        if self._start == len(self._buffer) or self._may_change():
            self._ended, self._buffer, self._start = True, b"", 0
            return
        _log.log(self._level, "filesystem: what cannot be read in %s is passed over", self._name)
        self._level = logging.DEBUG
        self._ended = not self._skip()

    def _may_change(self) -> bool:
        if self._complete:
            return False
        later = Unread(self._name, self._made_ns, self.offset, complete=True, settled_ns=0)
        while later._skip():
            time_ns = later._time()
            if time_ns is not None:
                return time_ns >= self._settled_ns
        return True

    def _skip(self) -> bool:
        """Go on behind the next line break; tell whether there was one."""
        while (end := self._buffer.find(b"\n", self._start)) < 0:
            self._go_on(len(self._buffer))
            self._read(_PIECE)
            if not self._buffer:
                return False
        self._go_on(end + 1)
        return True

    def _read(self, size: int) -> None:
        """Have the bytes from `offset` on in the buffer: as many as there are, up to `size`."""
        self._buffer, self._start = b"", 0
        with suppress(FileNotFoundError, IsADirectoryError):  # deleted, or another program's
            fd = os.open(self._name, os.O_RDONLY)
            try:
                self._buffer = os.pread(fd, size, self.offset)
            finally:
                os.close(fd)
