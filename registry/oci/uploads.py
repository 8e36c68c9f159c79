"""Uploads, as requests and stores speak of them: a session's state, a request's contribution, what may be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.oci.errors import RangeInvalidError, SizeInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.oci.ranges import ByteRange

is_upload_id: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
"""Tells whether a text is the id of an upload session: a UUID (RFC 9562)."""


@dataclass(frozen=True, slots=True)
class DigestState:
    """An exported hash state and the algorithm that it belongs to."""

    algorithm: str
    state: bytes


@dataclass(frozen=True, slots=True)
class UploadState:
    """What a client was told of its upload: `offset` bytes are stored.

    `started_at` is RFC 3339 text. Without a `digest_state` (the Go registry wrote the token, or no token was
    sent) the bytes so far have to be read back when the upload is finished.
    """

    name: str
    upload_id: str
    offset: int
    started_at: str
    digest_state: DigestState | None = None
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A request's contribution to an upload.

    `pieces` yields the body and raises BodyCutShortError where it breaks off. `range` is the Content-Range,
    if one was sent; `length` the Content-Length, if there was one.
    """

    pieces: Iterable[bytes]
    range: ByteRange | None = None
    length: int | None = None


class OffsetError(RangeInvalidError):
    """The client's idea of the upload is not what is stored; `state` is where it stands."""

    def __init__(self, message: str, state: UploadState) -> None:
        super().__init__(message, {"offset": state.offset})
        self.state = state


class BodyCutShortError(SizeInvalidError):
    """The body ended before its announced length; what arrived is kept."""
