"""A small HTTP server for pages about the registry, each request in a thread of its own."""

from __future__ import annotations

import logging
import sys
import time
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.threads import LastingThread
from registry.server.listening import EXHAUSTED

if TYPE_CHECKING:
    import socket

_PAUSE_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


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
                time.sleep(_PAUSE_SECONDS)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log why a request came to nothing; the base prints a traceback."""
        del request
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _log.debug("%s has gone: %s", client_address, error)
        else:
            _log.error("a request to %s has failed: %r", self.server_address, error)
