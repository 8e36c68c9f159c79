"""``HOST:PORT`` as the configuration has it."""

from __future__ import annotations

import socket
from typing import Final

from registry.config import ConfigurationError

_LAST_PORT: Final = 65535


def parse(text: str, key: str) -> tuple[str, int]:
    """Return host (without brackets) and port of an address to listen on, which `key` gives.

    As in Go, no host means every address, of both families where there are two.

    Raises:
        ConfigurationError: nobody could listen there.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104  asked for
    try:
        number = _port(port)
        socket.getaddrinfo(host, number)
    except (ValueError, OSError) as error:
        raise ConfigurationError(key, f"{text!r} is no HOST:PORT to listen on: {error}") from error
    return host, number


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _LAST_PORT:
        raise ValueError(f"a port is at most {_LAST_PORT}")
    return port
