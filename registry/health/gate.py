"""The gate before the API: shut while a configured check fails, as the Go registry does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.error_codes import RETRY_SECONDS, UNAVAILABLE, error_body

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from registry.health.board import Board

LIVENESS_PATH: Final = "/healthz"
READINESS_PATH: Final = "/readyz"

_BODY: Final = error_body(UNAVAILABLE, "service unavailable", "health check failed: please see /debug/health").encode()


class Gate:
    """Answers everything but the probes with 503 while `board` says so."""

    def __init__(self, wrapped: WSGIApplication, board: Board) -> None:
        self._wrapped = wrapped
        self._board = board

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._board.refusing or environ["PATH_INFO"] in {LIVENESS_PATH, READINESS_PATH}:
            return self._wrapped(environ, start_response)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(_BODY))),
            ("Retry-After", RETRY_SECONDS),
            # The body of the request was not read: where the next one would begin is not known.
            ("Connection", "close"),
        ]
        start_response("503 Service Unavailable", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [_BODY]
