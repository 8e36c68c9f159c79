"""THE mapping from what went wrong to the code and status that a client gets, and the JSON that says so.

Codes are those of the distribution-spec ("Error Codes") and of the Go registry. No view sets an error status. Nothing
here needs a framework: what is refused before the application is reached is answered in the same form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import auth.base
import drivers.base
from registry.oci import encoding, errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNAVAILABLE: Final = "UNAVAILABLE"
UNKNOWN: Final = "UNKNOWN"
TOO_MANY_REQUESTS: Final = "TOOMANYREQUESTS"
UNSUPPORTED: Final = "UNSUPPORTED"

RETRY_SECONDS: Final = "5"
"""After how many seconds a client that was refused with 503 or 507 may try again (``Retry-After``)."""

CODES: Final[dict[type[Exception], tuple[str, int]]] = {
    errors.NameInvalidError: ("NAME_INVALID", 400),
    errors.NameUnknownError: ("NAME_UNKNOWN", 404),
    errors.TagInvalidError: ("TAG_INVALID", 400),
    errors.DigestInvalidError: ("DIGEST_INVALID", 400),
    errors.SizeInvalidError: ("SIZE_INVALID", 400),
    errors.RangeInvalidError: ("RANGE_INVALID", 416),
    errors.RangeNotSatisfiableError: ("RANGE_INVALID", 416),
    errors.BlobUnknownError: ("BLOB_UNKNOWN", 404),
    errors.BlobUploadUnknownError: ("BLOB_UPLOAD_UNKNOWN", 404),
    errors.BlobUploadInvalidError: ("BLOB_UPLOAD_INVALID", 404),
    errors.ManifestUnknownError: ("MANIFEST_UNKNOWN", 404),
    errors.ManifestInvalidError: ("MANIFEST_INVALID", 400),
    errors.ManifestTooLargeError: ("MANIFEST_INVALID", 413),
    errors.ManifestBlobUnknownError: ("MANIFEST_BLOB_UNKNOWN", 400),
    errors.PaginationInvalidError: ("PAGINATION_NUMBER_INVALID", 400),
    errors.ParameterInvalidError: (UNSUPPORTED, 400),
    errors.ContentTypeError: (UNSUPPORTED, 415),
    errors.DeniedError: ("DENIED", 403),
    errors.UnsupportedError: (UNSUPPORTED, 405),
    errors.BusyError: (UNAVAILABLE, 503),
    # Never 401: the client would log in to this registry.
    errors.UpstreamRefusedError: ("DENIED", 403),
    errors.UpstreamLimitedError: (TOO_MANY_REQUESTS, 429),
    errors.UpstreamFailedError: (UNAVAILABLE, 502),
    errors.UpstreamSilentError: (UNAVAILABLE, 504),
    errors.UpstreamBusyError: (UNAVAILABLE, 503),
    auth.base.UnauthorizedError: ("UNAUTHORIZED", 401),
    auth.base.DeniedError: ("DENIED", 403),
    auth.base.ThrottledError: (TOO_MANY_REQUESTS, 429),
    auth.base.TokenRequestError: (UNSUPPORTED, 400),
    # As in the Go registry; its own fault, but clients would try again and again at a 5xx.
    auth.base.ControllerError: (UNAVAILABLE, 400),
    auth.base.RecordsError: (UNAVAILABLE, 503),
    drivers.base.InvalidPathError: ("NAME_INVALID", 400),
    drivers.base.UploadBusyError: (UNAVAILABLE, 503),
    drivers.base.NoSpaceError: (UNAVAILABLE, 507),
    drivers.base.NotPermittedError: (UNAVAILABLE, 503),
    # RFC 4918 section 11.5: the server cannot store it. Clients that try again at any 503 do not at 507.
    drivers.base.NotWritableError: (UNAVAILABLE, 507),
    drivers.base.UnavailableError: (UNAVAILABLE, 503),
    # What this machine has no more of: file descriptors, memory; or a file of our own that cannot be read.
    OSError: (UNAVAILABLE, 503),
    MemoryError: (UNAVAILABLE, 503),
    Exception: (UNKNOWN, 500),
}

FAULTS: Final = (drivers.base.DriverError, OSError, MemoryError)
"""What is neither a client's mistake nor a bug: one line in the log says all that there is to say."""


_MESSAGES: Final = {
    drivers.base.NoSpaceError: "the storage of this registry is full",
    drivers.base.NotWritableError: "the storage of this registry cannot be written to",
    drivers.base.CollectingError: "garbage is being collected from what this request needs; try again in a few seconds",
    drivers.base.DriverError: "the storage of this registry could not do it",
    Exception: "this registry could not do it",
}
"""What clients are told of faults. What exactly is the operator's business; it may name hosts, buckets, files."""


def message_of(error: Exception) -> str:
    """Return what a client is told of one of FAULTS."""
    return next(_MESSAGES[each] for each in type(error).__mro__ if each in _MESSAGES)


def code_of(error: Exception) -> tuple[str, int]:
    """Return code and status of `error`: those of the nearest of its classes that has some."""
    return next(CODES[each] for each in type(error).__mro__ if each in CODES)


def entry(code: str, message: str, detail: object = None) -> dict[str, object]:
    """Return what one error says; `detail` is any JSON value."""
    said: dict[str, object] = {"code": code, "message": message}
    if detail is not None:
        said["detail"] = detail
    return said


def body(entries: Sequence[Mapping[str, object]]) -> str:
    """Return the JSON of an answer that tells of `entries`."""
    return encoding.answer({"errors": entries})


def error_body(code: str, message: str, detail: object = None) -> str:
    """Return the JSON of an answer that tells of one error."""
    return body([entry(code, message, detail)])
