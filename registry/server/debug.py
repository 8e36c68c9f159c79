"""The debug server, ``http.debug.addr``: health and metrics, on a port of its own and without access control.

The socket is opened before the fork and every worker answers on it, so one of them may die at any time.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.health import report
from registry.health.gate import LIVENESS_PATH, READINESS_PATH
from registry.oci import encoding, media_types
from registry.server.plain_http import PlainHandler, PlainHTTPServer

if TYPE_CHECKING:
    from registry.health.board import Board
    from registry.health.threads import ThreadBoard
    from registry.jobs.board import JobBoard

_HEALTH_PATH: Final = "/debug/health"
_JOBS_PATH: Final = "/debug/jobs"
_BACKLOG: Final = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the debug server."""

    status: HTTPStatus
    content_type: str
    content: bytes


Pages = Mapping[str, Callable[[str], Page]]
"""What is answered, by path; a page is given the Accept header of the request."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that every worker may accept on.

    Raises:
        OSError: the address cannot be listened on.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(
        address[:2],
        family=family,
        backlog=_BACKLOG,
        dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6() and host == "::",
    )
    # Of two workers that are woken by a connection, the second one finds nothing and goes back to waiting.
    listener.settimeout(0)
    return listener


def health_pages(board: Board, jobs: JobBoard, threads: ThreadBoard) -> dict[str, Callable[[str], Page]]:
    """Return the pages, by path, that tell of `board`, of `jobs` and of `threads`."""

    def page(told: tuple[HTTPStatus, Mapping[str, object]]) -> Page:
        status, found = told
        return Page(status, media_types.JSON, encoding.encode(found).encode())

    return {
        _HEALTH_PATH: lambda _: page(_with_work(report.health(board), jobs, threads)),
        _JOBS_PATH: lambda _: page((HTTPStatus.OK, jobs.table())),
        LIVENESS_PATH: lambda _: Page(HTTPStatus.OK, media_types.JSON, b"{}"),
        READINESS_PATH: lambda _: page(report.readiness(board)),
    }


def _with_work(told: report.Report, jobs: JobBoard, threads: ThreadBoard) -> report.Report:
    """Add jobs and threads that have failed: that should be known, though nothing else fails because of it."""
    status, found = told
    return status, {**threads.errors(), **jobs.errors(), **found}


def metrics_page(render: Callable[[str], tuple[str, bytes]]) -> Callable[[str], Page]:
    """Return the page of the metrics that `render` gives."""

    def page(accept: str) -> Page:
        content_type, content = render(accept)
        return Page(HTTPStatus.OK, content_type, content)

    return page


def start(listener: socket.socket, pages: Pages) -> None:
    """Answer on `listener` in a thread of this process."""

    class Handler(_Handler):
        served = pages

    server = PlainHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.begin("debug")


class _Handler(PlainHandler):
    served: Pages
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802  the base class looks for this name
        """Answer with the page, if there is one."""
        self._send(self._page())

    def _page(self) -> Page:
        found = self.served.get(urlsplit(self.path).path)
        if found is None:
            return _MISSING
        try:
            return found(self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001  whoever asks is to be told
            _log.exception("the page %s has failed", self.path)
            return _FAILED

    def do_POST(self) -> None:  # noqa: N802  as above
        """Answer as the Go registry does to any method that it does not expect."""
        # The request may have a body, which is not read.
        self.close_connection = True
        self._send(_MISSING)

    do_PUT = do_DELETE = do_HEAD = do_POST  # noqa: N815  the base class looks for these names

    def _send(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.content)))
        self.send_header("Cache-Control", "no-cache")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.content)


_FAILED: Final = Page(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", b"500 see the log\n")
_MISSING: Final = Page(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"404 page not found\n")
