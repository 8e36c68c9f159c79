"""Accepting clients, as many as there is room for."""

from __future__ import annotations

import errno
import logging
import resource
import select
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.proxies import customer_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator

_NOTHING_TO_ACCEPT: Final = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EBADF})
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of accept(2) that come again at once: descriptors or memory have run out."""

_PAUSE_SECONDS: Final = 0.5
_EMPTYING_SECONDS: Final = 5.0
"""How long a server that stops accepts those who wait: others may come all the time."""
_OWN_DESCRIPTORS: Final = 128
"""Of a process, for what is neither a connection nor a file that is sent on one."""
_MOST_CONNECTIONS: Final = 65_536
_FEWEST_CONNECTIONS: Final = 16
_log = logging.getLogger(__name__)


def raise_descriptor_limit() -> int:
    """Let this process, and those that it forks, have as many file descriptors as they may; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            _log.warning("the limit of file descriptors stays %d of %d: %s", soft, hard, error)
            return soft
    return hard


def connections_for(descriptors: int) -> int:
    """Return how many connections a process with so many file descriptors may have: each may need a file beside it."""
    return min(max((descriptors - _OWN_DESCRIPTORS) // 2, _FEWEST_CONNECTIONS), _MOST_CONNECTIONS)


@dataclass(frozen=True, slots=True)
class ListeningLimits:
    """At most `connections` at a time, and `per_client` of one that is not `exempt`; 0 is any number."""

    connections: int
    per_client: int = 0
    exempt: Callable[[str], bool] = bool


class Clients:
    """Counts the connections of each client. Those of an IPv6 /64, which one customer has, are one client's."""

    def __init__(self, limits: ListeningLimits) -> None:
        self._limits = limits
        self._counts: Counter[str] = Counter()
        self._changing = threading.Lock()

    def admit(self, address: Any) -> bool:
        """Count a connection from a socket's `address`; return False, and do not, if that client has enough."""
        client = self._counted(address)
        if not client:
            return True
        with self._changing:
            if self._counts[client] >= self._limits.per_client:
                return False
            self._counts[client] += 1
            return True

    def leave(self, address: Any) -> None:
        """Count one less that admit() has admitted."""
        client = self._counted(address)
        if client:
            with self._changing:
                self._counts[client] -= 1
                if not self._counts[client]:
                    del self._counts[client]

    def _counted(self, address: Any) -> str:
        """Return whom connections from `address` count for; "" if they are not counted."""
        if not self._limits.per_client or not isinstance(address, tuple):
            return ""
        host = address[0].removeprefix("::ffff:") if "." in address[0] else address[0]
        return "" if self._limits.exempt(host) else customer_of(host)


class Listeners:
    """The sockets that clients connect to, registered with an epoll object while clients are accepted."""

    def __init__(self, sockets: Iterable[socket.socket], epoll: select.epoll) -> None:
        self._epoll = epoll
        self._sockets = {each.fileno(): each for each in sockets}
        self._changing = threading.Lock()
        self._accepting = False
        self._stopped = False
        self._paused_until = 0.0
        for each in self._sockets.values():
            each.settimeout(0)
        self.resume()

    def accept(self, fd: int) -> tuple[socket.socket, Any, Any] | None:
        """Return the next client of the listener `fd`, with its address and ours; None if there is none.

        When file descriptors or memory have run out, none are accepted for a moment.
        """
        listener = self._sockets.get(fd)
        if listener is None:
            return None
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in _NOTHING_TO_ACCEPT:
                self._pause_for_a_moment(error)
            return None
        try:
            return client, address, client.getsockname()
        except OSError:
            client.close()
            return None

    def pause(self) -> None:
        """Leave clients waiting from now on."""
        with self._changing:
            if self._accepting:
                self._accepting = False
                for fd in self._sockets:
                    self._epoll.unregister(fd)

    def resume(self) -> None:
        """Accept clients again, unless there is nothing to accept them with yet."""
        with self._changing:
            if not self._accepting and not self._stopped and time.monotonic() >= self._paused_until:
                self._accepting = True
                for fd in self._sockets:
                    self._epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def stop(self) -> Iterator[int]:
        """Yield a listener for each client that waits, to be accepted; stop listening when no more do.

        While a socket listens, clients connect to it; when it is closed, those that were not accepted are cut off in
        the middle of their requests. So it is emptied and closed without a pause.
        """
        self._stopped = True
        self.pause()
        deadline = time.monotonic() + _EMPTYING_SECONDS
        for fd, listener in self._sockets.items():
            while self._paused_until < time.monotonic() < deadline and _has_client(listener):
                yield fd
        # Not before: their descriptors may be those of connections right after.
        for listener in self._sockets.values():
            listener.close()

    def _pause_for_a_moment(self, error: OSError) -> None:
        told = self._paused_until > time.monotonic()
        self._paused_until = time.monotonic() + _PAUSE_SECONDS
        self.pause()
        if not told:
            advice = "; raise the limit of open files (LimitNOFILE=, --ulimit nofile)"
            _log.error("clients have to wait: %s%s", error, advice if error.errno in EXHAUSTED else "")


def _has_client(listener: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
