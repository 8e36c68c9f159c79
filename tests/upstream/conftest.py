from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Network
from registry.config.upstreams import Upstream as Settings
from registry.upstream.client import Upstream
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
def connect() -> Iterator[Callable[..., Upstream]]:
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
def upstream(remote: Registry, connect: Callable[..., Upstream]) -> Iterator[Upstream]:
    with closing(connect(remote)) as made:
        yield made
