"""What the probes are told: a status and, by check, what is wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from registry.foundation.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.health.board import Board

Report = tuple[HTTPStatus, "Mapping[str, str]"]


def health(board: Board) -> Report:
    """Report on the checks of the ``health`` section, as ``/debug/health`` of the Go registry does, and on notices."""
    verdict = board.read()
    status, found = _report(verdict.failing, verdict.degraded)
    return status, {**board.notices, **found}


def public_readiness(board: Board) -> Report:
    """Report what readiness() does, to anybody: kinds of checks in place of names and errors.

    Those may name paths, buckets, hosts, and say what a library said.
    """
    verdict = board.read()
    unready = _of_this_moment(board)
    status = HTTPStatus.SERVICE_UNAVAILABLE if unready or verdict.unready else HTTPStatus.OK
    return status, {**verdict.public, **unready}


def readiness(board: Board) -> Report:
    """Report whether to send requests here: not if the server is stopping, nor if anything fails that is needed.

    This is for the operator; what anybody may see is public_readiness().
    """
    verdict = board.read()
    return _report({**verdict.unready, **_of_this_moment(board)}, verdict.degraded)


def _of_this_moment(board: Board) -> Mapping[str, str]:
    """Return what makes the server unready and is not found by a check."""
    unready = {"server": "stopping"} if board.draining else {}
    since = board.storage_silent_since
    return {**unready, "storage": f"does not answer since {rfc3339(since)}"} if since else unready


def _report(errors: Mapping[str, str], degraded: Mapping[str, str]) -> Report:
    return (HTTPStatus.SERVICE_UNAVAILABLE if errors else HTTPStatus.OK), {**degraded, **errors}
