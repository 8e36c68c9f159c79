"""The SDK's errors turned into those of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore import exceptions

from drivers.base import (
    DriverError,
    InvalidPathError,
    NoSpaceError,
    PathNotFoundError,
    UnavailableError,
    UploadBusyError,
)
from drivers.translation import Translation, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "SlowDown": UnavailableError,
    "SlowDownRead": UnavailableError,
    "SlowDownWrite": UnavailableError,
    "Throttling": UnavailableError,
    "ThrottlingException": UnavailableError,
    "TooManyRequestsException": UnavailableError,
    "RequestLimitExceeded": UnavailableError,
    "RequestTimeout": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "InternalError": UnavailableError,
    "429": UnavailableError,
    "500": UnavailableError,
    "502": UnavailableError,
    "503": UnavailableError,
    "504": UnavailableError,
}
_UNREACHABLE: Final = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
)


class Translated(Translation):
    """A block whose SDK errors are raised as the contract's, naming the call and the key."""

    __slots__ = ()
    driver = "s3"
    failures = (exceptions.ClientError, exceptions.BotoCoreError)

    @staticmethod
    def word(error: exceptions.ClientError | exceptions.BotoCoreError) -> type[DriverError]:
        if not isinstance(error, exceptions.ClientError):
            return UnavailableError if isinstance(error, _UNREACHABLE) else DriverError
        response = error.response
        code = response.get("Error", {}).get("Code", "")
        if code in _ERRORS:
            return _ERRORS[code]
        status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        return DriverError if status in {"404", "412"} else _ERRORS.get(status, DriverError)

    @staticmethod
    def text(error: exceptions.ClientError | exceptions.BotoCoreError) -> str:
        if not isinstance(error, exceptions.ClientError):
            return one_line(error)
        found = error.response.get("Error", {})
        return one_line(f"{found.get('Code', 'error')} {found.get('Message', '')}")


def word_for(code: str) -> type[DriverError]:
    """Return the contract's error for S3's `code`."""
    return _ERRORS.get(code, DriverError)


def code_of(error: DriverError) -> str:
    """Return S3's code for the failure that became `error`, or "" if S3 gave none."""
    cause = error.__cause__
    return str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, exceptions.ClientError) else ""
