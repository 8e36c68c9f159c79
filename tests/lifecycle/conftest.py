from __future__ import annotations

import pytest

from registry.storage import runs
from registry.storage.runs import Pace


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Pace:
    """Let a run wait for nothing, and everything be old that was written before it."""
    pace = Pace(announced=0, cached=0, beat=0.02, reliance=10, margin=0, closed=1)
    monkeypatch.setattr(runs, "PACE", pace)
    return pace
