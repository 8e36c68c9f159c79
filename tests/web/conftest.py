from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    """Give the passwords of three users."""
    path = tmp_path / "htpasswd"
    users = {"alice": "wonderland", "ci": "machine", "cleaner": "broom"}
    hashed = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in users.items()}
    path.write_text("".join(f"{user}:{each}\n" for user, each in hashed.items()))
    return path
