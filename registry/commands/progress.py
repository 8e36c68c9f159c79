"""How far a long command has come: one line on a terminal that is written over, on anything else plain lines."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

_TERMINAL_SECONDS: Final = 0.1
_CLEAR: Final = "\r\x1b[K"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_WIDTH: Final = 100


class Progress:
    """Tells on stderr how much of `total` bytes is done; on anything but a terminal every `plain_seconds`, 0 for never.

    Several threads may call advance().
    """

    def __init__(self, total: int, *, plain_seconds: float = 0, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._interval = _TERMINAL_SECONDS if self._terminal else plain_seconds
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
        self._stream.write(f"{_CLEAR}{line[:_WIDTH]}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._terminal:
            self._stream.write(_CLEAR)
            self._stream.flush()


class Counting:
    """Tells on stderr, on a terminal only, how many things were looked at and which one is; a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._count = 0
        self._told = time.monotonic()

    def __call__(self, what: str) -> None:
        """Note that `what` is looked at."""
        self._count += 1
        now = time.monotonic()
        if self._terminal and now - self._told >= _TERMINAL_SECONDS:
            self._told = now
            self._stream.write(f"{_CLEAR}{self._count} {what}"[:_WIDTH])
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._stream.write(_CLEAR)
            self._stream.flush()


def spelled(size: int) -> str:
    """Return a number of bytes for people: ``1.5 GiB``."""
    value, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"
