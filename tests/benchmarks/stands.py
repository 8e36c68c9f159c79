"""Stands: all registries running at one place (on a medium, behind nginx or not), to be measured in turn."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.content import push_samples
from tests.benchmarks.measuring import Target
from tests.benchmarks.nginx import Nginx, find_nginx
from tests.benchmarks.peers import Server, find_peers, new_site
from tests.benchmarks.processes import memory
from tests.benchmarks.sink import running_sink
from tests.benchmarks.storing import DRIVERS, lacking, object_store
from tests.benchmarks.tools import Address
from tests.benchmarks.upstream import running_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.content import Samples
    from tests.benchmarks.peers import Peer, Site
    from tests.benchmarks.processes import Memory
    from tests.benchmarks.relay import Relay
    from tests.benchmarks.rows import Row
    from tests.benchmarks.storing import ObjectStore
    from tests.benchmarks.upstream import Upstream

PLACES = ("tmpfs", "nginx", "disk", "s3", "s3-far", "gcs", "azure")
"""On tmpfs, behind nginx on tmpfs, on the disk that holds temporary files, over an S3 server that is on tmpfs, over the
same with the latency of a network in between, over emulators of Google's and Microsoft's stores, which use memory."""

_MEMORY = Path("/dev/shm")
_SETTLES_SECONDS = 1.0
"""Until all workers of a registry that answers have started as well."""


def available_places(wanted: str, default: Sequence[str] = PLACES) -> list[str]:
    """Return the places in `wanted`, or those in `default` that this machine has, with a line on stderr about others.

    Raises:
        SystemExit: one of `wanted` is not a place, or lacks what it needs.
    """
    named = wanted.replace(",", " ").split()
    without = {place: why for place in named or default if (why := _lacking(place))}
    if named and without:
        sys.exit("\n".join(without.values()))
    for why in without.values():
        print(f"{why}; left out", file=sys.stderr)
    return [place for place in PLACES if place in (named or default) and place not in without]


def _lacking(place: str) -> str:
    """Return what this machine lacks for `place` and how to get it; "" for nothing."""
    if place not in PLACES:
        return f"{place} is not a place: {', '.join(PLACES)}"
    if place == "nginx" and not find_nginx():
        return "the place nginx needs the program nginx (Debian: nginx-light)"
    return lacking(place) if place in DRIVERS else ""


@contextmanager
def scratch(place: str) -> Iterator[Path]:
    """Give a directory on the place's medium, gone afterwards."""
    medium = _MEMORY if place != "disk" and _MEMORY.is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="registry-bench-", dir=medium))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def stand(place: str, peers: Sequence[Peer], rows: Sequence[Row], samples: Samples) -> Iterator[list[Target]]:
    """Start every registry with its content and give them as targets."""
    with scratch(place) as directory, ExitStack() as stack:
        store = stack.enter_context(object_store(place, directory / "store")) if place in DRIVERS else None
        running: list[_Running] = []
        for peer in peers:
            if place in DRIVERS and DRIVERS[place] not in peer.stores:
                print(f"{peer.name} cannot be compared on {place}; left out", file=sys.stderr)
            elif any(row.takes(peer, place) for row in rows):
                site = new_site(directory / peer.name, behind=place == "nginx")
                running.append(_started(stack, peer, site, store, samples))
        time.sleep(_SETTLES_SECONDS)
        idle = [memory(each.server.pid) for each in running]
        for each in running:
            peer = each.server.peer
            if each.upstream is None:
                _fill(each.server, DRIVERS.get(place, ""), samples)
            for plant in _plants([row for row in rows if row.takes(peer, place)]) if peer.tree else ():
                plant(each.server.site.root, samples)
        nginx = None
        if place == "nginx":
            nginx = Nginx.start(directory / "front", [each.server for each in running])
            stack.callback(nginx.stop)
        yield [_target(each, nginx, samples, directory, used) for each, used in zip(running, idle, strict=True)]


@dataclass(frozen=True, slots=True)
class _Running:
    """A registry with what is behind it: the registry that it caches, or the way to its store."""

    server: Server
    upstream: Upstream | None
    relay: Relay | None


def _started(stack: ExitStack, peer: Peer, site: Site, store: ObjectStore | None, samples: Samples) -> _Running:
    """Start a registry, and its upstream if it is a cache."""
    upstream = relay = None
    if peer.tells:
        site = replace(site, endpoint=stack.enter_context(running_sink()))
    if peer.caches:
        upstream = stack.enter_context(running_upstream(site.root.with_name(f"{peer.name}-upstream"), samples))
        site = replace(site, upstream=upstream.url)
    if store:
        relay = store.relay(stack)
        site = replace(site, storage=store.storage(peer.name, relay), environment=store.environment(peer))
    server = Server(peer, site)
    stack.callback(server.stop)
    return _Running(server.start(), upstream, relay)


def _fill(server: Server, driver: str, samples: Samples) -> None:
    """Give a registry the samples: ours pushes them for one that cannot push to the store of that `driver`."""
    if driver not in server.peer.reads_only:
        push_samples(server, samples)
        return
    instead = next(peer for peer in find_peers("") if peer.ours)
    pushing = Server(instead, new_site(server.site.root.with_name("instead"), storage=server.site.storage))
    try:
        push_samples(pushing.start(), samples)
    finally:
        pushing.stop()


def _plants(rows: Sequence[Row]) -> list[Callable[[Path, Samples], None]]:
    return list(dict.fromkeys(row.plant for row in rows if row.plant))


def _target(running: _Running, nginx: Nginx | None, samples: Samples, directory: Path, idle: Memory) -> Target:
    server = running.server
    own = directory / f"scratch-{server.peer.name}"
    own.mkdir()
    address = nginx.address(server.peer.name) if nginx else Address("127.0.0.1", server.site.port)
    pids = (server.pid, nginx.pid) if nginx else (server.pid,)
    return Target(server, address, pids, samples, own, running.upstream, running.relay, idle)
