"""The reason phrases of HTTP as Go's ``net/http`` spells them: scripts look for them in the first line of an answer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    # Python's depend on its version.
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    416: "Requested Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Entity",
}


def reason(status: int) -> str:
    """Return the reason phrase of `status`."""
    return REASONS.get(status) or f"status code {status}"
