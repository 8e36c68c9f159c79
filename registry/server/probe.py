"""Asks a registry on this machine whether it serves: the health check of a container, without curl in the image."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Final

from registry.foundation import addresses

if TYPE_CHECKING:
    from registry.config.values import HTTP

_SECONDS: Final = 10.0
_OK: Final = 200
_LOCAL: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  to connect, not to listen


def probe(section: HTTP) -> str:
    """Return "" if the registry that `section` configures answers ``GET /``, else what is wrong."""
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = _connect(section)
        connection.request("GET", "/")
        status = connection.getresponse().status
    except ssl.SSLError as error:
        # The probe has no client certificate. To be refused for that is a sign of life.
        return "" if section.tls.clientcas else f"TLS: {error}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return " ".join(f"no answer at {section.addr or ':5000'}: {error}".split())
    finally:
        connection.close()
    return "" if status == _OK else f"the answer is {status}"


def _connect(section: HTTP) -> socket.socket:
    if section.net == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        connection.connect(section.addr)
    else:
        host, port = addresses.parse(section.addr or ":5000")
        connection = socket.create_connection((_LOCAL.get(host, host), port), timeout=_SECONDS)
    if not section.tls.certificate and not section.tls.letsencrypt.cachefile:
        return connection
    # Whether it serves is asked, not who it is.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)
