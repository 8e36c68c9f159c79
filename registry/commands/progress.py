"""How far a long command has come: one line on a terminal that is written over, on anything else plain lines."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from registry.foundation.sizes import spelled

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

_TERMINAL_SECONDS: Final = 0.1
_CLEAR: Final = "\r\x1b[K"
_WIDTH: Final = 100


class StatusLine:
    """The last line of a terminal, which says what is being done and is written over; nothing on anything else."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.visible = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def show(self, text: str) -> None:
        """Write `text` over what was shown, as much of it as there is room for."""
        if self.visible:
            self._shown = True
            self._write(f"{_CLEAR}{text[: self._width()]}")

    def clear(self) -> None:
        """Leave an empty line, for others to write on."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _width(self) -> int:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            return _WIDTH
        # A character in the last column would begin another line.
        return columns - 1 if columns else _WIDTH

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()


class Count:
    """Shows on the last line of a terminal how many there are so far of `what`, where no total is known."""

    def __init__(self, line: StatusLine, what: str) -> None:
        self._line = line
        self._what = what
        self._count = 0
        self._told = time.monotonic()

    def add(self, name: str) -> None:
        """Count one more, called `name`."""
        if not self._line.visible:
            return
        self._count += 1
        now = time.monotonic()
        if now - self._told >= _TERMINAL_SECONDS:
            self._told = now
            self._line.show(f"{self._count} {self._what}: {name}")


class Progress:
    """Tells on stderr how much of `total` bytes is done; on anything but a terminal every `plain_seconds`, 0 for never.

    Several threads may call advance().
    """

    def __init__(self, total: int, *, plain_seconds: float = 0, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._line = StatusLine(self._stream)
        self._interval = _TERMINAL_SECONDS if self._line.visible else plain_seconds
        self._total = total
        self._done = 0
        self._told = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, size: int, what: str) -> None:
        """Note that `size` more bytes are done, of `what`."""
        with self._lock:
            self._done += size
            now = time.monotonic()
            if self._interval and now - self._told >= self._interval:
                self._told = now
                self._tell(what)

    def _tell(self, what: str) -> None:
        share = f"{100 * self._done // self._total:3d} %" if self._total else f"{'':5}"
        line = f"{share} {spelled(self._done)} of {spelled(self._total)}  {what}"
        if self._line.visible:
            self._line.show(line)
        else:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.clear()
