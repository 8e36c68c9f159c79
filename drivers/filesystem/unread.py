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

    Where a line cannot be read, it is passed over if the file is `complete`. Otherwise the lines end there: it may
    still be written to, and where it is written to from another host, a later part may be seen before an earlier one.
    The file is open only while a piece is read.
    """

    def __init__(self, name: str, made_ns: int, offset: int, *, complete: bool) -> None:
        self.offset = offset
        self._made_ns = made_ns
        self._name = name
        self._complete = complete
        self._buffer = b""
        self._start = 0
        self._ended = False
        self._level = logging.WARNING

    def next_time(self) -> int | None:
        """Return the time of the next line; None if there is none yet."""
        while not self._ended:
            head = self._buffer[self._start : self._start + HEAD_SIZE]
            if len(head) < HEAD_SIZE:
                self._read(_PIECE)
                head = self._buffer[:HEAD_SIZE]
            if LINE.match(head) and 0 <= (time_ns := int(head[:19])) - self._made_ns < AGE_NS:
                return time_ns
            self._pass_over()
        return None

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
        if self._complete and len(self._buffer) > self._start:
            _log.log(self._level, "filesystem: what cannot be read in %s is passed over", self._name)
            self._level = logging.DEBUG
        end = -1
        while self._complete and end < 0 and len(self._buffer) > self._start:
            end = self._buffer.find(b"\n", self._start)
            self._go_on(end + 1 if end >= 0 else len(self._buffer))
            if end < 0:
                self._read(_PIECE)
        if end < 0:
            self._ended, self._buffer, self._start = True, b"", 0

    def _read(self, size: int) -> None:
        """Have the bytes from `offset` on in the buffer: as many as there are, up to `size`."""
        self._buffer, self._start = b"", 0
        with suppress(FileNotFoundError, IsADirectoryError):  # deleted, or another program's
            fd = os.open(self._name, os.O_RDONLY)
            try:
                self._buffer = os.pread(fd, size, self.offset)
            finally:
                os.close(fd)
