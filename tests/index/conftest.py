from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.index.hosts import Host, Registry

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver


@pytest.fixture
def registry(driver: InMemoryDriver) -> Registry:
    return Registry(driver)


@pytest.fixture
def host(tmp_path: Path, driver: InMemoryDriver) -> Host:
    return Host(tmp_path / "index", driver)
