"""Stands: all registries running at one place (on a medium, behind nginx or not), to be measured by turns."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.content import push_samples
from tests.benchmarks.measuring import Target
from tests.benchmarks.nginx import Nginx, find_nginx
from tests.benchmarks.peers import Server, new_site
from tests.benchmarks.tools import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.content import Samples
    from tests.benchmarks.peers import Peer
    from tests.benchmarks.rows import Row

PLACES = ("tmpfs", "nginx", "disk")
"""Directly on tmpfs, behind nginx on tmpfs, directly on the disk that holds temporary files."""

_MEMORY = Path("/dev/shm")


def available_places(wanted: str) -> list[str]:
    """Return the places in `wanted`, or all, that this machine has."""
    names = wanted.replace(",", " ").split() or PLACES
    return [place for place in PLACES if place in names and (place != "nginx" or find_nginx())]


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
        servers = []
        for peer in peers:
            server = Server(peer, new_site(directory / peer.name, behind=place == "nginx"))
            stack.callback(server.stop)
            servers.append(server.start())
            push_samples(server, samples)
            for plant in _plants(rows) if peer.tree else ():
                plant(server.site.root, samples)
        nginx = None
        if place == "nginx":
            nginx = Nginx.start(directory / "front", servers)
            stack.callback(nginx.stop)
        yield [_target(server, nginx, samples, directory) for server in servers]


def _plants(rows: Sequence[Row]) -> list[Callable[[Path, Samples], None]]:
    return list(dict.fromkeys(row.plant for row in rows if row.plant))


def _target(server: Server, nginx: Nginx | None, samples: Samples, directory: Path) -> Target:
    own = directory / f"scratch-{server.peer.name}"
    own.mkdir()
    if nginx is None:
        return Target(server, Address("127.0.0.1", server.site.port), (server.pid,), samples, own)
    return Target(server, nginx.address(server.peer.name), (server.pid, nginx.pid), samples, own)
