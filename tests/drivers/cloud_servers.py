"""Servers that speak the protocols of the cloud stores, as real processes on this machine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_SECONDS = 60


@contextlib.contextmanager
def running(command: Sequence[str], port: int, directory: Path) -> Iterator[None]:
    """Run a server until the block ends; the block begins once something answers on `port`."""
    log = directory / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            assert process.poll() is None, f"{command[0]} ended at its start: {log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} did not answer: {log.read_text()}"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(1)  # its data is thrown away; Azurite would wait for idle connections
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
