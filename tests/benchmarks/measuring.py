"""Measuring: the cost of one row on one server."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.benchmarks.content import REPOSITORY, forget_pushed
from tests.benchmarks.peers import Server, new_site
from tests.benchmarks.processes import Memory, PeakMemory, cpu_seconds, memory
from tests.benchmarks.relay import FAR_SECONDS
from tests.benchmarks.sink import wait_until_quiet
from tests.benchmarks.tools import Address, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.content import Samples
    from tests.benchmarks.relay import Relay, Traffic
    from tests.benchmarks.tools import Load
    from tests.benchmarks.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Target:
    """A registry as a row sees it: `address` is where clients connect, `pids` whose CPU is counted.

    `upstream` is that of a cache, `relay` what is before an object store that is far away, `idle` the server's memory
    when it had just been started.
    """

    server: Server
    address: Address
    pids: tuple[int, ...]
    samples: Samples
    scratch: Path
    upstream: Upstream | None = None
    relay: Relay | None = None
    idle: Memory = field(default_factory=Memory)

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
    Of one that has an upstream or a store behind a relay, `asked` is what that was asked meanwhile, and `grown` the
    resident bytes by which the registry grew.
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


def through(relay: Relay, delay: float, run: Callable[[Target], Load], target: Target) -> Measurement:
    """Measure a server while `run` loads it and each request that passes the `relay` is delayed by so many seconds."""
    before, asked = memory(target.server.pid), relay.delay(delay)
    try:
        found = under_load(run)(target)
    finally:
        traffic = relay.delay(0) - asked
    return replace(found, asked=traffic, grown=max(0, found.memory.rss - before.rss))


def far(run: Callable[[Target], Load]) -> Callable[[Target], Measurement]:
    """Return what measures a server under the load of `run` while its object store is far away."""

    def measure(target: Target) -> Measurement:
        if target.relay is None:
            raise LoadError("there is no relay before its store")
        return through(target.relay, FAR_SECONDS, run, target)

    return measure


def apart(run: Callable[[Target], Load], plant: Callable[[Path, Samples], None]) -> Callable[[Target], Measurement]:
    """Return what measures a second server of the same kind, whose tree holds only what `plant` writes."""

    def measure(target: Target) -> Measurement:
        server = Server(target.server.peer, new_site(target.scratch / "apart"))
        plant(server.site.root, target.samples)
        try:
            server.start()
            address = Address("127.0.0.1", server.site.port)
            other = Target(server, address, (server.pid,), target.samples, target.scratch)
            return replace(under_load(run)(other), apart=True)
        finally:
            server.stop()
            shutil.rmtree(server.site.root)

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
