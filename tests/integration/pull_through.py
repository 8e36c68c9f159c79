"""Clients of a cache that pull one blob at the same time, and an upstream that lets them wait for the rest of it."""

from __future__ import annotations

import http.client
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.api import TIMEOUT_SECONDS
from tests.integration.servers import Server, merged, ours
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.integration.servers import Flavour
    from tests.upstreams.faults import Fault
    from tests.upstreams.server import Answer, Handler

MIB = 1 << 20
NETWORK = {"httpproxy": "none", "private": "allow"}


def entry(url: str, **more: Any) -> dict[str, Any]:
    """Give an entry of ``proxies`` for the upstream at `url`, whose names begin with ``up``; `more` are its keys."""
    return merged({"name": "up", "remoteurl": url, "network": NETWORK}, more)


@contextmanager
def caches(
    directory: Path,
    settings: Mapping[str, Any],
    *,
    count: int = 1,
    storage: Mapping[str, object] | None = None,
    root: Path | None = None,
    flavour: Flavour | None = None,
) -> Iterator[list[Server]]:
    """Run `count` servers of two workers with one storage, which must end cleanly."""
    settings = merged({"http": {"workers": 2, "draintimeout": "5s"}}, settings)
    root = root or directory / "root"
    flavour = flavour or ours()
    servers = [Server(flavour, root, directory, settings=settings, storage=storage) for _ in range(count)]
    try:
        for server in servers:
            server.start()
        yield servers
        for server in servers:
            if server.is_running():
                server.stop_cleanly()
    finally:
        for server in servers:
            if server.is_running():
                server.kill()


@dataclass
class Pull:
    """One GET of a blob, each byte of which is compared with `content` and forgotten."""

    server: Server
    path: str
    content: memoryview
    pause: Callable[[int], object] = lambda _: None
    """Called with the number of bytes each time that some have come."""
    status: int = 0
    received: int = 0
    is_wrong: bool = False
    port: int = 0

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and self.received == len(self.content)

    def run(self) -> None:
        """Read until the end of the answer, or of the connection."""
        connection = self.server.api.connect()
        try:
            connection.request("GET", self.path)
            self.port = connection.sock.getsockname()[1]
            response = connection.getresponse()
            self.status = response.status
            buffer = memoryview(bytearray(MIB))
            with suppress(OSError, http.client.HTTPException):
                while count := response.readinto(buffer):
                    expected = self.content[self.received : self.received + count]
                    self.is_wrong |= self.status == 200 and expected != buffer[:count]
                    self.received += count
                    self.pause(self.received)
        finally:
            connection.close()


@dataclass
class Crowd:
    """Pulls, each in a thread of its own."""

    pulls: list[Pull] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def join_in(self, *pulls: Pull) -> None:
        """Begin pulls."""
        for pull in pulls:
            thread = threading.Thread(target=pull.run, daemon=True)
            self.pulls.append(pull)
            self._threads.append(thread)
            thread.start()

    def wait_for_first_bytes(self) -> None:
        """Return when every client has got some of the blob."""
        wait_until("all clients have got the first bytes", lambda: all(each.received for each in self.pulls))

    def end(self, seconds: float = TIMEOUT_SECONDS) -> None:
        """Return when all pulls are over."""
        for thread in self._threads:
            thread.join(seconds)
        assert not any(thread.is_alive() for thread in self._threads), "a client still waits"


@dataclass
class Gate:
    """Lets an upstream stop in the middle of an answer until it is opened."""

    after: int
    trickle: int = 0
    _open: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        self._open.set()

    @property
    def fault(self) -> Fault:
        """Send `after` bytes, then `trickle` at a time up to half of the rest; all of it when it opens."""

        def behave(handler: Handler, answer: Answer) -> None:
            handler.send_head(answer, length=len(answer.content))
            content = memoryview(answer.content)
            handler.wfile.write(content[: self.after])
            sent, most = self.after, (self.after + len(content)) // 2
            while not self._open.wait(0.05):
                if handler.state.ended.is_set():
                    return
                if self.trickle and sent < most:
                    handler.wfile.write(content[sent : sent + self.trickle])
                    sent += self.trickle
            handler.wfile.write(content[sent:])

        return behave


def peaks(servers: Sequence[Server]) -> dict[int, int]:
    """Give how much memory each process of the servers has had at most since the last call, in bytes by its pid."""
    found = {}
    for pid in [pid for server in servers for pid in server.processes()]:
        status = Path(f"/proc/{pid}/status").read_text()
        found[pid] = int(status.partition("VmHWM:")[2].split()[0]) * 1024
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return found


def process_of(server: Server, port: int) -> int | None:
    """Give the pid of that process of a server which has the connection one of whose ends is at this local port."""
    inodes = set()
    with ExitStack() as opened:
        for name in ("/proc/net/tcp", "/proc/net/tcp6"):
            with suppress(FileNotFoundError):
                inodes |= _inodes(opened.enter_context(Path(name).open()).readlines()[1:], port)
    for pid in server.processes():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        return pid
    return None


def _inodes(lines: Sequence[str], port: int) -> set[str]:
    """Give the names of the sockets in the lines of a table of the kernel that have this port at one end."""
    found = set()
    for line in lines:
        _, local, remote, _, *rest = line.split()
        if port in {int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)}:
            found.add(f"socket:[{rest[5]}]")
    return found
