"""One request and its answer: read, given to the application, sent, noted; refused where it is not HTTP."""

from __future__ import annotations

import errno
import logging
import ssl
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from registry.observation.observer import end_request
from registry.server.gunicorn_internals import FileWrapper, begin_response, body_length, errors, sized_body
from registry.server.refusal import refuse
from registry.server.wire import Body, Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from registry.server.access_log import AccessLog
    from registry.server.connection import Connection

_SHORT_METHODS: Final = frozenset({"GET", "HEAD"})
_SMALL_BODY: Final = 1024 * 1024
_QUICK_SECONDS: Final = 0.002
_REMEMBERED_WRITES: Final = 8
_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.EAGAIN})
_NO_TIME: Final = timedelta()
"""The combined format does not say how long a request took."""
_log = logging.getLogger(__name__)


class Responder:
    """Has `application` answer requests. While `stopping` is true, clients are told to use another connection.

    The heads of requests have at most `head_size` bytes.
    """

    def __init__(
        self, application: WSGIApplication, log: AccessLog, stopping: Callable[[], bool], head_size: int
    ) -> None:
        self._application = application
        self._access_log = log
        self._stopping = stopping
        self._head_size = head_size
        self._write_seconds = 0.0
        """About how long requests with a small body take of late."""

    def serve(self, connection: Connection, hand_over: Callable[[], None]) -> bool:
        """Answer the requests whose heads have arrived on `connection`; return whether it is good for another.

        `hand_over` is called before what may take long: from then on another thread leads.
        """
        try:
            whole = connection.receive_head(self._head_size)
            while whole:
                if not self._answer(connection, hand_over):
                    return False
                whole = connection.has_next(self._head_size)
        except (StopIteration, errors.NoMoreData, ssl.SSLEOFError) as error:
            _log.debug("a connection has ended: %r", error)
            return False
        except OSError as error:
            if isinstance(error, ssl.SSLError) or error.errno not in _GONE:
                _refuse(connection, error)
            return False
        except Exception as error:  # noqa: BLE001  whatever it is, it must not end the thread
            _refuse(connection, error)
            return False
        return True

    def _answer(self, connection: Connection, hand_over: Callable[[], None]) -> bool:
        request = connection.next_request()
        respond = self._respond if request.method in _SHORT_METHODS else self._respond_to_write
        return respond(request, connection, hand_over) and connection.finish_request()

    def _respond_to_write(self, request: Any, connection: Connection, hand_over: Callable[[], None]) -> bool:
        """Have the application answer a request that has a body or changes something.

        To hand over costs as much as a small push does; but a disk that has to sync, or a client that is slow to send,
        would keep all other clients waiting. So it depends on how long such requests take of late.
        """
        length = body_length(request)
        if length > _SMALL_BODY or self._write_seconds > _QUICK_SECONDS:
            hand_over()
        began = time.monotonic()
        try:
            return self._respond(request, connection, hand_over)
        finally:
            if length <= _SMALL_BODY:
                self._write_seconds += (time.monotonic() - began - self._write_seconds) / _REMEMBERED_WRITES

    def _respond(self, request: Any, connection: Connection, hand_over: Callable[[], None]) -> bool:
        """Have the application answer; return whether the connection may be kept."""
        response, environ = begin_response(request, connection, Response, hand_over)
        environ["wsgi.multithread"] = True
        reader = sized_body(request)
        if reader:
            environ["wsgi.input"] = Body(reader, connection.sock)
        if self._stopping():
            response.force_close()
        try:
            body = self._application(environ, response.start_response)  # type: ignore[arg-type]  # the stubs spell WSGI another way
            try:
                if isinstance(body, FileWrapper):
                    response.write_file(body)
                else:
                    for piece in body:
                        response.write(piece)
                response.close()
            finally:
                end_request(environ, status=response.final_status, sent=response.sent)
                self._access_log.access(response, request, environ, _NO_TIME)
                if hasattr(body, "close"):
                    body.close()
        except Exception as error:
            if not response.headers_sent or isinstance(error, OSError):
                raise
            # A second answer on the same connection would be taken for a part of the first.
            _log.exception("a response broke off")
            return False
        return not response.should_close()


def _refuse(connection: Connection, error: Exception) -> None:
    refuse(connection.sock, connection.client[0] if connection.client else "-", error)
