"""The worker process: threads that take turns at leading, errors in JSON, and a log without secrets."""

from __future__ import annotations

import errno
import logging
import math
import os
import select
import ssl
import threading
import time
from collections import deque
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gunicorn.http import errors, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.workers import base

from registry.server.allocator import share_arenas
from registry.server.connection import Connection, Settings
from registry.server.refusal import refuse
from registry.server.wire import Body, Response

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from registry.observation.metrics import Metrics
    from registry.server.tls.certificates import Certificates

_PATIENCE_SECONDS: Final = 0.01
"""How long a leader may take over a request before another thread takes its place."""
_WATCH_SECONDS: Final = 1.0
_STOPPING_SECONDS: Final = 0.1
_LINGER_SECONDS: Final = 2.0
"""How long a worker that stops waits for a request that may be under way already on a kept connection."""
_MOST_THREADS: Final = 128
"""Of a process, however many clients are slow; ``http.threads`` stay when they have gone."""
_SHORT_METHODS: Final = frozenset({"GET", "HEAD"})
_SMALL_BODY: Final = 1024 * 1024
_QUICK_SECONDS: Final = 0.002
_REMEMBERED_WRITES: Final = 8
_BATCH: Final = 64
_ONCE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_NOTHING_TO_ACCEPT: Final = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EBADF})
_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNABORTED, errno.EAGAIN})
_NO_TIME: Final = timedelta()
"""The combined format does not say how long a request took."""
_log = logging.getLogger(__name__)


class _Term:
    """A thread's time as leader; `busy_since` is when its request began, 0 while it waits for one."""

    __slots__ = ("busy_since",)

    def __init__(self) -> None:
        self.busy_since = 0.0


