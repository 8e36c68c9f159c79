"""The SDK's errors turned into those of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import urllib3.exceptions
from botocore import exceptions

from drivers.base import (
    DriverError,
    InvalidPathError,
    NoSpaceError,
    NotPermittedError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from drivers.calls.request import RefusedError
from drivers.s3.answers import code_and_message
from drivers.translation import CHECK_RIGHTS, Translation, foreign, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.foundation.http_client import Reply

_BUSY: Final = frozenset(
    {
        *("RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"),
        *("SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "ThrottledException"),
        *("RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException"),
        *("BandwidthLimitExceeded", "ServiceUnavailable", "InternalError"),
    }
)
"""How a store says that it may do the same later, some with a status that says something else, such as 400."""
_ERRORS: Final[Mapping[str, type[DriverError]]] = {
    "NoSuchKey": PathNotFoundError,
    "404": PathNotFoundError,
    "NoSuchUpload": PathNotFoundError,
    "KeyTooLongError": InvalidPathError,
    "PreconditionFailed": UploadBusyError,
    "ConditionalRequestConflict": UploadBusyError,
    "412": UploadBusyError,
    "QuotaExceeded": NoSpaceError,
    "InsufficientCapacity": NoSpaceError,
    "XMinioStorageFull": NoSpaceError,
    "507": NoSpaceError,
    **dict.fromkeys(_BUSY, UnavailableError),
    "OperationAborted": UnavailableError,
    # The SDK fetches new credentials.
    "ExpiredToken": UnavailableError,
    "ExpiredTokenException": UnavailableError,
    "TokenRefreshRequired": UnavailableError,
    "408": UnavailableError,
    "429": UnavailableError,
    "AccessDenied": NotPermittedError,
    "401": NotPermittedError,
    "403": NotPermittedError,
}
_LEAST_SERVER_ERROR: Final = 500
_NOT_FOUND: Final = 404
_UNREACHABLE: Final = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    # There were credentials at the start, when the bucket was listed: the service that gives them does not answer.
    exceptions.NoCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.MetadataRetrievalError,
    exceptions.TokenRetrievalError,
)
_TELLING: Final = (exceptions.BotoCoreError, urllib3.exceptions.HTTPError, OSError)


class Translated(Translation):
    """A block whose SDK errors are raised as the contract's, naming the call and the key."""

    __slots__ = ()
    driver = "s3"
    # Not all are the SDK's own: connections break in the middle of an answer, or the answer is not S3's.
    failures = (Exception,)
    advice = CHECK_RIGHTS

    @staticmethod
    def word(error: Exception) -> type[DriverError]:
        refusal = _refusal(error)
        if refusal is None:
            permanent = isinstance(error, exceptions.BotoCoreError) and not isinstance(error, _UNREACHABLE)
            return DriverError if permanent else UnavailableError
        code, _, status = refusal
        if code in _ERRORS:
            return _ERRORS[code]
        if status >= _LEAST_SERVER_ERROR:
            return _ERRORS.get(str(status), UnavailableError)
        return DriverError if status in {404, 412} else _ERRORS.get(str(status), DriverError)

    @staticmethod
    def text(error: Exception) -> str:
        refusal = _refusal(error)
        if refusal is None:
            return one_line(error) if isinstance(error, _TELLING) else foreign(error)
        code, message, _ = refusal
        return one_line(f"{code or 'error'} {message}")


def word_for(code: str) -> type[DriverError]:
    """Return the contract's error for S3's `code`."""
    return _ERRORS.get(code, DriverError)


def is_busy(answer: Reply) -> bool:
    """Tell whether the store says in a refusal that it may do the same later, whatever the status is."""
    return bool(answer.content) and answer.status != _NOT_FOUND and code_and_message(answer)[0] in _BUSY


def word_at_start(error: DriverError) -> type[DriverError]:
    """Return the contract's error for a bucket that cannot be listed at the start.

    A bucket may be about to be made, and credentials that are not there will not come; later on it is the other way.
    """
    if code_of(error) == "NoSuchBucket":
        return UnavailableError
    return DriverError if isinstance(error.__cause__, exceptions.NoCredentialsError) else type(error)


def code_of(error: DriverError) -> str:
    """Return S3's code for the failure that became `error`, or "" if S3 gave none."""
    refusal = _refusal(error.__cause__)
    return refusal[0] if refusal else ""


def _refusal(error: BaseException | None) -> tuple[str, str, int] | None:
    """Return code, message and status of what the store has refused, by whomever it was asked; None if it has not."""
    if isinstance(error, RefusedError):
        return *code_and_message(error.answer), error.answer.status
    if isinstance(error, exceptions.ClientError):
        found, told = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        return str(found.get("Code", "")), str(found.get("Message", "")), told.get("HTTPStatusCode", 0)
    return None
