"""The heads of requests: parsed by gunicorn, checked, and remembered as far as clients repeat themselves.

A client sends the same fields with nearly all its requests, and with each another line. So gunicorn reads the fields
once, and of the line only a plain one is read here: a method and a path that need no thought. Everything else is
gunicorn's, each time, and so is whatever it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from registry.server.environ import variables_of
from registry.server.gunicorn_internals import Settings, body_length, errors, expects_continue, parse_head
from registry.server.requests import check_head

if TYPE_CHECKING:
    from collections.abc import Mapping

_plain_line: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) "
    rb"((/(?!/)[A-Za-z0-9._~:@!$&'()*+,;=/-]*+)(?:\?([A-Za-z0-9._~:@!$&'()*+,;=/?%-]*+))?) HTTP/1\.1\r\n"
).match
"""A request line whose path is its path as it stands: nothing in it is encoded (RFC 9112 section 3)."""
_ANY_LINE: Final = b"GET / HTTP/1.1\r\n"
_END: Final = b"\r\n\r\n"
_VERSION: Final = (1, 1)
_MOST_REMEMBERED: Final = 128
_LONGEST_REMEMBERED: Final = 1024
"""Bytes of fields; with what they say, all that is remembered takes less than 1 MiB."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of a head say, whatever its request line is (RFC 9112 sections 5, 6 and 9.6).

    `variables` are those of the environment, `body_length` is how many bytes the body has, infinite if it comes in
    chunks. `expects_continue` says that the client waits for "100 Continue" before it sends the body, `closes` that it
    sends no other request.
    """

    variables: Mapping[str, str]
    scheme: str
    body_length: float
    expects_continue: bool
    closes: bool


@dataclass(slots=True)
class Request:
    """What the line and the `fields` of a request say, and the address of the peer that has sent it."""

    method: str
    uri: str
    path: str
    query: str
    version: tuple[int, int]
    fields: Fields
    peer_addr: Any

    def should_close(self) -> bool:
        """Tell whether the client sends no other request; gunicorn's response asks so."""
        return self.fields.closes


class Heads:
    """Reads heads. Share one among the threads of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # What is refused raises, which is not remembered.
        self.remembered = lru_cache(maxsize=_MOST_REMEMBERED)(self._fields)

    def read(self, received: bytes, client: Any) -> tuple[Request, bytes]:
        """Return the request whose whole head is at the beginning of `received`, and the bytes behind the head.

        `client` is the address of the client.

        Raises:
            errors.ParseException: it is not HTTP, or breaks a limit.
        """
        return self._read_plain(received, client) or self._read(received, client)

    def _read_plain(self, received: bytes, client: Any) -> tuple[Request, bytes] | None:
        """Return what read() does; None if the line is not plain, or the fields are refused, long or secret."""
        line = _plain_line(received)
        if not line:
            return None
        start = line.end()
        end = received.find(_END, start - 2) + len(_END)
        if end <= start or end - start > _LONGEST_REMEMBERED:
            return None
        fields = received[start:end]
        lowered = fields.lower()
        if b"authorization" in lowered or b"cookie" in lowered:
            # A password would be kept for as long as nobody else comes.
            return None
        try:
            known = self.remembered(fields)
        except errors.ParseException:
            return None
        method, uri, path, query = line.groups(b"")
        request = Request(method.decode(), uri.decode(), path.decode(), query.decode(), _VERSION, known, client)
        return request, received[end:]

    def _read(self, received: bytes, client: Any) -> tuple[Request, bytes]:
        parsed, rest = parse_head(self._settings, received, client)
        check_head(parsed, received)
        line = parsed.method, parsed.uri, parsed.path, parsed.query, parsed.version
        return Request(*line, _fields_of(parsed), client), rest

    def _fields(self, fields: bytes) -> Fields:
        """Return what `fields` say, up to the empty line behind them, in a request of HTTP/1.1.

        Raises:
            errors.ParseException: they are not fields, or break a limit.
        """
        head = _ANY_LINE + fields
        parsed, _ = parse_head(self._settings, head, "")
        check_head(parsed, head)
        return _fields_of(parsed)


def _fields_of(parsed: Any) -> Fields:
    return Fields(
        variables_of(parsed.headers),
        parsed.scheme,
        body_length(parsed),
        expects_continue(parsed),
        parsed.should_close(),
    )
