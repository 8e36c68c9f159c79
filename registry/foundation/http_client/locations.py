"""Where a request goes, read from a URL or from the Location of a redirect."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from registry.foundation.challenges import basic_authorization
from registry.foundation.http_client.errors import HttpError

_PORTS: Final = {"http": 80, "https": 443}
_UNSENDABLE: Final = re.compile(rb"[^\x21-\x7e]")
_NAME: Final = re.compile(r"[a-z0-9_.-]+")
_LONGEST_NAME: Final = 254
"""What a name has at most, with a dot at its end (RFC 1035 section 3.1); a peer may send thousands of characters."""

_LONGEST_SCHEME: Final = 20
_REMEMBERED: Final = 32
"""Origins: a client asks few of them, again and again."""

_BEHIND_SCHEME: Final = len("https://")


@dataclass(frozen=True, slots=True)
class Location:
    """An ``http`` or ``https`` URL. `host` is ASCII in lower case, without brackets; `target` a path with its query.

    `authorization` is what the userinfo amounts to in that header, "" without one.
    """

    scheme: str
    host: str
    port: int
    target: str
    authorization: str = ""

    @staticmethod
    def parse(url: str) -> Location:
        """Return the location that `url` names; what a request line cannot hold is percent-encoded.

        Raises:
            HttpError: it is not an ``http`` or ``https`` URL.
        """
        at = url.find("/", _BEHIND_SCHEME)
        if at < 0 or not (url.isascii() and url.isprintable()) or " " in url or "#" in url or url[-1] == "?":
            return Location._parsed(url)
        if "?" in url[:at]:
            return Location._parsed(url)
        root = Location._parsed(url[:at])
        return Location(root.scheme, root.host, root.port, url[at:], root.authorization)

    @staticmethod
    @lru_cache(_REMEMBERED)
    def _parsed(url: str) -> Location:
        try:
            split = urlsplit(_sendable(url.encode()))
        except ValueError:  # its text may hold a password
            raise HttpError("Invalid IPv6 URL" if "[" in url or "]" in url else "not a URL") from None
        if split.scheme not in _PORTS:
            raise HttpError("not an http or https address")
        try:
            port = _PORTS[split.scheme] if split.port is None else split.port
        except ValueError:
            raise HttpError("nonnumeric port, or one beyond 65535") from None
        target = (split.path or "/") + (f"?{split.query}" if split.query else "")
        return Location(split.scheme, _host(split), port, target, _authorization(split))

    @property
    def origin(self) -> tuple[str, str, int]:
        """What has to be the same for secrets to follow a redirect (RFC 6454 section 4)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port, without one that the scheme has anyway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without its userinfo."""
        return f"{self.scheme}://{self.authority}{self.target}"

    def redirected(self, to: str) -> Location:
        """Return where a Location header, as Latin-1, leads from here. Its userinfo is left out.

        Raises:
            HttpError: it leads to neither ``http`` nor ``https``, or from ``https`` to ``http``, or nowhere.
        """
        try:
            url = urljoin(self.url, _sendable(to.encode("latin-1", "replace")))
            scheme = urlsplit(url).scheme
        except ValueError:
            raise HttpError("it redirects to what is not a URL") from None
        if scheme not in _PORTS or (self.scheme == "https" and scheme != "https"):
            raise HttpError(f"it redirects from {self.scheme} to {scheme[:_LONGEST_SCHEME]}")
        try:
            return replace(Location.parse(url), authorization="")
        except HttpError as error:
            raise HttpError(f"it redirects to a malformed URL: {error}") from None


def _sendable(url: bytes) -> str:
    return _UNSENDABLE.sub(lambda found: b"%%%02X" % found[0][0], url).decode()


def _host(split: SplitResult) -> str:
    """Return the host, of which every spelling that resolvers and proxies might read differently is refused."""
    host = split.hostname or ""
    if not host:
        raise HttpError("no host given")
    if len(host) > _LONGEST_NAME:
        raise HttpError("the host is too long for a name")
    if ":" in host or "[" in split.netloc:
        host = host.replace("%25", "%", 1)  # before a zone (RFC 6874)
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise HttpError("Invalid IPv6 URL") from None
    try:
        host = unquote(host, errors="strict").encode("idna").decode()
    except UnicodeError:
        host = ""
    if not _NAME.fullmatch(host):
        raise HttpError("the host is not a name")
    return host


def _authorization(split: SplitResult) -> str:
    if "@" not in split.netloc:
        return ""
    return basic_authorization(unquote(split.username or ""), unquote(split.password or ""))
