from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.auth.directories import directory_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.auth.directories import DirectoryServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DirectoryServer]:
    with directory_server(tmp_path) as server:
        yield server
