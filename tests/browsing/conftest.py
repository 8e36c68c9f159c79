from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.browsing.images import Images
from registry.inventory.local import StorageReader
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver


@pytest.fixture
def repositories(driver: InMemoryDriver) -> Repositories:
    return Repositories(driver)


@pytest.fixture
def images(repositories: Repositories) -> Images:
    """Return what looks at `repositories`."""
    return Images(StorageReader(repositories))
