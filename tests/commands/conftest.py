from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands.stores import configure, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return where a storage of three repositories is, with its configuration, ``config.yml``."""
    fill(tmp_path)
    configure(tmp_path)
    return tmp_path
