"""Asks a registry on this machine whether it serves: the health check of a container, without curl in the image."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation import addresses

if TYPE_CHECKING:
    from registry.config.values import HTTP

_SECONDS: Final = 10.0
_OK: Final = 200
_LOCAL: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  to connect, not to listen


@dataclass(frozen=True, slots=True)
class Target:
    """Where a server listens, and how: what ``http`` says of that."""

    net: str
    address: str
    tls: bool
    asks_for_certificates: bool

    @classmethod
    def of(cls, section: HTTP) -> Target:
        """Return where the server of `section` listens."""
        tls = bool(section.tls.certificate or section.tls.letsencrypt.cachefile)
        return cls(section.net, section.addr or ":5000", tls, bool(section.tls.clientcas))


def probe(section: HTTP) -> str:
    """Return "" if the registry that `section` configures answers ``GET /``, else what is wrong."""
    return ask(Target.of(section))


def ask(target: Target) -> str:
    """Return "" if a registry at `target` answers ``GET /``, else what is wrong."""
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = _connect(target)
        connection.request("GET", "/")
        status = connection.getresponse().status
    except ssl.SSLError as error:
        # The probe has no client certificate. To be refused for that is a sign of life.
        return "" if target.asks_for_certificates else f"TLS: {error}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return " ".join(f"no answer at {target.address}: {error}".split())
    finally:
        connection.close()
    return "" if status == _OK else f"the answer is {status}"


def _connect(target: Target) -> socket.socket:
    if target.net == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        connection.connect(target.address)
    else:
        host, port = addresses.parse(target.address)
        connection = socket.create_connection((_LOCAL.get(host, host), port), timeout=_SECONDS)
    if not target.tls:
        return connection
    # Whether it serves is asked, not who it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)
