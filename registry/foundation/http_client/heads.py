"""The head of an answer (RFC 9112), read faster than by http.client, whose parser is that of e-mail."""

from __future__ import annotations

import http.client
import re
from typing import IO, TYPE_CHECKING, Final, NamedTuple, overload

from registry.foundation.http_client.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_LINE: Final = 65536
_MOST_LINES: Final = 100
_BLANK: Final = frozenset({b"\r\n", b"\n"})
_STATUS: Final = re.compile(r"HTTP/1\.1 ([2-9][0-9]{2})(?: [^\r\n]*)?(?![^\r])")
_FIELD: Final = re.compile(r"\r\n([!-9;-~]+):([^\r\n]*)")


class Headers:
    """Headers of an answer, in their order; names are found in any case.

    One that is repeated has its values joined by a comma (RFC 9110 section 5.2), and getlist() has each.
    """

    __slots__ = ("_fields", "_values")

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = [*fields]
        self._values = {name.lower(): value for name, value in self._fields}
        if len(self._values) < len(self._fields):
            self._values = {name: ", ".join(self.getlist(name)) for name in self._values}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of this header, or `default` without one."""
        return self._values.get(name.lower(), default)

    def getlist(self, name: str) -> list[str]:
        """Return the value of each header of this name."""
        return [value for own, value in self._fields if own.lower() == name.lower()]

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of each as they came, in their order."""
        return iter(self._fields)


class Head(NamedTuple):
    """The head of an answer of HTTP/1.1: its `status` and `headers`, and where it ends."""

    status: int
    headers: Headers
    end: int


def ordinary_head(piece: bytes) -> Head | None:
    """Return the head that `piece` begins with if all of it is there and it is as nearly all are.

    None for any other, which read_headers() may understand or refuse: with an interim status, lines without a colon or
    that go on with those before them, ends of lines that are not CR and LF, or too many lines.
    """
    end = piece.find(b"\r\n\r\n")
    if end < 0:
        return None
    text = piece[:end].decode("latin-1")
    found = _STATUS.match(text)
    fields = _FIELD.findall(text)
    # With as many ends of lines as fields, nothing is left between these.
    if not found or not text.count("\n") == text.count("\r") == len(fields) <= _MOST_LINES:
        return None
    return Head(int(found[1]), Headers([(name, value.strip()) for name, value in fields]), end + 4)


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
                fields[-1] = name, f"{fields[-1][1]} {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        name = name.strip() if colon else ""
        if name:
            fields.append((name, value.strip()))
    return Headers(fields)


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
