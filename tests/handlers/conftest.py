"""What is asked through HTTP is asked of every driver: ``make test`` does it in memory, ``make test-s3`` on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from tests.drivers.stores import STORES

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from tests.drivers.stores import Store


@pytest.fixture(params=["inmemory", *STORES])
def driver(request: pytest.FixtureRequest) -> StorageDriver:
    """Each driver, empty."""
    if request.param == "inmemory":
        return InMemoryDriver(lock_seconds=0.1)
    store: Store = request.getfixturevalue(request.param)
    return store.medium().driver()
