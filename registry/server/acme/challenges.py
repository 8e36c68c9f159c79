"""Answers the http-01 challenges of an ACME server (RFC 8555 section 8.3), which asks on port 80."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from registry.foundation import addresses
from registry.server.plain_http import PlainHandler, PlainHTTPServer

if TYPE_CHECKING:
    from registry.server.acme.store import Store

_PREFIX: Final = "/.well-known/acme-challenge/"


def serve_challenges(address: str, store: Store) -> None:
    """Answer from `store`, in a thread, what is asked at `address`, which is ``HOST:PORT`` or ``:PORT``.

    Raises:
        ValueError: `address` is something else.
        OSError: it cannot be listened on.
    """
    host, port = addresses.parse_listening(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    class Handler(PlainHandler):
        """One request."""

        def do_GET(self) -> None:  # noqa: N802  the base class looks for this name
            validation = store.challenge(self.path.removeprefix(_PREFIX)) if self.path.startswith(_PREFIX) else None
            if validation is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(validation)))
            self.end_headers()
            self.wfile.write(validation)

    class Server(PlainHTTPServer):
        """A server of one address family, or of both where no host is given."""

        address_family = family

    Server((host, port), Handler).begin("acme-challenges")
