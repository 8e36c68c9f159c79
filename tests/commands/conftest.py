from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.commands.stores import configure, fill

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return where a storage of three repositories is, with its configuration, ``config.yml``."""
    fill(tmp_path)
    configure(tmp_path)
    return tmp_path


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Give a directory that every user may enter; those of pytest are closed again whenever another pytest starts."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory
