"""The upstream of a cache that is measured: a registry with the samples, behind a relay that counts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.connection import Connection, with_digest
from tests.benchmarks.content import REPOSITORY, push_samples
from tests.benchmarks.peers import Server, new_site, upstream_peer
from tests.benchmarks.pushing import Content
from tests.benchmarks.relay import running_relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.content import Samples
    from tests.benchmarks.relay import Relay


@dataclass(frozen=True, slots=True)
class Upstream:
    """A registry that runs for one cache alone."""

    server: Server
    relay: Relay

    @property
    def url(self) -> str:
        """Where the cache reaches it."""
        return f"http://127.0.0.1:{self.relay.port}"

    def push(self, file: Path) -> str:
        """Push a blob that nobody has seen before, of the bytes of `file` and a tail; return its digest."""
        tail, digest = Content.load(file).vary()
        with Connection("127.0.0.1", self.server.site.port) as connection, file.open("rb") as content:
            location = connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", expected=202).location
            connection.request("PUT", with_digest(location, digest), expected=201, file=content, body=tail)
        return digest


@contextmanager
def running_upstream(directory: Path, samples: Samples) -> Iterator[Upstream]:
    """Give one that keeps its content in `directory`."""
    server = Server(upstream_peer(), new_site(directory, behind=False))
    try:
        push_samples(server.start(), samples)
        with running_relay(server.site.port) as relay:
            yield Upstream(server, relay)
    finally:
        server.stop()
