"""Why there is no answer, in one line that holds nothing of what was sent and nothing that the peer chose."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from typing import Final

from registry.foundation.http_client.deadlines import TimeUpError, UnsentError

_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
"""Codes of OpenSSL's X509_verify_cert: the issuer is not there, or nobody trusts it."""

_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})
_TLS_ALERT: Final = "\x15\x03"
"""How a TLS server begins that was sent something else (RFC 8446 section 5.1)."""

_TUNNEL_FAILED: Final = len("Tunnel connection failed: 407")


class HttpError(OSError):
    """There is no such answer; the text says why in one line, without headers, userinfo and query of the URL.

    `silent` is set where nobody has answered: the peer is not found, cannot be reached, or is too slow. `redirected` is
    set where the peer is not the one that was asked, but one that it has named. `unsent` is set where the time was up
    while the request was being sent: the line may be slow rather than the peer.
    """

    silent = False
    redirected = False
    unsent = False


_UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTDOWN, errno.ENETDOWN}
)


def is_silence(error: Exception) -> bool:
    """Tell whether `error` says that nobody has answered, rather than something wrong."""
    if isinstance(error, TimeoutError | socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def line(error: Exception, host: str, timeout_seconds: float | None, authorities: str) -> str:
    """Return what `error` says, which came of an exchange with `host` that was to end within `timeout_seconds`.

    `authorities` are those that are trusted: "in FILE", or whatever says where an unknown one is missing.
    """
    if isinstance(error, TimeoutError):
        return _line_of_time(error, timeout_seconds)
    if isinstance(error, socket.gaierror):
        return f"the address of {host} is not found: {error.strerror}"
    if isinstance(error, ssl.SSLError):
        return _line_of_tls(error, authorities)
    if isinstance(error, http.client.RemoteDisconnected):
        return "the peer closed the connection without an answer"
    if isinstance(error, OSError):
        # Without a number it is of CONNECT, followed by what the proxy says.
        return str(error)[: None if error.errno else _TUNNEL_FAILED]
    return _line_of_http(error)


def _line_of_time(error: TimeoutError, timeout_seconds: float | None) -> str:
    if isinstance(error, TimeUpError):
        return str(error)
    text = "timed out" if timeout_seconds is None else f"timed out after {timeout_seconds:g} s"
    return f"{text} while the request was being sent" if isinstance(error, UnsentError) else text


def _line_of_tls(error: ssl.SSLError, authorities: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = f"; its authority is not {authorities}" if error.verify_code in _UNKNOWN_AUTHORITY else ""
        return f"certificate verify failed: {error.verify_message.rstrip('.')}{advice}"
    if error.reason in _NOT_TLS:
        return "it does not speak TLS: is http:// meant?"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the peer closed the connection within TLS"
    return f"TLS failed: {error.reason or 'for no reason that is known'}"


def _line_of_http(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the answer ended early"
    if isinstance(error, http.client.BadStatusLine) and str(error.args[0]).startswith(_TLS_ALERT):
        return "it speaks TLS: is https:// meant?"
    if isinstance(error, http.client.LineTooLong) or type(error) is http.client.HTTPException:
        return str(error)  # which limit the head goes beyond
    return "the answer is not HTTP"
