"""Answers the http-01 challenges of an ACME server (RFC 8555 section 8.3), which asks on port 80."""

from __future__ import annotations

import logging
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from registry.foundation import addresses
from registry.server.plain_http import PlainHTTPServer

if TYPE_CHECKING:
    from registry.server.acme.store import Store

_PREFIX: Final = "/.well-known/acme-challenge/"
_SECONDS: Final = 10
_log = logging.getLogger(__name__)


def serve_challenges(address: str, store: Store) -> None:
    """Answer from `store`, in a thread, what is asked at `address`, which is ``HOST:PORT`` or ``:PORT``.

    Raises:
        ValueError: `address` is something else.
        OSError: it cannot be listened on.
    """
    host, port = addresses.parse_listening(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        timeout = _SECONDS

        def do_GET(self) -> None:
            validation = store.challenge(self.path.removeprefix(_PREFIX)) if self.path.startswith(_PREFIX) else None
            if validation is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(validation)))
            self.end_headers()
            self.wfile.write(validation)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in the base
            _log.debug(format, *args)

    class Server(PlainHTTPServer):
        """A server of one address family, or of both where no host is given."""

        address_family = family

    Server((host, port), Handler).begin("acme-challenges")
