"""What the service refuses, turned into the contract's errors."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from drivers.azure.documents import document
from drivers.base import DriverError, NotPermittedError, PathNotFoundError, UnavailableError
from drivers.calls.request import RefusedError
from drivers.translation import CHECK_RIGHTS, Translation, foreign, one_line

if TYPE_CHECKING:
    from registry.foundation.http_client import Reply

_OF_BLOBS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED})
"""Statuses that say that a blob is not there, or not as it was, where it is the service that says them."""
_CONTAINER: Final = "Container"
"""How the codes begin that tell of the container, and not of a blob in it."""
_LEASED: Final = "Lease"
"""How the codes of 412 begin that tell of a lease, which somebody holds, and not of a condition that is not met."""
_MOST_SKEW_SECONDS: Final = 15 * 60
"""How far the clock of a request may be off, for the service."""
_LONGEST_MESSAGE: Final = 400


class ConflictError(DriverError):
    """The blob does not have the version that was asked for."""


class LoginError(Exception):
    """There is no token of an identity; `status` is that of what the login service has answered, None if nothing."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


_WORDS: dict[int, type[DriverError]] = {
    HTTPStatus.UNAUTHORIZED: NotPermittedError,
    HTTPStatus.FORBIDDEN: NotPermittedError,
    HTTPStatus.NOT_FOUND: PathNotFoundError,
    HTTPStatus.REQUEST_TIMEOUT: UnavailableError,
    HTTPStatus.PRECONDITION_FAILED: ConflictError,
    HTTPStatus.TOO_MANY_REQUESTS: UnavailableError,
}


class Translated(Translation):
    """A block whose errors are raised as the contract's, naming the call and the blob."""

    __slots__ = ()
    driver = "azure"
    # Not all say that there is no answer, or a refusal: what has answered may not be the service.
    failures = (Exception,)
    advice = CHECK_RIGHTS

    @staticmethod
    def word(error: Exception) -> type[DriverError]:
        status = status_of(error)
        if status is None or status < HTTPStatus.BAD_REQUEST or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError
        word = _WORDS.get(status, DriverError)
        if isinstance(error, LoginError):
            return UnavailableError if word is UnavailableError else NotPermittedError
        if isinstance(error, RefusedError) and status in _OF_BLOBS:
            return _word_of_blob(word, error.answer)
        return word

    @staticmethod
    def text(error: Exception) -> str:
        """Return the first line of the service's message and its code; the other lines are ids and times."""
        if isinstance(error, RefusedError):
            return _said(error.answer)
        return one_line(error) if isinstance(error, OSError | LoginError) else foreign(error)


def _word_of_blob(word: type[DriverError], answer: Reply) -> type[DriverError]:
    """Return `word` if it is the service that answers, and if it is a blob that it speaks of."""
    code = _code(answer)
    if code.startswith(_LEASED):
        return DriverError
    # A blob that cannot be seen is not taken for one that is not there.
    hidden = code.startswith(_CONTAINER) or not (code or "x-ms-request-id" in answer.headers)
    return UnavailableError if hidden else word


def status_of(error: BaseException | None) -> int | None:
    """Return the status of the answer that led to `error`, or None if there was none."""
    if isinstance(error, RefusedError):
        return error.answer.status
    return error.status if isinstance(error, LoginError) else None


def code_of(error: BaseException | None) -> str:
    """Return the service's code for `error`, or "" if it gave none."""
    return _code(error.answer) if isinstance(error, RefusedError) else ""


def _code(answer: Reply) -> str:
    # An answer to HEAD has no other place for it.
    return answer.headers.get("x-ms-error-code") or _element(answer, "Code")


def _said(answer: Reply) -> str:
    code = _code(answer)
    text = _element(answer, "Message").partition("\n")[0].strip() or f"{answer.status} {answer.reason}"
    return one_line(f"{text[:_LONGEST_MESSAGE]}{f' ({code})' if code else ''}{_skew(answer)}")


def _element(answer: Reply, name: str) -> str:
    try:
        return document(answer.content, "Error").findtext(name, "").strip()
    except ValueError:
        return ""  # it is a proxy's


def _skew(answer: Reply) -> str:
    """Return what helps where a request is refused because this machine's clock is wrong: the service does not say."""
    if answer.status != HTTPStatus.FORBIDDEN:
        return ""
    try:
        seconds = time.time() - parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, IndexError):
        return ""
    if abs(seconds) < _MOST_SKEW_SECONDS:
        return ""
    return f"; the clock of this machine is {abs(seconds) / 60:.0f} minutes {'ahead' if seconds > 0 else 'behind'}"