class Worker(base.Worker):
    """Serves HTTP/1.1 with threads of which one leads.

    The leader waits for a request and serves it itself. While requests are short the others sleep, so that none
    of them contends for the interpreter's lock: that costs more than the application does. Before work that may
    take long (a large body to receive, a file to send, any body while writing is slow) the leader hands over to
    another thread; one that is held up all the same is relieved by the main thread. A connection is armed for one
    event at a time, so whoever is given one has it alone.
    """

    slot: int = 0
    """Which of the server's workers it is: whoever takes over from it has the same."""
    metrics: Metrics | None = None
    certificates: Certificates | None = None

    def init_process(self) -> None:
        """Prepare what must not be shared with the server that forked."""
        share_arenas()
        self._settings: Any = Settings(self.cfg)
        self._poller = select.epoll()
        self._ready: deque[int] = deque()
        self._connections: dict[int, Connection] = {}
        self._baton = threading.Semaphore()
        self._followers = 0
        self._threads = 0
        self._changing = threading.Lock()
        self._term: _Term | None = None
        self._watcher_sleeps = False
        self._accepting = False
        self._next_look = 0.0
        self._stopped_at = math.inf
        self._write_seconds = 0.0
        """How long a request with a small body takes, more or less."""
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop, then let requests finish; the main thread only keeps watch."""
        wrapped: Any = self.sockets
        self._listeners: dict[int, socket.socket] = {each.fileno(): each.sock for each in wrapped}
        for listener in self._listeners.values():
            listener.settimeout(0)
        self._accept_connections()
        for _ in range(self.cfg.threads):
            self._start_thread()
        while self.alive and self.ppid == os.getppid():
            self._keep_watch()
        self._stop_listening()
        self._stopped_at = time.monotonic()
        while self._connections and time.monotonic() < self._stopped_at + self.cfg.graceful_timeout:
            self._keep_watch(at_most=_STOPPING_SECONDS)

    def notify(self) -> None:
        """Say that this process lives, and how much of it is in use."""
        super().notify()
        if self.metrics:
            with self._changing:
                waits = self._term is not None and not self._term.busy_since
                busy = self._threads - self._followers - waits
            self.metrics.worker_loaded(threads=_MOST_THREADS, busy=busy, connections=len(self._connections))
            if self.certificates:
                self.metrics.certificate_served(self.certificates.section.certificate, self.certificates.not_after())

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; the signal itself has woken the main thread."""
        del sig, frame
        self.alive = False

    def _keep_watch(self, *, at_most: float = _WATCH_SECONDS) -> None:
        """Say that this process lives, end idle connections, relieve a leader that is held up, and sleep."""
        self.notify()
        self._end_idle()
        # The leader that sees the flag wakes us: so the flag comes before the look.
        self._watcher_sleeps = True
        term = self._term
        since = term.busy_since if term else 0.0
        if since:
            self._watcher_sleeps = False
            rest = since + _PATIENCE_SECONDS - time.monotonic()
            if rest <= 0 and term:
                self._hand_over(term)
            time.sleep(rest if rest > 0 else _PATIENCE_SECONDS)
        elif select.select([self.PIPE[0]], [], [], at_most)[0]:
            os.read(self.PIPE[0], 4096)
            # Most requests have ended by then, and each look costs as much as a good part of one.
            time.sleep(_PATIENCE_SECONDS)

    def _end_idle(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _STOPPING_SECONDS
        for connection in list(self._connections.values()):
            since = connection.idle_since
            linger = max(since, self._stopped_at) + _LINGER_SECONDS
            if min(since + self._settings.keepalive, linger) < now:
                # Not closed here, where another thread may just be given it: it wakes up to find the end.
                connection.end()

    def _start_thread(self) -> None:
        self._threads += 1
        self._followers += 1
        threading.Thread(target=self._take_turns, name=f"worker-{self._threads}", daemon=True).start()

    def _take_turns(self) -> None:
        """Follow and lead, until there are followers enough without this thread."""
        while True:
            self._baton.acquire()
            with self._changing:
                self._followers -= 1
                term = self._term = _Term()
            try:
                while self._term is term:
                    self._lead(term)
            except Exception:  # noqa: BLE001  a thread must outlive whatever happens to one connection
                _log.exception("a thread of the worker failed")
            self._hand_over(term)
            with self._changing:
                if self._followers >= self.cfg.threads:
                    self._threads -= 1
                    return
                self._followers += 1

    def _hand_over(self, term: _Term) -> None:
        """Let another thread lead, if `term` is still on: a new one if all others are held up by their clients."""
        with self._changing:
            if self._term is not term:
                return
            self._term = None
            if not self._followers and self._threads < _MOST_THREADS:
                self._start_thread()
            self._baton.release()

    def _lead(self, term: _Term) -> None:
        """Wait for something to do and do it; the rest of what there is to do is left to whoever leads then."""
        if not self._ready:
            ready = [fd for fd, _ in self._poller.poll(maxevents=_BATCH)]
            with self._changing:
                if self._term is not term:
                    # Relieved just now: whoever leads may be waiting already, and is told of them in its turn.
                    return self._give_back(ready)
                self._ready.extend(ready)
        try:
            fd = self._ready.popleft()
        except IndexError:  # another thread, which has relieved this one, was first
            return None
        return self._attend(fd, term)

    def _give_back(self, ready: list[int]) -> None:
        """Let the poller tell of connections again; of a listener it does by itself."""
        for fd in ready:
            if fd in self._connections:
                self._poller.modify(fd, _ONCE)

    def _attend(self, fd: int, term: _Term) -> None:
        connection = self._connections.get(fd)
        if connection is None:
            self._accept(fd)
            return
        term.busy_since = time.monotonic()
        if self._watcher_sleeps:
            self._watcher_sleeps = False
            os.write(self.PIPE[1], b".")
        self._serve(connection, partial(self._hand_over, term))
        term.busy_since = 0.0

    def _accept(self, fd: int) -> None:
        listener = self._listeners.get(fd)
        if listener is None:
            return
        try:
            client, address = listener.accept()
            own_address = listener.getsockname()
        except OSError as error:
            if error.errno not in _NOTHING_TO_ACCEPT:
                raise
            return
        connection = Connection(self._settings, client, address, own_address)
        self._connections[client.fileno()] = connection
        self._poller.register(client.fileno(), _ONCE)
        if len(self._connections) >= self._settings.worker_connections:
            self._refuse_connections()

    def _accept_connections(self) -> None:
        with self._changing:
            if not self._accepting and self.alive:
                self._accepting = True
                for fd in self._listeners:
                    self._poller.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _refuse_connections(self) -> None:
        with self._changing:
            if self._accepting:
                self._accepting = False
                for fd in self._listeners:
                    self._poller.unregister(fd)

    def _stop_listening(self) -> None:
        """Take the clients that wait already, and let those be refused that come from now on.

        While a socket listens, clients connect to it; when it is closed, those that nobody has accepted are cut
        off in the middle of their requests. So it is emptied and closed in one go.
        """
        self._refuse_connections()
        for fd, listener in self._listeners.items():
            while select.select([listener], [], [], 0)[0]:
                self._accept(fd)
            listener.close()

    def _serve(self, connection: Connection, hand_over: Callable[[], None]) -> None:
        """Answer the requests that have arrived on the connection, and have it wait for more or end."""
        connection.idle_since = math.inf
        kept = self._answer(connection, hand_over)
        while kept and connection.has_more():
            kept = self._answer(connection, hand_over)
        if kept:
            connection.idle_since = time.monotonic()
            self._poller.modify(connection.fd, _ONCE)
            return
        del self._connections[connection.fd]
        connection.close(graceful=True)
        if not self._accepting:
            self._accept_connections()

    def _answer(self, connection: Connection, hand_over: Callable[[], None]) -> bool:
        """Answer a request; return whether the connection is good for another."""
        request = None
        try:
            connection.init()
            request = next(connection.parser)
            respond = self._respond if request.method in _SHORT_METHODS else self._respond_to_write
            return respond(request, connection, hand_over) and connection.drain()
        except (StopIteration, errors.NoMoreData, ssl.SSLEOFError) as error:
            _log.debug("a connection has ended: %r", error)
        except OSError as error:
            if isinstance(error, ssl.SSLError) or error.errno not in _GONE:
                self.handle_error(request, connection.sock, connection.client, error)
        except Exception as error:  # noqa: BLE001  whatever it is, it must not end the thread
            self.handle_error(request, connection.sock, connection.client, error)
        return False

    def _respond_to_write(self, request: Any, connection: Connection, hand_over: Callable[[], None]) -> bool:
        """Have the application answer a request that has a body or changes something.

        To hand over costs as much as a small push does; but a disk that has to sync, or a client that is slow to send,
        would keep everybody waiting. So it depends on how long such requests take of late.
        """
        length = getattr(request.body.reader, "length", math.inf)
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
        response, environ = wsgi.create(
            request,
            connection.sock,
            connection.client,
            connection.server,
            self._settings,
            response_class=Response,
            response_args=(hand_over,),
        )
        environ["wsgi.multithread"] = True
        if isinstance(request.body.reader, LengthReader):
            environ["wsgi.input"] = Body(request.body.reader, connection.sock)
        if not self.alive:
            response.force_close()
        try:
            body = self.wsgi(environ, response.start_response)  # type: ignore[arg-type]  # the stubs spell WSGI another way
            try:
                if isinstance(body, wsgi.FileWrapper):
                    response.write_file(body)
                else:
                    for piece in body:
                        response.write(piece)
                response.close()
            finally:
                self.log.access(response, request, environ, _NO_TIME)
                if hasattr(body, "close"):
                    body.close()
        except Exception as error:
            if not response.headers_sent or isinstance(error, OSError):
                raise
            # A second answer on the same connection would be taken for a part of the first.
            _log.exception("a response broke off")
            return False
        return not response.should_close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application."""
        del req
        refuse(client, addr[0] if addr else "-", exc)
