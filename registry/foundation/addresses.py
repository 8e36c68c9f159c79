"""``HOST:PORT`` as Go reads it: an IPv6 address stands in brackets, and the host may be left out."""

from __future__ import annotations

import re
import socket
from typing import Final

_ADDRESS: Final = re.compile(r"(?:\[(?P<address>[^][]*)\]|(?P<name>[^][:]*))(?::(?P<port>[0-9]{1,9}))?")
_LAST_PORT: Final = 65535


def parse(text: str, *, default_port: int | None = None) -> tuple[str, int]:
    """Return host, without brackets, and port; where none is given, `default_port`, if there is one.

    The host of ``:PORT`` is "": this machine to those who connect, every address to those who listen.

    Raises:
        ValueError: `text` is not ``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT``, or there is no such port.
    """
    found = _ADDRESS.fullmatch(text)
    if not found:
        raise ValueError("it is not HOST:PORT, with an IPv6 address in brackets")
    if found["port"] is None and default_port is None:
        raise ValueError("it has no port")
    port = int(found["port"] or default_port or 0)
    if port > _LAST_PORT:
        raise ValueError(f"a port is at most {_LAST_PORT}")
    return found["address"] or found["name"] or "", port


def parse_listening(text: str) -> tuple[str, int]:
    """Return host and port to listen on. As in Go, no host means every address, of both families where there are two.

    Raises:
        ValueError: as :func:`parse`.
        OSError: this machine does not know the host.
    """
    host, port = parse(text)
    host = host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104  asked for
    socket.getaddrinfo(host, port)
    return host, port
