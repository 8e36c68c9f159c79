"""The SDK's errors in the contract's words."""

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

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

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


class Translated:
    """A block whose SDK errors leave it as the contract's errors, naming the call and the key."""

    __slots__ = ("_call", "_key")

    def __init__(self, call: str, key: str) -> None:
        self._call = call
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, exceptions.ClientError):
            raise _word(error)(f"s3: {self._call} {self._key}: {_explanation(error)}") from error
        if isinstance(error, exceptions.BotoCoreError):
            word = UnavailableError if isinstance(error, _UNREACHABLE) else DriverError
            raise word(f"s3: {self._call} {self._key}: {_one_line(str(error))}") from error


def word_for(code: str) -> type[DriverError]:
    """Return the contract's word for S3's `code`."""
    return _ERRORS.get(code, DriverError)


def _word(error: exceptions.ClientError) -> type[DriverError]:
    response = error.response
    code = response.get("Error", {}).get("Code", "")
    if code in _ERRORS:
        return _ERRORS[code]
    status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return DriverError if status in {"404", "412"} else _ERRORS.get(status, DriverError)


def code_of(error: DriverError) -> str:
    """Return S3's own code for what became `error`, or "" if S3 said nothing."""
    cause = error.__cause__
    return str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, exceptions.ClientError) else ""


def _explanation(error: exceptions.ClientError) -> str:
    found = error.response.get("Error", {})
    return _one_line(f"{found.get('Code', 'error')} {found.get('Message', '')}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
