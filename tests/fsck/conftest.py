from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from tests.drivers.stores import STORES

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from tests.drivers.stores import Store


@pytest.fixture(params=["inmemory", "filesystem", *STORES])
def driver(request: pytest.FixtureRequest) -> StorageDriver:
    """Each driver, empty."""
    if request.param == "inmemory":
        return InMemoryDriver(lock_seconds=0.1)
    if request.param == "filesystem":
        found: StorageDriver = request.getfixturevalue("filesystem")
        return found
    store: Store = request.getfixturevalue(request.param)
    return store.medium().driver()
