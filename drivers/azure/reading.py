"""Reading a blob as it comes: one answer for all of it, gone on with by another where it breaks off."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from drivers.azure.errors import Translated, status_of
from drivers.azure.properties import Properties
from drivers.base import DriverError, UnavailableError
from drivers.calls.downloads import download
from drivers.flat import no_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.azure.client import Client, Headers
    from registry.foundation.http_client import Stream

_BREAKS: Final = 3
"""How often an answer may break off, one after the other, before anything more has come."""


def only(etag: str | None) -> Headers:
    """Return the condition that a blob has the version `etag`; none if that is None."""
    return (("If-Match", etag),) if etag else ()


def pieces_of(client: Client, key: str, start: int, stop: int | None, etag: str | None) -> Iterator[bytes]:
    """Return the pieces of bytes ``start..stop`` of a blob, of the version `etag` if given; it is open on return.

    Raises:
        ConflictError: also while it is read, it does not have that version, or not the one that was begun with.
        DriverError: as StorageDriver.read().
    """
    try:
        stream = _opened(client, key, start, stop, etag)
    except DriverError as error:
        if status_of(error.__cause__) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return no_bytes()
        raise
    version = stream.headers.get("ETag")

    def reopen(position: int) -> Stream:
        return _opened(client, key, position, stop, version)

    return download(stream, reopen, partial(Translated, "read", key), start, _BREAKS)


def _opened(client: Client, key: str, start: int, stop: int | None, etag: str | None) -> Stream:
    is_part = bool(start) or stop is not None
    part = (("Range", f"bytes={start}-{'' if stop is None else stop - 1}"),) if is_part else ()
    with Translated("read", key):
        stream = client.stream(key, (*only(etag), *part))
        try:
            _require(key, stream, HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK)
        except BaseException:
            stream.close()
            raise
        return stream


def _require(key: str, stream: Stream, status: HTTPStatus) -> None:
    # The bytes of a server that takes no notice of a range would be taken for those that were asked for.
    if stream.status != status:
        raise UnavailableError(f"azure: read {key}: {stream.status} is answered, not {status}")
    Properties.of_complete(key, stream)
