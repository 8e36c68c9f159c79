"""Answers to requests that never reach the application: they break HTTP or its limits, or the worker failed.

And what the log is told where there can be no answer any more.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

from registry.error_codes import FAULTS, RETRY_SECONDS, TOO_MANY_REQUESTS, UNSUPPORTED, code_of, error_body
from registry.foundation.reasons import reason
from registry.server.gunicorn_internals import errors
from registry.server.tls import serving as tls

_STATUS: Final[dict[type[BaseException], int]] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
    errors.ParseException: 400,
}
_GONE: Final = frozenset(
    {
        *(errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.EAGAIN),
        *(errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN),
    }
)
_log = logging.getLogger(__name__)


def refuse(client: socket.socket, peer: str, error: Exception) -> None:
    """Tell the client at the address `peer` that its request came to nothing because of `error`.

    Only where nothing of an answer has been sent; otherwise broke_off() is to be called.
    """
    if isinstance(error, ssl.SSLError):
        tls.refuse(client, peer, error, _answer(400, UNSUPPORTED, "this port speaks HTTPS only"))
        return
    status = next((_STATUS[each] for each in type(error).__mro__ if each in _STATUS), 0)
    code = UNSUPPORTED
    if status:
        _log.info("refused a request of %s: %s", peer, type(error).__name__)
    elif _is_of_network(error):
        _log.info("a request of %s has ended: %s", peer, error)
        return
    else:
        code, status = code_of(error)
        _tell("a request of %s failed", peer, error)
    _send(client, peer, _answer(status, code, reason(status).lower()))


def broke_off(peer: str, error: Exception) -> None:
    """Tell the log why an answer to `peer` has ended before its time; the connection is to be closed."""
    if _is_of_network(error):
        _log.info("an answer to %s has ended: %s", peer, error)
    else:
        _tell("an answer to %s broke off", peer, error)


def _is_of_network(error: Exception) -> bool:
    """Tell whether it is the client that has gone, or the network on the way to it."""
    return isinstance(error, ssl.SSLError) or (isinstance(error, OSError) and error.errno in _GONE)


def _tell(what: str, peer: str, error: Exception) -> None:
    """Log a fault of the machine in one line, a bug with its traceback."""
    if isinstance(error, FAULTS):
        _log.error(f"{what}: %r", peer, error)
    else:
        _log.critical(what, peer, exc_info=error)


def _send(client: socket.socket, peer: str, answer: bytes) -> None:
    try:
        client.settimeout(0)
        client.send(answer)
    except OSError:
        _log.debug("%s did not wait for its error", peer)


def refuse_crowd(client: socket.socket, address: Any, *, is_tls: bool) -> None:
    """Close a connection from `address` because there are too many from there; tell a client that speaks no TLS why."""
    peer = address[0]
    _log.info("refused a connection of %s: it has http.maxconnectionsperclient already", peer)
    with client:
        if not is_tls:
            answer = _answer(429, TOO_MANY_REQUESTS, "too many connections from this address")
            _send(client, peer, answer)
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)


def _answer(status: int, code: str, message: str) -> bytes:
    body = error_body(code, message).encode()
    retry = f"Retry-After: {RETRY_SECONDS}\r\n" if status in {503, 507} else ""
    head = (
        f"HTTP/1.1 {status} {reason(status)}\r\n"
        "Docker-Distribution-Api-Version: registry/2.0\r\n"
        "Content-Type: application/json\r\n"
        f"{retry}"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
