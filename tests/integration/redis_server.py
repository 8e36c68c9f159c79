"""A Redis server as a real process."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.integration.clients import finish, require_program
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """Run Redis, which keeps everything in memory; give its ``HOST:PORT``."""
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(directory))
    client = require_program("redis-cli")
    with (directory / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [require_program("redis-server"), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until(
            "Redis answers", lambda: finish(client, "-p", str(port), "ping").stdout == "PONG\n", seconds=START_SECONDS
        )
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)
