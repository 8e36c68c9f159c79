"""A blob as it comes."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Final, Self

from registry.foundation.http_client import HttpError
from registry.oci.errors import UpstreamFailedError, UpstreamSilentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.foundation.http_client import Stream
    from registry.oci.errors import UpstreamError

_log = logging.getLogger(__name__)

_PARTIAL: Final = 206
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_LENGTH: Final = re.compile(r"\d{1,18}")


class BlobStream:
    """The content of a blob from `start` on, which comes while it is read; leaving the context ends it.

    `start` is the offset of its first byte, in bytes: 0 also where a part was asked for and all is sent. `stop` is
    where it ends, and `size` is that of the whole blob; each is None if it is not told. Nothing of it is verified.
    """

    def __init__(self, stream: Stream, name: str, asked_start: int, let_go: Callable[[], None]) -> None:
        """Read the head of an answer with the status 200 or 206; `let_go` is called once, at the end.

        Raises:
            UpstreamFailedError: it is not what was asked for.
        """
        self._stream = stream
        self._name = name
        self._let_go = let_go
        self._is_open = threading.Lock()
        self.start = 0
        self.stop = self.size = length_of(stream)
        if stream.status == _PARTIAL:
            self.start, self.stop, self.size = _range_of(stream, name)
            if self.start != asked_start:
                raise UpstreamFailedError(f"{name} sends another part of the blob than it was asked for")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces()

    def pieces(self) -> Iterator[bytes]:
        """Yield the content as it comes, in pieces of up to 256 KiB.

        Raises:
            UpstreamSilentError: nothing, or too little, comes any more.
            UpstreamFailedError: it breaks off.
        """
        try:
            yield from self._stream.pieces()
        except HttpError as error:
            raise failure(self._name, error) from error

    def close(self) -> None:
        """End it; a connection on which more would come is closed. Another thread may do this while nobody reads."""
        if self._is_open.acquire(blocking=False):  # once, and for good
            self._stream.close()
            self._let_go()


def failure(name: str, error: HttpError) -> UpstreamError:
    """Return what clients are told where the upstream `name` gives no answer.

    The log has the reason, which names hosts and addresses that are not for clients; it is the cause, too, if this is
    raised from `error`.
    """
    _log.warning("%s: %s", name, error)
    if error.silent:
        return UpstreamSilentError(f"{name} cannot be reached, or does not answer in time")
    return UpstreamFailedError(f"{name} gives no answer, or breaks it off")


def length_of(stream: Stream) -> int | None:
    """Return the Content-Length of an answer, None if it has none that counts (RFC 9112 section 6.3)."""
    if "Transfer-Encoding" in stream.headers:
        return None
    length = stream.headers.get("Content-Length", "").strip()
    return int(length) if _LENGTH.fullmatch(length) else None


def _range_of(stream: Stream, name: str) -> tuple[int, int, int | None]:
    """Return start, stop and size of a 206 (RFC 9110 section 14.4)."""
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", "").strip())
    if not found or int(found[2]) < int(found[1]):
        raise UpstreamFailedError(f"{name} sends a part of the blob without saying which")
    start, stop = int(found[1]), int(found[2]) + 1
    size = None if found[3] == "*" else int(found[3])
    if size is not None and stop > size:
        raise UpstreamFailedError(f"{name} sends a part of the blob beyond its end")
    return start, stop, size
