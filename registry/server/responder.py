"""Requests and their answers: read, given to the application, sent, noted; refused where it is not HTTP."""

from __future__ import annotations

import errno
import logging
import ssl
import time
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NoReturn

from registry.handlers.current import HAND_OVER_KEY, PARKING_KEY
from registry.observation.observer import end_request
from registry.server.bodies import receive_body
from registry.server.channel import GoneError
from registry.server.connection import Phase
from registry.server.environ import environ_of
from registry.server.gunicorn_internals import (
    FileWrapper,
    Settings,
    errors,
)
from registry.server.heads import Heads
from registry.server.refusal import broke_off, refuse
from registry.server.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import WSGIApplication

    from registry.server.access_log import AccessLog
    from registry.server.connection import Connection
    from registry.server.heads import Request

_SHORT_METHODS: Final = frozenset({"GET", "HEAD"})
_PROBES: Final = tuple(
    b"%b %b " % (method, path) for method in (b"GET", b"HEAD") for path in (b"/", b"/healthz", b"/readyz")
)
"""How the heads of probes begin."""
_SMALL_BODY: Final = 1024 * 1024
_QUICK_SECONDS: Final = 0.002
_REMEMBERED_WRITES: Final = 8
_NO_TIME: Final = timedelta()
"""The combined format does not say how long a request took."""
_log = logging.getLogger(__name__)


class Outcome(Enum):
    """What is to be done with a connection."""

    WAIT = auto()
    """Wait until there is something to do for it."""
    CLOSE = auto()
    NEEDS_THREAD = auto()
    """Have a thread serve it."""


class Responder:
    """Has `application` answer requests. While `stopping` is true, clients are told to use another connection.

    The heads of requests have at most `head_size` bytes.
    """

    def __init__(
        self,
        application: WSGIApplication,
        settings: Settings,
        log: AccessLog,
        stopping: Callable[[], bool],
        head_size: int,
    ) -> None:
        self._application = application
        self._settings = settings
        self._access_log = log
        self._stopping = stopping
        self._head_size = head_size
        self._heads = Heads(settings)
        self._write_seconds = 0.0
        """About how long requests with a small body take of late."""

    def serve(self, connection: Connection, hand_over: Callable[[], None] | None) -> Outcome:
        """Do for `connection` what there is to do: most often, answer the requests whose heads have arrived.

        `hand_over` is called before what may take long: from then on another thread leads. None says that no thread
        is free: then only probes are answered, and nothing is done that may take long.
        """
        try:
            whole = self._go_on(connection, hand_over)
            while whole:
                if not hand_over and not connection.head_begins_with(_PROBES):
                    return Outcome.NEEDS_THREAD
                self._answer(connection, hand_over or _do_not_wait)
                whole = connection.phase is not Phase.SENDING and self._has_next(connection)
        except (GoneError, errors.NoMoreData, ssl.SSLEOFError) as error:
            _log.debug("a connection has ended: %r", error)
            return Outcome.CLOSE
        except Exception as error:  # noqa: BLE001  whatever it is, it must not end the thread
            refuse(connection.sock, _peer(connection), error)
            return Outcome.CLOSE
        return Outcome.NEEDS_THREAD if connection.phase is Phase.SENDING and not hand_over else Outcome.WAIT

    def _go_on(self, connection: Connection, hand_over: Callable[[], None] | None) -> bool:
        """Go on with what `connection` is at; return whether a request's head is whole."""
        phase = connection.phase
        if phase is Phase.IDLE or phase is Phase.HEAD:
            return connection.receive_head(self._head_size)
        if phase is Phase.SENDING and connection.unsent:
            # To read a file may take long.
            return bool(hand_over) and connection.unsent.send_more() and self._has_next(connection)
        if phase is Phase.DISCARDING:
            return self._has_next(connection)
        if phase is Phase.LINGERING:
            raise GoneError
        return phase is Phase.SERVED

    def _has_next(self, connection: Connection) -> bool:
        """Tell, after an answer, whether the head of another request is whole.

        Raises:
            GoneError: the connection is not good for another one.
        """
        return connection.discard_body() and connection.has_next(self._head_size)

    def _answer(self, connection: Connection, hand_over: Callable[[], None]) -> None:
        request = connection.next_request(self._heads)
        respond = self._respond if request.method in _SHORT_METHODS else self._respond_to_write
        respond(request, connection, hand_over)

    def _respond_to_write(self, request: Request, connection: Connection, hand_over: Callable[[], None]) -> None:
        """Have the application answer a request that has a body or changes something.

        To hand over costs as much as a small push does; but a disk that has to sync, or a client that is slow to send,
        would keep all other clients waiting. So it depends on whether the body has arrived, and on how long such
        requests take of late.
        """
        length = request.fields.body_length
        if length > _SMALL_BODY or length > connection.ahead or self._write_seconds > _QUICK_SECONDS:
            hand_over()
        began = time.monotonic()
        try:
            self._respond(request, connection, hand_over)
        finally:
            if length <= _SMALL_BODY:
                self._write_seconds += (time.monotonic() - began - self._write_seconds) / _REMEMBERED_WRITES

    def _respond(self, request: Request, connection: Connection, hand_over: Callable[[], None]) -> None:
        """Have the application answer.

        Raises:
            GoneError: the connection is not good for another request.
        """
        body = receive_body(request.fields, connection)
        connection.body = body
        response = Response(request, connection.sock, self._settings, connection, hand_over)
        environ = environ_of(request, connection, self._settings)
        environ["wsgi.input"] = body
        environ[HAND_OVER_KEY] = hand_over
        environ[PARKING_KEY] = connection.channel.ticket
        if self._stopping():
            response.force_close()
        Exchange(connection, request, response, environ, self._access_log).answer(self._application)


