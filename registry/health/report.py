"""What the probes are told: a status and, by check, what is wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.health.board import Board

Report = tuple[HTTPStatus, "Mapping[str, str]"]


def health(board: Board) -> Report:
    """Report on the checks of the ``health`` section, as ``/debug/health`` of the Go registry does, and on notices."""
    status, failing = _report(board.read().failing)
    return status, {**board.notices, **failing}


def readiness(board: Board) -> Report:
    """Report whether to send requests here: not if the server is stopping, nor if anything fails."""
    unready = board.read().unready
    return _report({"server": "stopping", **unready} if board.draining else unready)


def _report(errors: Mapping[str, str]) -> Report:
    return (HTTPStatus.SERVICE_UNAVAILABLE if errors else HTTPStatus.OK), errors
