"""A request, and what becomes of it where it is redirected, by the rules of Go's ``net/http`` and stricter ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.locations import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD: Final = frozenset({307, 308})
_HARMLESS: Final = frozenset({"accept", "accept-encoding", "content-type", "range", "user-agent"})
"""Headers that any host may see."""

_OF_BODY: Final = "content-"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ZONE: Final = re.compile(r"%[^]]*")
"""Of an IPv6 address: it means nothing to the peer (RFC 6874 section 3)."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods that say of no content that it has no bytes (RFC 9110 section 8.6)."""
_REMEMBERED: Final = 64
"""Names of headers, and methods."""

_OWN: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that a request has places of its own for, or none."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent; each of `headers` is a line of its own, with its value as Latin-1 spells the bytes.

    `host` is what it says for Host, "" for what its location is called.
    """

    method: str
    location: Location
    body: bytes | None
    headers: tuple[tuple[str, str], ...]
    host: str = ""

    @staticmethod
    def of(
        method: str, url: str, body: bytes | None, headers: Sequence[tuple[str, str]], *, user_agent: str
    ) -> Request:
        """Return the request; a login in `url` becomes an Authorization header, unless `headers` have one.

        Raises:
            HttpError: one of these cannot be sent. The text has no value of a header.
        """
        location = Location.parse(url)
        if method not in _METHODS and not _TOKEN.fullmatch(method):
            raise HttpError("the method is not a word")
        sent, values = [], dict[str, str]()
        for name, value in headers:
            lower = _lower(name)
            values[lower] = _value(name, value)
            if lower not in _OWN:
                sent.append((name, values[lower]))
        if "user-agent" not in values:
            sent.append(("User-Agent", user_agent))
        if "accept-encoding" not in values:
            sent.append(("Accept-Encoding", "identity"))
        if location.authorization and "authorization" not in values:
            sent.append(("Authorization", location.authorization))
        return Request(method, location, body, tuple(sent), values.get("host", ""))

    def head(self, target: str) -> bytes:
        """Return what precedes the body on the connection, with `target` in the request line (RFC 9112 section 3)."""
        host = self.host or _ZONE.sub("", self.location.authority)
        lines = [f"{self.method} {target} HTTP/1.1\r\nHost: {host}"]
        if self.body is not None or self.method in _WITH_CONTENT:
            lines.append(f"Content-Length: {len(self.body or b'')}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def with_header(self, name: str, value: str) -> Request:
        """Return the request with this in place of any other header called `name`."""
        others = (each for each in self.headers if each[0].lower() != name.lower())
        return replace(self, headers=(*others, (name, value)))

    def redirected(self, status: int, to: str) -> Request:
        """Return the request that the Location header `to` asks for.

        To another origin go only headers that hold no secrets, and none comes back on the way. Which methods stay is
        said in RFC 9110 section 15.4.

        Raises:
            HttpError: it leads where no request may go.
        """
        location = self.location.redirected(to)
        moved = replace(self, location=location)
        if location.origin != self.location.origin:
            harmless = tuple(each for each in self.headers if each[0].lower() in _HARMLESS)
            moved = replace(moved, headers=harmless, host="")
        if status in _KEEP_METHOD or self.method == "HEAD":
            return moved
        kept = tuple(each for each in moved.headers if not each[0].lower().startswith(_OF_BODY))
        return replace(moved, method="GET", body=None, headers=kept)


@lru_cache(_REMEMBERED)
def _lower(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise HttpError("the name of a header is not a word")
    return name.lower()


def _value(name: str, value: str) -> str:
    value = value.strip(" \t")
    if value.isascii() and value.isprintable():
        return value
    if _UNSENDABLE.search(value):
        raise HttpError(f"the value of the header {name} has a control character")
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
