"""The head of an answer (RFC 9112), read faster than by http.client, whose parser is that of e-mail."""

from __future__ import annotations

import http.client
import re
from typing import IO, TYPE_CHECKING, Final, Protocol

from urllib3 import HTTPHeaderDict

from registry.foundation.http_client.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_LINE: Final = 65536
_MOST_LINES: Final = 100
_STAYS: Final = "keep-alive"
_BLANK: Final = frozenset({b"\r\n", b"\n"})
_SHORT: Final = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2})(?: [^\r\n]*)?\r\n((?:[^\r\n]+\r\n){0,100})\r\n")
WITHOUT_CONTENT: Final = frozenset({101, 204, 304})


class Response(Protocol):
    """What is asked of an http.client.HTTPResponse of which the head has come."""

    status: int
    headers: HTTPHeaderDict
    length: int | None
    will_close: bool

    def read(self, most_bytes: int, /) -> bytes:
        """Return so many bytes of the content, or all that is left."""

    def read1(self, most_bytes: int, /) -> bytes:
        """Return some bytes of the content, b"" at its end."""

    def isclosed(self) -> bool:
        """Tell whether all of it was read."""

    def close(self) -> None:
        """Let go of it."""


class WholeResponse:
    """One that has come as a whole, behind which the connection may be used again."""

    will_close = False

    def __init__(self, status: int, headers: HTTPHeaderDict, content: bytes) -> None:
        self.status = status
        self.headers = headers
        self._content = content
        self.length: int | None = len(content)

    def read(self, most_bytes: int, /) -> bytes:
        """Return so many bytes of the content, or all that is left."""
        piece, self._content = self._content[:most_bytes], self._content[most_bytes:]
        self.length = len(self._content)
        return piece

    read1 = read

    def isclosed(self) -> bool:
        """Tell whether all of it was read."""
        return not self._content

    def close(self) -> None:
        """Do nothing: there is nothing left on the connection."""


def whole_response(piece: bytes) -> WholeResponse | None:
    """Return the answer to a request other than HEAD that `piece` is.

    None if there is more to it, or if it ends the connection: it has to be read as any other then.
    """
    found = _SHORT.match(piece)
    if not found:
        return None
    status, headers, content = int(found[1]), _headers(found[2].split(b"\r\n")), piece[found.end() :]
    length = 0 if status in WITHOUT_CONTENT else content_length(headers)
    stays = headers.get("Connection", _STAYS).lower() == _STAYS and "Transfer-Encoding" not in headers
    return WholeResponse(status, headers, content) if stays and length == len(content) else None


def read_headers(file: IO[bytes]) -> HTTPHeaderDict:
    """Return the headers that come next in `file`, behind which is a blank line.

    Raises:
        HttpError: the connection ends before they do.
        HTTPException: there are too many, or one is too long.
    """
    lines: list[bytes] = []
    while (line := file.readline(_LONGEST_LINE + 1)) not in _BLANK:
        if not line:
            raise HttpError("the answer ended early")
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise http.client.HTTPException(f"got more than {_MOST_LINES} headers")
    return _headers(lines)


def _headers(lines: Iterable[bytes]) -> HTTPHeaderDict:
    """Return the headers in `lines`, whose bytes are spelled as Latin-1.

    A line that begins with a space goes on with the value before it (section 5.2). One without a colon is passed over.
    """
    headers = HTTPHeaderDict()
    name = ""
    for line in lines:
        text = line.decode("latin-1")
        if text[:1] in {" ", "\t"}:
            if name:
                headers[name] = f"{headers[name]} {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        name = name.strip() if colon else ""
        if name:
            headers.add(name, value.strip())
    return headers


def content_length(headers: HTTPHeaderDict) -> int | None:
    """Return what Content-Length says in bytes, None if there is none (section 6.3).

    Raises:
        HttpError: it is not a number, or there are several.
    """
    said = set(headers.getlist("Content-Length"))
    if not said:
        return None
    length = said.pop()
    if said or not (length.isascii() and length.isdigit()):
        raise HttpError("the answer has a malformed Content-Length")
    return int(length)
