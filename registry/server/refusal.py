"""Answers to requests that never reach the application: they break HTTP or its limits, or the worker failed."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

from registry.error_codes import TOO_MANY_REQUESTS, UNKNOWN, UNSUPPORTED, error_body
from registry.server.gunicorn_internals import errors
from registry.server.tls import serving as tls

_STATUS: Final[dict[type[BaseException], tuple[int, str]]] = {
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
    errors.UnsupportedTransferCoding: (501, "Not Implemented"),
    errors.ParseException: (400, "Bad Request"),
    BaseException: (500, "Internal Server Error"),
}

_log = logging.getLogger(__name__)


def refuse(client: socket.socket, peer: str, error: BaseException) -> None:
    """Tell the client at the address `peer` that its request came to nothing because of `error`."""
    if isinstance(error, ssl.SSLError):
        tls.refuse(client, peer, error, _answer(400, "Bad Request", "this port speaks HTTPS only"))
        return
    status, reason = next(_STATUS[each] for each in type(error).__mro__ if each in _STATUS)
    if status == 500:  # noqa: PLR2004
        _log.critical("a request of %s failed", peer, exc_info=error)
    else:
        _log.info("refused a request of %s: %s", peer, type(error).__name__)
    try:
        client.settimeout(0)
        client.send(_answer(status, reason, reason.lower(), UNKNOWN if status == 500 else UNSUPPORTED))  # noqa: PLR2004
    except OSError:
        _log.debug("%s did not wait for its error", peer)


def refuse_crowd(client: socket.socket, address: Any, *, is_tls: bool) -> None:
    """Close a connection from `address` because there are too many from there; tell a client that speaks no TLS why."""
    _log.info("refused a connection of %s: it has http.maxconnectionsperclient already", address[0])
    with client, suppress(OSError):
        if not is_tls:
            client.settimeout(0)
            client.send(_answer(429, "Too Many Requests", "too many connections from this address", TOO_MANY_REQUESTS))
            client.shutdown(socket.SHUT_WR)


def _answer(status: int, reason: str, message: str, code: str = UNSUPPORTED) -> bytes:
    body = error_body(code, message).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Docker-Distribution-Api-Version: registry/2.0\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
