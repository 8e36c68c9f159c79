"""The gate before the API: shut while a configured check fails, as the Go registry does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.error_codes import RETRY_SECONDS, UNAVAILABLE, error_body
from registry.foundation.url_paths import lies_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from registry.health.board import Board

LIVENESS_PATH: Final = "/healthz"
READINESS_PATH: Final = "/readyz"

_BODY: Final = error_body(UNAVAILABLE, "service unavailable", "health check failed: please see /debug/health").encode()


_TOLD: Final = (
    b"The registry cannot answer at the moment: one of its health checks fails. Try again in a few seconds.\n"
)
"""What people are told."""


class Gate:
    """Answers everything but the probes with 503 while `board` says so; below the path `pages`, in words for people."""

    def __init__(self, wrapped: WSGIApplication, board: Board, pages: str | None = None) -> None:
        self._wrapped = wrapped
        self._board = board
        self._pages = pages

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._board.refusing or environ["PATH_INFO"] in {LIVENESS_PATH, READINESS_PATH}:
            return self._wrapped(environ, start_response)
        is_page = self._pages is not None and lies_at(environ["PATH_INFO"], self._pages)
        body = _TOLD if is_page else _BODY
        headers = [
            ("Content-Type", "text/plain; charset=utf-8" if is_page else "application/json"),
            ("Content-Length", str(len(body))),
            ("Retry-After", RETRY_SECONDS),
            # The body of the request was not read: where the next one would begin is not known.
            ("Connection", "close"),
        ]
        start_response("503 Service Unavailable", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
