"""What the service refuses, and what stands between it and us, as the contract's errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import google.auth.exceptions

from drivers.base import DriverError, NotPermittedError, PathNotFoundError, UnavailableError
from drivers.calls.request import RefusedError
from drivers.translation import CHECK_RIGHTS, Translation, foreign, one_line
from registry.foundation.http_client import HttpError

if TYPE_CHECKING:
    from registry.foundation.http_client import Reply

_LONGEST_REASON: Final = 300
_LEAST_SERVER_ERROR: Final = 500


class ConflictError(DriverError):
    """The object does not have the generation that was asked for."""


_WORDS: Final = {
    401: NotPermittedError,
    403: NotPermittedError,
    404: PathNotFoundError,
    408: UnavailableError,
    412: ConflictError,
    429: UnavailableError,
}


class Translated(Translation):
    """A call of the service."""

    __slots__ = ()
    driver = "gcs"
    # Any, since an answer may not be this service's: what is looked for in it is not there.
    failures = (Exception,)
    advice = CHECK_RIGHTS

    @staticmethod
    def text(error: Exception) -> str:
        if isinstance(error, RefusedError):
            return f"{error.answer.status} {_message(error.answer)}"
        telling = isinstance(error, HttpError | google.auth.exceptions.GoogleAuthError)
        return one_line(error) if telling else foreign(error)

    @staticmethod
    def word(error: Exception) -> type[DriverError]:
        if isinstance(error, RefusedError):
            return _word(error.answer.status)
        if isinstance(error, google.auth.exceptions.GoogleAuthError):
            passing = error.retryable or isinstance(error, google.auth.exceptions.TransportError)
            return UnavailableError if passing else NotPermittedError
        return UnavailableError


def _word(status: int) -> type[DriverError]:
    if status in _WORDS:
        return _WORDS[status]
    # A redirect is of something in between.
    return DriverError if 400 <= status < _LEAST_SERVER_ERROR else UnavailableError  # noqa: PLR2004 - client errors


def _message(answer: Reply) -> str:
    """Return what the service says (https://cloud.google.com/storage/docs/json_api/v1/status-codes), or a proxy."""
    try:
        said = json.loads(answer.content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.content.decode("utf-8", "replace")
    return one_line(said)[:_LONGEST_REASON] if said else answer.reason
