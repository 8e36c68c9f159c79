"""What is asked through HTTP is asked of every driver: ``make test`` does it in memory, ``make test-s3`` on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt
import pytest

from drivers.inmemory import InMemoryDriver
from tests.drivers.stores import STORES

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver
    from tests.drivers.stores import Store


@pytest.fixture(params=["inmemory", *STORES])
def driver(request: pytest.FixtureRequest) -> StorageDriver:
    """Each driver, empty."""
    if request.param == "inmemory":
        return InMemoryDriver(lock_seconds=0.1)
    store: Store = request.getfixturevalue(request.param)
    return store.medium().driver()


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    """Give the passwords of three users."""
    path = tmp_path / "htpasswd"
    users = {"alice": "wonderland", "ci": "machine", "cleaner": "broom"}
    hashed = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in users.items()}
    path.write_text("".join(f"{user}:{each}\n" for user, each in hashed.items()))
    return path
