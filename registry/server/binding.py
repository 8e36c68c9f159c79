"""The sockets that a server listens on, bound by itself: what is wrong with one is one line with the way out."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError, Findings
from registry.foundation import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.config.values import HTTP

_BACKLOG: Final = 2048
_ORPHAN_SECONDS: Final = 1.2
"""How long workers whose server was killed may go on listening: each looks once a second whether it is there."""
_PAUSE_SECONDS: Final = 0.1
_CONNECT_SECONDS: Final = 1.0
_LONGEST_PATH: Final = 107
"""Bytes that fit into the address of a socket, unix(7)."""
_EVERY_HOST: Final = frozenset({"::", "0.0.0.0"})  # noqa: S104  to compare with
_SYSCTL: Final = "net.ipv4.ip_unprivileged_port_start"
_KEY: Final = "http.addr"
DEBUG_KEY: Final = "http.debug.addr"
CHALLENGES_KEY: Final = "http.tls.letsencrypt.httpaddr"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: at `port` of `host`, which is a name or an address, or on the socket at `path`."""

    text: str
    host: str = ""
    port: int = 0
    path: str = ""


def address_of(section: HTTP) -> Address:
    """Return where ``http.addr`` and ``http.net`` say to listen.

    Raises:
        ConfigurationError: they are not an address, or not one that this machine knows.
    """
    if section.net == "unix":
        return _path_address(section.addr)
    return tcp_address(section.addr or ":5000", _KEY)


def _path_address(text: str) -> Address:
    if not text:
        raise ConfigurationError(_KEY, "missing: the path of the socket, as http.net is unix")
    if os.path.lexists(text) and not _is_socket(Path(text)):
        raise ConfigurationError(_KEY, f"{text} exists and is not a socket")
    return Address(text, path=text)


def tcp_address(text: str, key: str) -> Address:
    """Return where `text`, the value of `key`, says to listen.

    Raises:
        ConfigurationError: it is not an address, or not one that this machine knows.
    """
    try:
        host, port = addresses.parse_listening(text)
    except (ValueError, OSError) as error:
        raise ConfigurationError(key, f"{text!r} is not a HOST:PORT to listen on: {error}") from error
    return Address(text, host, port)


def addresses_of(section: HTTP) -> dict[str, Address]:
    """Return where the server says that it listens, by the keys that say so.

    Raises:
        ConfigurationError: one is not an address that this machine knows, or two are the same.
    """
    asked = {DEBUG_KEY: section.debug.addr}
    if section.tls.letsencrypt.cachefile:
        asked[CHALLENGES_KEY] = section.tls.letsencrypt.httpaddr
    findings = Findings()
    found: dict[str, Address] = {}
    with findings.gathered():
        found[_KEY] = address_of(section)
    for key, text in asked.items():
        with findings.gathered():
            if text:
                found[key] = _other_address(tcp_address(text, key), key, found)
    findings.conclude()
    return found


def _other_address(address: Address, key: str, taken: Mapping[str, Address]) -> Address:
    for other, found in taken.items():
        hosts = {address.host, found.host}
        meet = not found.path and (len(hosts) == 1 or not hosts.isdisjoint(_EVERY_HOST))
        if meet and address.port == found.port != 0:
            raise ConfigurationError(key, f"{address.text} is what {other} has already")
    return address


def try_out(address: Address, key: str) -> None:
    """Return if `address`, the value of `key`, could be listened on, whether or not somebody does.

    Nothing is bound to it, unless it is a port that takes a right: to that a socket is, for a moment.

    Raises:
        ConfigurationError: it could not; the text is that of bind().
    """
    try:
        if len(os.fsencode(address.path)) > _LONGEST_PATH:
            raise OSError("AF_UNIX path too long")  # as Python says where it is bound  # noqa: TRY301
        if address.path:
            Path(tempfile.mkdtemp(dir=Path(address.path).parent)).rmdir()
        else:
            _bound(address.host, address.port if address.port < _first_free_port() else 0).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise refusal(error, address, key) from error


def bind(address: Address, key: str = _KEY, *, patient: bool = False) -> socket.socket:
    """Return a socket that has `address`, the value of `key`, and does not listen yet.

    `patient` waits a moment for an address that is in use: the workers of a server that was killed end within a second.

    Raises:
        ConfigurationError: the address cannot be had; the text says what to do.
    """
    deadline = time.monotonic() + (_ORPHAN_SECONDS if patient else 0)
    while True:
        try:
            return _bound_to_path(address.path) if address.path else _bound(address.host, address.port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise refusal(error, address, key) from error
        time.sleep(_PAUSE_SECONDS)


def require(text: str, key: str) -> None:
    """Return if `text`, the value of `key`, can be listened on, which a worker will do later.

    Raises:
        ConfigurationError: it cannot.
    """
    close(bind(tcp_address(text, key), key, patient=True))


def listen(bound: socket.socket, address: Address) -> None:
    """Have clients connect to a socket from bind().

    Raises:
        ConfigurationError: another program was faster.
    """
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise refusal(error, address, _KEY) from error


def close(bound: socket.socket) -> None:
    """Close a socket from bind(), and remove its path if it has one."""
    name = bound.getsockname()
    bound.close()
    if isinstance(name, str) and name:
        with suppress(OSError):
            Path(name).unlink()


def name_of(listener: socket.socket) -> str:
    """Return where `listener` listens, as the Go registry spells it: ``127.0.0.1:5000``, ``[::]:5000`` or a path."""
    name = listener.getsockname()
    if isinstance(name, str):
        return name
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As in Go, a name that has addresses of both families means that of the older one.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # What the server before has left of its connections does not keep the address.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def _bound_to_path(path: str) -> socket.socket:
    _remove_stale_socket(Path(path))
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0)  # a proxy is another user
    try:
        bound.bind(path)
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(mask)
    return bound


def _remove_stale_socket(path: Path) -> None:
    """Remove the socket that a server before has left at `path`; OSError if there is one that listens."""
    if not _is_socket(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_CONNECT_SECONDS)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # somebody is there, and busy
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def refusal(error: OSError, address: Address, key: str) -> ConfigurationError:
    """Return what to tell of an `address`, the value of `key`, that cannot be listened on."""
    variable = f"REGISTRY_{key.replace('.', '_').upper()}"
    other = f"set {key} ({variable}) to another one"
    if error.errno == errno.EADDRINUSE:
        reason = f"another program listens there; end it, or {other}"
    elif error.errno == errno.EADDRNOTAVAIL:
        reason = f"this machine has no such address; {other}, :{address.port} is every address"
    elif error.errno == errno.EAFNOSUPPORT:
        reason = f"this machine has no addresses of this family (IPv6); {other}"
    elif error.errno in {errno.EACCES, errno.EPERM} and not address.path:
        reason = f"{_privileged()}; {other}, or give it the right (root, CAP_NET_BIND_SERVICE, sysctl {_SYSCTL})"
    elif address.path and error.errno:
        reason = f"{error.strerror}; user {os.geteuid()} needs a directory there that it may write to"
    else:
        reason = error.strerror or str(error)
    return ConfigurationError(key, f"cannot listen on {address.text}: {reason}")


def _privileged() -> str:
    return f"user {os.geteuid()} may not listen on a port below {_first_free_port()}"


def _first_free_port() -> int:
    """Return the first port that takes no right to listen on."""
    try:
        return int(Path("/proc/sys", *_SYSCTL.split(".")).read_bytes())
    except (OSError, ValueError):
        return socket.IPPORT_RESERVED
