"""The head of an answer (RFC 9112), read faster than by http.client, whose parser is that of e-mail."""

from __future__ import annotations

import http.client
from typing import IO, TYPE_CHECKING, Final, NamedTuple, overload

from registry.foundation.http_client.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_LINE: Final = 65536
_MOST_LINES: Final = 100
_SHORTEST: Final = len(b"HTTP/1.1 200\r\n")
_BLANK: Final = frozenset({b"\r\n", b"\n"})
_OWS: Final = " \t\r\n"
"""What may be around a value (section 5), and what ends a line."""


class Headers:
    """Headers of an answer, in their order; names are found in any case.

    One that is repeated has its values joined by a comma (RFC 9110 section 5.2), and getlist() has each. `text` has
    CR and LF before each and at its end: nothing is made of it before somebody asks.
    """

    __slots__ = ("_lower", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._lower = text.lower()  # as long, since it is Latin-1

    @staticmethod
    def of(fields: Iterable[tuple[str, str]]) -> Headers:
        """Return the headers of these names and values."""
        return Headers("\r\n".join(["", *[f"{name}:{value}" for name, value in fields], ""]))

    def __contains__(self, name: str) -> bool:
        return f"\r\n{name.lower()}:" in self._lower

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of this header, or `default` without one."""
        begin = f"\r\n{name.lower()}:"
        at = self._lower.find(begin)
        if at < 0:
            return default
        at += len(begin)
        if self._lower.find(begin, at) >= 0:
            return ", ".join(self.getlist(name))
        return self._text[at : self._text.find("\r\n", at)].strip(_OWS)

    def getlist(self, name: str) -> list[str]:
        """Return the value of each header of this name."""
        begin, values, end = f"\r\n{name.lower()}:", [], 0
        while (at := self._lower.find(begin, end)) >= 0:
            end = self._text.find("\r\n", at + len(begin))
            values.append(self._text[at + len(begin) : end].strip(_OWS))
        return values

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of each as they came, in their order."""
        for line in self._text.split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and name:
                yield name, value.strip(_OWS)


class Head(NamedTuple):
    """The head of an answer of HTTP/1.1: its `status` and `headers`, and where it ends."""

    status: int
    headers: Headers
    end: int


def ordinary_head(piece: bytes) -> Head | None:
    """Return the head that `piece` begins with if all of it is there and it is as nearly all are.

    None for any other, which read_headers() may understand or refuse.
    """
    end = piece.find(b"\r\n\r\n") + 2
    status = piece[9:12]
    if end < _SHORTEST or piece[:9] != b"HTTP/1.1 " or piece[12] not in b" \r" or not status.isdigit():
        return None
    fields = piece[piece.find(b"\r\n", 12) : end]
    lines = fields.count(b"\r\n")
    if lines != piece.count(b"\n", 0, end) or lines > _MOST_LINES + 1:
        return None
    # A name that a space follows, and a line that goes on with the one before it, are for who reads lines.
    if b" :" in fields or b"\t:" in fields or b"\r\n " in fields or b"\r\n\t" in fields:
        return None
    return Head(int(status), Headers(fields.decode("latin-1")), end + 2) if status >= b"200" else None


def read_headers(file: IO[bytes]) -> Headers:
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


def _headers(lines: Iterable[bytes]) -> Headers:
    """Return the headers in `lines`, whose bytes are spelled as Latin-1.

    A line that begins with a space goes on with the value before it (section 5.2). One without a colon is passed over.
    """
    fields: list[tuple[str, str]] = []
    name = ""
    for line in lines:
        text = line.decode("latin-1")
        if text[0] in " \t":
            if name:
                fields[-1] = name, f"{fields[-1][1]} {text.strip(_OWS)}"
            continue
        name, colon, value = text.partition(":")
        name = name.strip(_OWS) if colon else ""
        if name:
            fields.append((name, value.strip(_OWS)))
    return Headers.of(fields)


def content_length(headers: Headers) -> int | None:
    """Return what Content-Length says in bytes, None if there is none (section 6.3).

    Raises:
        HttpError: it is not a number, or there are several.
    """
    said = headers.get("Content-Length")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit()):
        several = set(headers.getlist("Content-Length"))
        said = several.pop()
        if several or not (said.isascii() and said.isdigit()):
            raise HttpError("the answer has a malformed Content-Length")
    return int(said)
