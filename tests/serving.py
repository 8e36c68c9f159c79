"""A registry of several processes for tests: ``registry serve`` on free ports, with a log that can be read."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS = 90
POLL_SECONDS = 0.02


def wait_until(what: str, condition: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Return when `condition()` is true; a connection that is refused or breaks is no answer yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not within {seconds} s: {what}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and which the kernel gives to nobody until it is taken.

    Those from 32768 on it gives to clients, and to whoever asks for any port.
    """
    chance = SystemRandom()
    while True:
        port = chance.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: its API on `port`, its debug server on `debug_port`, what it said in two files."""

    process: subprocess.Popen[bytes]
    port: int
    debug_port: int
    stdout: Path
    stderr: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return _request(self.port, method, path, body, headers)

    def get(self, path: str, **headers: str) -> Answer:
        return _request(self.port, "GET", path, None, headers)

    def debug(self, path: str) -> Answer:
        return _request(self.debug_port, "GET", path, None, {})

    def workers(self) -> set[int]:
        return {
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        }

    def log(self) -> str:
        return self.stderr.read_text()


def _request(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read())
    finally:
        connection.close()


@contextmanager
def serving(
    directory: Path,
    overlay: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> Iterator[Serving]:
    """Run a server on `directory`/root, its configuration changed by `overlay`, and stop it at the end.

    `before` is what stands before the command.
    """
    port, debug_port = free_port(), free_port()
    configuration: dict[str, Any] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(directory / "root")}, "delete": {"enabled": True}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "secret": "a secret for the tests",
            "workers": 2,
            "draintimeout": "5s",
            "debug": {"addr": f"127.0.0.1:{debug_port}", "prometheus": {"enabled": True}},
        },
    }
    _merge(configuration, overlay or {})
    path = directory / "config.yml"
    path.write_text(yaml.safe_dump(configuration))
    stdout, stderr = directory / "stdout", directory / "stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "registry", "serve", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={"PATH": os.environ["PATH"], **(environ or {})},
            start_new_session=True,
        )
    running = Serving(process, port, debug_port, stdout, stderr)
    try:
        wait_until("the server answers", lambda: process.poll() is not None or running.get("/healthz").status == 200)
        assert process.poll() is None, running.log()
        # The first worker may answer, and do periodic work, before there is another one.
        expected = _workers(configuration, environ or {})
        wait_until("all workers have been started", lambda: len(running.workers()) >= expected)
        yield running
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)


def _workers(configuration: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Return how many a server has at least; that of what a process keeps in its memory has one."""
    in_memory = "inmemory" in configuration["storage"] or environ.get("REGISTRY_STORAGE") == "inmemory"
    return 1 if in_memory else int(environ.get("REGISTRY_HTTP_WORKERS", configuration["http"]["workers"]))


def _merge(into: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
