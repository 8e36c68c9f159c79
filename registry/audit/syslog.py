"""Sends lines to a syslog as messages of RFC 5424, by UDP (RFC 5426), TCP (RFC 6587) or the socket of this machine."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import stat
from typing import TYPE_CHECKING, Any, Final

from registry.audit.record import OK

if TYPE_CHECKING:
    from registry.audit.chain import Line
    from registry.config.outputs import SyslogTarget

_TIMEOUT_SECONDS: Final = 5.0
_ANSWER_BYTES: Final = 4096
"""Of what a syslog may send, which means nothing."""
_LARGEST_DATAGRAM: Final = 60_000
_FACILITY: Final = 13 * 8
"""Log audit (RFC 5424 section 6.2.1)."""
_INFORMATIONAL: Final = 6
_WARNING: Final = 4
_NIL: Final = "-"
_LONG: Final = ("tags", "previous")


class Syslog:
    """A connection to a syslog, opened when it is needed."""

    def __init__(self, target: SyslogTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._host = socket.gethostname()

    def __str__(self) -> str:
        return f"the syslog {self._target}"

    def emit(self, lines: list[Line]) -> None:
        """Send `lines`; a syslog acknowledges nothing, so they may be lost on their way nevertheless.

        Raises:
            OSError: they cannot be sent; some may have been.
        """
        try:
            connection = self._socket
            if connection is None or self._is_closed(connection):
                connection = self.connect()
            for line in lines:
                self._send(connection, line)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next line opens another one."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def connect(self) -> socket.socket:
        """Return a new connection, which the next lines go through. Over UDP there may be nobody who listens.

        Raises:
            OSError, ValueError: it cannot be opened.
        """
        target = self._target
        if target.scheme == "tcp":
            self._socket = socket.create_connection((target.host, target.port), timeout=_TIMEOUT_SECONDS)
        elif target.scheme == "unix":
            self._socket = _connect_here(target.path)
        else:
            family, kind, _, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
            self._socket = _connected(socket.socket(family, kind), address)
        return self._socket

    def _send(self, connection: socket.socket, line: Line) -> None:
        if connection.type == socket.SOCK_STREAM:
            message = self._message(line, line.line)
            connection.sendall(b"%d %s" % (len(message), message))
        else:
            connection.send(self._message(line, _short(line)))

    def _is_closed(self, connection: socket.socket) -> bool:
        """Tell whether the other side has closed: what is sent then is lost before anybody is told."""
        if connection.type != socket.SOCK_STREAM:
            return False
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if not poll.poll(0) or connection.recv(_ANSWER_BYTES):
            return False
        self.close()
        return True

    def _message(self, line: Line, content: bytes) -> bytes:
        time, action, outcome = (line.record.get(name, _NIL) for name in ("time", "action", "outcome"))
        severity = _INFORMATIONAL if outcome == OK else _WARNING
        head = f"<{_FACILITY + severity}>1 {time} {self._host} registry {os.getpid()} {action} - "
        return head.encode(errors="replace") + content


def absent(target: SyslogTarget) -> str:
    """Return what of `target` is not there now, which may come; "" if nothing is missed. It is not connected to."""
    try:
        if target.path:
            mode = os.stat(target.path).st_mode  # noqa: PTH116  any text may stand there
            return "" if stat.S_ISSOCK(mode) else f"{target.path} is not a socket"
        socket.getaddrinfo(target.host, target.port)
    except (OSError, ValueError) as error:  # a name that cannot be looked up may be a ValueError
        return f"{target.path or target.host}: {reason_of(error)}"
    return ""


def reason_of(error: Exception) -> str:
    """Return what an error says, without its number."""
    return str(getattr(error, "strerror", None) or error)


def _connect_here(path: str) -> socket.socket:
    """Return a connection to the socket at `path`, which takes messages or a stream of them."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        try:
            return _connected(socket.socket(socket.AF_UNIX, kind), path)
        except OSError as error:
            if kind == socket.SOCK_STREAM or error.errno != errno.EPROTOTYPE:
                raise
    raise AssertionError("the last kind returns or raises")


def _connected(connection: socket.socket, address: Any) -> socket.socket:
    try:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _short(line: Line) -> bytes:
    """Return a line as it fits into a datagram: one that is too long has many tags, and is sent without them."""
    if len(line.line) <= _LARGEST_DATAGRAM:
        return line.line
    kept = {name: value for name, value in line.record.items() if name not in _LONG}
    return json.dumps({**kept, "shortened": True, "hash": line.hash}, separators=(",", ":")).encode()
