"""Real redis servers for tests: started, killed, stopped in their tracks and started again."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from tests.integration.clients import require_program
from tests.serving import SECONDS, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.tls.authority import Pair


@dataclass(slots=True)
class RedisServer:
    """A redis-server that keeps nothing on disk; `settings` are lines of its configuration."""

    directory: Path
    settings: tuple[str, ...] = ()
    password: str = ""
    is_sentinel: bool = False
    tls: tuple[Path, Pair] | None = None
    """File of the authority, and the certificate of the server, which asks clients for one."""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def addr(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> RedisServer:
        self.directory.mkdir(parents=True, exist_ok=True)
        wait_until(f"redis answers on {self.port}", self._answers_once_started)
        return self

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(SECONDS)

    def hang(self) -> None:
        """Let it hold its connections, take new ones, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again after it hung."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Any:
        """Give a client for the test's own use; untyped, as the library's types allow for asyncio, too."""
        secured: dict[str, Any] = {}
        if self.tls:
            authority, pair = self.tls
            secured = {
                "ssl": True,
                "ssl_ca_certs": str(authority),
                "ssl_certfile": str(pair.certificate),
                "ssl_keyfile": str(pair.key),
            }
        return redis.Redis("127.0.0.1", self.port, password=self.password or None, socket_timeout=SECONDS, **secured)

    def _answers_once_started(self) -> bool:
        # While it was down, somebody's connection may have taken its port for a moment.
        if self._process is None or self._process.poll() is not None:
            self._process = self._begin()
        with contextlib.closing(self.client()) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def _begin(self) -> subprocess.Popen[bytes]:
        lines = ["bind 127.0.0.1", 'save ""', f"dir {self.directory}", f"logfile {self.directory}/redis.log"]
        if self.password:
            lines.append(f"requirepass {quoted(self.password)}")
        path = self.directory / "redis.conf"
        path.write_text("\n".join([*lines, *self._listening(), *self.settings]) + "\n")
        command = [require_program("redis-server"), str(path), *(["--sentinel"] if self.is_sentinel else [])]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _listening(self) -> list[str]:
        if not self.tls:
            return [f"port {self.port}"]
        authority, pair = self.tls
        files = {"cert": pair.certificate, "key": pair.key, "ca-cert": authority}
        return ["port 0", f"tls-port {self.port}", *(f"tls-{kind}-file {path}" for kind, path in files.items())]


def quoted(text: str) -> str:
    """Give `text` as a value in redis' configuration."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


@contextlib.contextmanager
def running(*servers: RedisServer) -> Iterator[None]:
    """Start `servers`, and kill them at the end."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.kill()
