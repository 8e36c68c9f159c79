from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from tests.proxy.cache import Cache
from tests.proxy.caching_host import OPENED
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.base import StorageDriver


class Start(Protocol):
    def __call__(self, driver: StorageDriver | None = None, **network: float) -> Cache: ...


@pytest.fixture
def remote() -> Iterator[Registry]:
    """The registry that is cached."""
    with registry() as served:
        yield served


@pytest.fixture
def upstream(remote: Registry) -> Iterator[Registry]:
    """The registry that is cached by hosts of tests.proxy.caching_host, which are closed behind the test."""
    yield remote
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(params=["filesystem", "inmemory"])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> StorageDriver:
    """A storage on which an upload is a file that others can read, and one on which it is not."""
    return FilesystemDriver(str(tmp_path)) if request.param == "filesystem" else InMemoryDriver()


@pytest.fixture
def start(remote: Registry, medium: StorageDriver) -> Iterator[Start]:
    """Start a process that caches `remote` in `medium`; several of them share it."""
    with ExitStack() as started:

        def starting(driver: StorageDriver | None = None, **network: float) -> Cache:
            cache = Cache(driver or medium, remote.url, network=network)
            started.callback(cache.close)
            return cache

        yield starting


@pytest.fixture
def cache(start: Start) -> Cache:
    return start()
