"""The addresses that the server listens on, as the configuration names them."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError, Findings
from registry.foundation import addresses

if TYPE_CHECKING:
    from registry.config.values import HTTP

_DEFAULT: Final = ":5000"
_LONGEST_SOCKET: Final = 107
"""Bytes of a path that fit into the address of a socket, unix(7)."""
_EVERY: Final = frozenset({"::", "0.0.0.0"})  # noqa: S104  to compare with
_LOWEST_FREE: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

Address = tuple[str, int]


def parse(key: str, text: str) -> Address:
    """Return host and port of the value `text` of `key`; the host is an address or one that this machine knows.

    Raises:
        ConfigurationError: it is not an address to listen on.
    """
    try:
        return addresses.parse_listening(text)
    except (ValueError, OSError) as error:
        raise ConfigurationError(key, f"{text!r} is not a HOST:PORT to listen on: {error}") from error


def api(http: HTTP) -> Address | Path:
    """Return where the API is to be served: host and port, or a socket, which may be there from before.

    Raises:
        ConfigurationError: ``http.addr`` is something else, or another file is there.
    """
    if http.net != "unix":
        return parse("http.addr", http.addr or _DEFAULT)
    if not http.addr:
        raise ConfigurationError("http.addr", "missing: the path of the socket, as http.net is unix")
    if len(os.fsencode(http.addr)) > _LONGEST_SOCKET:
        raise ConfigurationError("http.addr", f"the path of a socket has {_LONGEST_SOCKET} bytes at most")
    path = Path(http.addr)
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return path
    if not is_socket:
        raise ConfigurationError("http.addr", f"{path} exists and is not a socket")
    return path


def examine(http: HTTP) -> None:
    """Return if the addresses of the server are such, and differ.

    Raises:
        ConfigurationError: one is not, or the same as another.
    """
    findings = Findings()
    taken: dict[str, Address] = {}
    for key, text in _tcp(http).items():
        with findings.gathered():
            address = parse(key, text)
            for other, found in taken.items():
                if _meet(address, found):
                    raise ConfigurationError(key, f"{text} is taken by {other}")
            taken[key] = address
    if http.net == "unix":
        with findings.gathered():
            api(http)
    findings.conclude()


def try_to_bind(http: HTTP) -> None:
    """Return if the server could listen where it is to, unless another process does.

    Raises:
        ConfigurationError: it could not; the text is that of the attempt.
    """
    findings = Findings()
    for key, text in _tcp(http).items():
        with findings.gathered():
            try:
                _bind(*parse(key, text))
            except OSError as error:
                raise refusal(key, text, error) from error
    if http.net == "unix":
        with findings.gathered():
            try:
                Path(tempfile.mkdtemp(dir=Path(http.addr).parent)).rmdir()
            except OSError as error:
                raise refusal("http.addr", http.addr, error) from error
    findings.conclude()


def refusal(key: str, text: str, error: OSError) -> ConfigurationError:
    """Return what to say if the address `text`, the value of `key`, cannot be listened on."""
    return ConfigurationError(key, f"cannot listen on {text}: {error.strerror}")


def _tcp(http: HTTP) -> dict[str, str]:
    """Return the addresses of TCP, by their keys."""
    asked = {"http.addr": "" if http.net == "unix" else http.addr or _DEFAULT, "http.debug.addr": http.debug.addr}
    if http.tls.letsencrypt.cachefile:
        asked["http.tls.letsencrypt.httpaddr"] = http.tls.letsencrypt.httpaddr
    return {key: text for key, text in asked.items() if text}


def _meet(one: Address, other: Address) -> bool:
    hosts = {one[0], other[0]}
    return one[1] == other[1] != 0 and (len(hosts) == 1 or not hosts.isdisjoint(_EVERY))


def _bind(host: str, port: int) -> None:
    """Bind a socket, which does not listen, to the host: to the port itself only where that takes a right."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((address[0], port if port < _lowest_free() else 0, *address[2:]))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def _lowest_free() -> int:
    """Return the lowest port that takes no right to listen on."""
    try:
        return int(_LOWEST_FREE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return socket.IPPORT_RESERVED
