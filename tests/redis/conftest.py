from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis.server import RedisServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    found = RedisServer(tmp_path / "redis")
    with running(found):
        yield found
