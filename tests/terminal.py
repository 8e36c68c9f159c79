"""A program on a pseudo-terminal of its own: what it writes there, and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.serving import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""What colours text and moves the cursor (ECMA-48, CSI)."""
CTRL_C = b"\x03"


class Terminal:
    """A process whose terminal this is, with all that it wrote so far in `written`."""

    def __init__(self, leader: int, process: subprocess.Popen[bytes]) -> None:
        self._leader = leader
        self.process = process
        self.written = ""

    def wait_for(self, text: str) -> None:
        """Return when `text` was written."""
        deadline = time.monotonic() + SECONDS
        while text not in self.written:
            assert time.monotonic() < deadline, f"no {text!r} in {self.written!r}"
            assert self.read() or text in self.written, f"it ended without {text!r}: {self.written!r}"

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._leader, CTRL_C)

    def finish(self) -> int:
        """Return the exit status, once the process has ended and all is read that it wrote."""
        deadline = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < deadline, f"it goes on: {self.written!r}"
        return self.process.wait(SECONDS)

    def read(self) -> bool:
        """Take what there is; False when the last process of the terminal has ended."""
        if not select.select([self._leader], [], [], 0.1)[0]:
            return True
        try:
            piece = os.read(self._leader, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.written += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def on_terminal(
    command: Sequence[object],
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    columns: int = 80,
    stdout: int | None = None,
) -> Iterator[Terminal]:
    """Run `command` on a terminal of `columns`; `stdout` is a file descriptor if it is not the terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", *map(str, command)],
        stdin=follower,
        stdout=follower if stdout is None else stdout,
        stderr=follower,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **(environ or {})},
    )
    os.close(follower)
    try:
        yield Terminal(leader, process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        os.close(leader)
