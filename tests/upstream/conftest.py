from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import pytest

from registry.config.upstreams import Network
from registry.config.upstreams import Upstream as Settings
from registry.upstream.client import Upstream
from tests.upstream.content import NAME, image
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Connect: TypeAlias = "Callable[..., Upstream]"


@pytest.fixture
def remote() -> Iterator[Registry]:
    """A registry that answers well until it is told otherwise."""
    with registry() as served:
        yield served


@pytest.fixture
def other() -> Iterator[Registry]:
    """Another one, elsewhere."""
    with registry() as served:
        yield served


QUICK = Network(connecttimeout_seconds=5, answertimeout_seconds=30, stalltimeout_seconds=30)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make the client of a registry, with these settings."""
    made: list[Upstream] = []

    def connecting(remote: Registry, *, via: str = "", network: Network = QUICK, **settings: object) -> Upstream:
        configured = Settings(name="hub", remoteurl=remote.url, network=network, **settings)  # type: ignore[arg-type]
        made.append(Upstream(configured, via=via))
        return made[-1]

    yield connecting
    for each in made:
        each.close()


@pytest.fixture
def upstream(remote: Registry, connect: Connect) -> Iterator[Upstream]:
    with closing(connect(remote)) as made:
        yield made


@pytest.fixture
def private(remote: Registry) -> Registry:
    """The registry with a manifest for who logs in by a token of its own service."""
    remote.put_manifest(NAME, image(), "latest")
    remote.login, remote.realm = ("user", "word"), remote.token_url
    return remote


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by name. Nobody can give this machine names, so the resolver is replaced; all else is real."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: bytes, port: int, **options: int) -> list[tuple[object, ...]]:
        found = [real(address, port, **options) for address in table.get(host.decode(), [host.decode()])]
        return [each for answers in found for each in answers]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table
