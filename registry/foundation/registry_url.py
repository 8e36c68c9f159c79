"""The URL of a registry as people type it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from registry.foundation.addresses import parse

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RegistryUrl:
    """`address` is a URL without a user, ``/v2`` and a slash at its end; `user` and `password` are there if given."""

    address: str
    user: str | None = None
    password: str | None = None

    @property
    def host(self) -> str:
        """The host, with its port if it has one."""
        return urlsplit(self.address).netloc


def parse_registry_url(text: str) -> RegistryUrl:
    """Read a URL; without a scheme it is that of HTTPS.

    Raises:
        ValueError: it is not one; the text says what it must be.
    """
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        parts = urlsplit("")
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or not text.isprintable():
        raise ValueError("must be http://HOST[:PORT] or https://HOST[:PORT]")
    _, port = parse(host, default_port=_PORTS[parts.scheme])
    if port == 0:
        raise ValueError("a port is at least 1")
    address = f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix('/v2')}"
    if parts.username is None:
        return RegistryUrl(address)
    return RegistryUrl(address, unquote(parts.username), unquote(parts.password or ""))