class Exchange:
    """A request and its answer, from the application's beginning to the last byte."""

    def __init__(
        self, connection: Connection, request: Request, response: Response, environ: dict[str, Any], log: AccessLog
    ) -> None:
        self._connection = connection
        self._request = request
        self._response = response
        self._environ = environ
        self._access_log = log
        self._body: Iterable[bytes] = ()

    def answer(self, application: WSGIApplication) -> None:
        """Send what `application` answers; a file whose client is slow is left to send_more().

        Raises:
            GoneError: the connection is not good for another request.
        """
        response = self._response
        try:
            self._body = body = application(self._environ, response.start_response)
            if isinstance(body, FileWrapper):
                response.write_file(body)
            else:
                for piece in body:
                    response.write(piece)
            if response.unsent:
                self._connection.send_later(self)
                return
            response.close()
        except Exception as error:  # noqa: BLE001  it is raised again, or told
            self._fail(error)
        self._end()
        if response.should_close():
            raise GoneError

    def send_more(self) -> bool:
        """Send what the client takes of the file without waiting; return whether all of it has been sent.

        Raises:
            GoneError: all has been sent, and the connection is not good for another request.
        """
        response = self._response
        try:
            if not response.send_more():
                return False
        except Exception as error:  # noqa: BLE001  it is told
            self._fail(error)
        self._end()
        if response.should_close():
            raise GoneError
        return True

    def _fail(self, error: Exception) -> NoReturn:
        self._end()
        if not self._response.headers_sent:
            raise error
        # A second answer on the same connection would be taken for a part of the first.
        broke_off(_peer(self._connection), error)
        raise GoneError from error

    def _end(self) -> None:
        try:
            end_request(self._environ, status=self._response.final_status, sent=self._response.sent)
            self._access_log.access(self._response, self._request, self._environ, _NO_TIME)
            if hasattr(self._body, "close"):
                self._body.close()
        except Exception:  # noqa: BLE001  the client has its answer and must not get another
            _log.exception("the end of a request could not be noted")


def _do_not_wait() -> None:
    """Stand in for what hands over, where nobody is to be handed over to."""
    raise ConnectionAbortedError(errno.ECONNABORTED, "the client does not take the answer to a probe")


def _peer(connection: Connection) -> str:
    return connection.client[0] if connection.client else "-"
