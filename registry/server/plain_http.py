"""A small HTTP server for pages about the registry, each request in a thread of its own."""

from __future__ import annotations

import logging
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.reasons import REASONS
from registry.foundation.threads import LastingThread
from registry.server.listening import EXHAUSTED, PAUSE_SECONDS

if TYPE_CHECKING:
    import socket

_PATIENCE_SECONDS: Final = 10
_log = logging.getLogger(__name__)


class PlainHandler(BaseHTTPRequestHandler):
    """Serves one connection. What it refuses is told in one line of text."""

    timeout = _PATIENCE_SECONDS
    responses = {status: (phrase, "") for status, phrase in REASONS.items()}  # noqa: RUF012  the base class's is like it
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def version_string(self) -> str:
        """Return what the Server header says."""
        return "registry"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Log what the base prints."""
        _log.debug(format, *args)


class PlainHTTPServer(ThreadingHTTPServer):
    """Goes on whatever happens to a request, and logs it where all is logged."""

    daemon_threads = True

    def begin(self, name: str) -> None:
        """Serve in a thread called `name`."""
        LastingThread(name, self.serve_forever).begin()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return the next connection; where it cannot be accepted, wait a little: it would be tried again at once."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in EXHAUSTED:
                _log.error("no connection to %s can be accepted: %s", self.server_address, error)
                time.sleep(PAUSE_SECONDS)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log why a request came to nothing; the base prints a traceback."""
        del request
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _log.debug("%s has gone: %s", client_address, error)
        else:
            _log.error("a request to %s has failed: %r", self.server_address, error)
