"""An endpoint for notifications that takes everything and counts it: ``POST`` an envelope, ``GET`` how many came.

A process of its own, so that its CPU time is nobody else's.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUIET_SECONDS = 3.0
"""Longer than a registry waits before it looks for the next events."""
_LONGEST_SECONDS = 120.0
_POLL_SECONDS = 0.25


@contextmanager
def running_sink() -> Iterator[str]:
    """Give the URL of one that runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the sink has no output")
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
    finally:
        process.kill()
        process.wait()


def wait_until_quiet(url: str) -> None:
    """Return when nothing has come for a while: whatever was waiting is delivered."""
    before, since, began = -1, time.monotonic(), time.monotonic()
    while time.monotonic() - began < _LONGEST_SECONDS:
        with urllib.request.urlopen(url) as answer:
            count = int(answer.read())
        if count != before:
            before, since = count, time.monotonic()
        elif time.monotonic() - since > _QUIET_SECONDS:
            return
        time.sleep(_POLL_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received += 1
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(str(self.received).encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Serve on a port that is free, and print it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
