"""Measuring: the cost of one row on one server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.content import REPOSITORY, forget_pushed
from tests.benchmarks.peers import Server, new_site
from tests.benchmarks.processes import Memory, PeakMemory, cpu_seconds
from tests.benchmarks.sink import wait_until_quiet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.content import Samples
    from tests.benchmarks.relay import Traffic
    from tests.benchmarks.tools import Address, Load
    from tests.benchmarks.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Target:
    """A registry as a row sees it: `address` is where clients connect, `pids` whose CPU is counted.

    `upstream` is that of a cache.
    """

    server: Server
    address: Address
    pids: tuple[int, ...]
    samples: Samples
    scratch: Path
    upstream: Upstream | None = None

    @property
    def cached(self) -> str:
        """What this registry calls the repository of the samples, which a cache keeps."""
        return self.server.peer.cached + REPOSITORY

    @property
    def asked(self) -> str:
        """The same for a cache that looks for tags upstream at each request."""
        return self.server.peer.asked + REPOSITORY


@dataclass(frozen=True, slots=True)
class Measurement:
    """What `requests` requests cost; times in seconds, memory in bytes.

    `apart` says that it was a second server's, started for this alone: its memory is not that of the one that runs on.
    Of a cache, `asked` is what its upstream was asked meanwhile, and `grown` the resident bytes by which it grew.
    """

    requests: int
    seconds: float
    cpu: float
    p50: float
    p99: float
    memory: Memory
    apart: bool = False
    asked: Traffic | None = None
    grown: int = 0

    @property
    def cpu_per_request(self) -> float:
        """CPU seconds of the server, and of nginx where there is one, for each request."""
        return self.cpu / self.requests

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def under_load(run: Callable[[Target], Load]) -> Callable[[Target], Measurement]:
    """Return what measures a server while `run` loads it, and, where it sends events, until all of them are sent."""

    def measure(target: Target) -> Measurement:
        wall, before = time.time(), cpu_seconds(*target.pids)
        with PeakMemory([target.server.pid]) as sampled:
            load = run(target)
            if target.server.site.endpoint:
                wait_until_quiet(target.server.site.endpoint)
        spent = cpu_seconds(*target.pids) - before
        forget_pushed(target.server.site.root, wall)
        return Measurement(load.requests, load.seconds, spent, load.p50, load.p99, sampled.peak)

    return measure


def at_start(target: Target, *, idle_seconds: float) -> Measurement:
    """Measure a second server of the same kind, started on nothing, from its start until it has been idle a while."""
    peer = target.server.peer
    server = Server(peer, new_site(target.scratch / f"start-{peer.name}", behind=False)).start()
    try:
        time.sleep(idle_seconds)
        with PeakMemory([server.pid]) as sampled:
            spent = cpu_seconds(server.pid)
        took = server.start_seconds
        return Measurement(1, took, spent, took, took, sampled.peak, apart=True)
    finally:
        server.stop()
