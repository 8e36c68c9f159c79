"""Request bodies, read in pieces that stay small however large the body is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from drivers.base import PIECE_SIZE
from registry.handlers.flask_internals import current_request
from registry.oci.errors import ManifestTooLargeError, SizeInvalidError
from registry.oci.uploads import BodyCutShortError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DIGITS = 18
"""Digits of the longest length that is read as a number: int() raises an error of its own for thousands of them."""


def body_length() -> int | None:
    """Return the announced length of the body in bytes, or None if it comes in chunks of unknown sum.

    Raises:
        SizeInvalidError: Content-Length is not a number, or greater than any body is long.
    """
    environ = current_request().environ
    header = environ.get("CONTENT_LENGTH")
    if not header:
        return None if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() else 0
    if not header.isascii() or not header.isdigit() or len(header) > _MAX_DIGITS:
        raise SizeInvalidError("Content-Length must be a number of bytes")
    return int(header)


def body_pieces() -> Iterator[bytes]:
    """Yield the body.

    Raises:
        BodyCutShortError: it broke off. A server that has lost its client reports a body that has ended, so
            the announced length is what tells.
    """
    length = body_length()
    stream, received = current_request().environ["wsgi.input"], 0
    while length is None or received < length:
        wanted = PIECE_SIZE if length is None else min(PIECE_SIZE, length - received)
        try:
            piece: bytes = stream.read(wanted)
        except Exception as error:  # noqa: BLE001  each server has its own classes for a broken body; all mean the same
            yield from _read_before(stream, wanted)
            raise BodyCutShortError("the body broke off", {"received": received, "cause": str(error)}) from None
        if not piece:
            break
        received += len(piece)
        yield piece
    if length is not None and received < length:
        raise BodyCutShortError("the body ended early", {"announced": length, "received": received})


def _read_before(stream: BinaryIO, wanted: int) -> Iterator[bytes]:
    """Yield what the server had received of a piece when the body broke off, if it still hands that out."""
    with suppress(Exception):
        rest = stream.read(wanted)
        if rest:
            yield rest


def whole_body(limit: int) -> bytes:
    """Return the body, which must not be longer than `limit` bytes.

    Raises:
        ManifestTooLargeError: it is.
        BodyCutShortError: it broke off.
    """
    length = body_length()
    if length is not None and length > limit:
        raise _too_large(limit)
    content = bytearray()
    for piece in body_pieces():
        content += piece
        if len(content) > limit:
            raise _too_large(limit)
    return bytes(content)


def _too_large(limit: int) -> ManifestTooLargeError:
    return ManifestTooLargeError(f"a manifest has at most {limit} bytes")
