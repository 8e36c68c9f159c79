from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from drivers.base import NoSpaceError
from drivers.s3.staging import SPOOL_MEMORY, Spool

if TYPE_CHECKING:
    from pathlib import Path


def test_where_nothing_can_be_spooled_it_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only root there is no directory at all: to ask for its name fails, too."""
    # What tempfile would try. Root may write anywhere, so none of them is there.
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with Spool() as spool:
        spool.write(b"x" * SPOOL_MEMORY)
        with pytest.raises(NoSpaceError, match=r"^spool an upload: No usable temporary directory .*; TMPDIR may name"):
            spool.write(b"x")
