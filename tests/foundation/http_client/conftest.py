from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.foundation.http_client import HttpClient
from tests.foundation.http_client.servers import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with closing(HttpClient()) as made:
        yield made


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started
