"""Tells of a storage that is not asked for a while, as it does not answer: to the log, the probes and the metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.health.board import Board

_log = logging.getLogger(__name__)


class Meter(Protocol):
    """Counts for all processes."""

    def storage_circuit(self, driver: str, *, is_open: bool) -> None:
        """Take note that this process does not ask the storage for a while, or does again."""


def tell_of_silence(driver: StorageDriver, board: Board, meter: Meter | None) -> None:
    """Have it told from now on when `driver` does not ask its storage for a while, and when it does again."""
    circuit, name = driver.circuit, driver.name
    if circuit is None:
        return

    def tell(is_open: bool) -> None:  # noqa: FBT001  it is called with nothing else
        if is_open:
            board.storage_is_silent()
            _log.error("the storage does not answer; what needs it is refused, and it is tried again", extra=facts)
        else:
            board.storage_answers()
            _log.info("the storage answers again", extra=facts)
        if meter:
            meter.storage_circuit(name, is_open=is_open)

    facts = {"driver": name}
    circuit.watch(tell)
    if meter:
        meter.storage_circuit(name, is_open=False)
