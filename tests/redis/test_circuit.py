from __future__ import annotations

from typing import TYPE_CHECKING

from registry.redis.circuit import Circuit
from tests.faults import no_more_threads
from tests.serving import wait_until

if TYPE_CHECKING:
    import pytest


def test_a_server_is_asked_again_after_no_thread_could_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registry.redis.circuit._PAUSE_SECONDS", 0.01)
    with no_more_threads():
        circuit = Circuit("redis", lambda: None)
        assert not circuit.usable()

    assert "redis: can't start new thread" in caplog.text
    wait_until("it is asked", circuit.usable)
