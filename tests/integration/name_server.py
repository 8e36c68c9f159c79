"""A name server that resolves every name to this machine."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clients import require_program
from tests.integration.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STOP_SECONDS = 60


@contextmanager
def name_server(directory: Path) -> Iterator[str]:
    """Run pebble's name server; give its ``HOST:PORT``."""
    port = free_port()
    dns = ("-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{port}")
    off = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}")
    with running(directory / "dns.log", require_program("pebble-challtestsrv"), *dns, *off):
        yield f"127.0.0.1:{port}"


@contextmanager
def running(log: Path, *command: str | Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """Run a program for as long as the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
