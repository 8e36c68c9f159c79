"""The threads of a worker, which take turns at leading."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.connection import Connection
    from registry.server.poller import Poller

MOST_THREADS: Final = 128
"""Of a process, however many clients are slow; ``http.threads`` stay when they have gone."""
_PATIENCE_SECONDS: Final = 0.01
"""How long a leader may take over a request before another thread takes its place."""
_log = logging.getLogger(__name__)


class Term:
    """A thread's time as leader; `busy_since` is when its request began, 0 while it waits for one."""

    __slots__ = ("busy_since",)

    def __init__(self) -> None:
        self.busy_since = 0.0


class Turns:
    """Threads of which one leads: it waits for a request and serves it itself.

    While requests are short the others, the followers, sleep. So none of them contends for the interpreter's lock,
    which would cost more than the application does. Before work that may take long (a large body to receive, a file
    to send, any body while writing is slow) the leader hands over to a follower. watch(), which the main thread calls,
    relieves a leader that is held up all the same.
    """

    def __init__(
        self,
        poller: Poller,
        serve: Callable[[Connection, Callable[[], None]], None],
        wake_up: tuple[int, int],
        *,
        threads: int,
    ) -> None:
        """Prepare at least `threads` threads, which start() starts.

        `serve` is given a connection and what hands over to another thread; it keeps or closes the connection.
        `wake_up` are the ends of a pipe: what is written to the second one wakes the thread that watches.
        """
        self._poller = poller
        self._serve = serve
        self._wake_up = wake_up
        self._least_threads = threads
        self._baton = threading.Semaphore()
        self._changing = threading.Lock()
        self._term: Term | None = None
        self._threads = 0
        self._followers = 0
        self._watcher_sleeps = False

    def start(self) -> None:
        """Start the threads."""
        for _ in range(self._least_threads):
            self._start_thread()

    @property
    def busy(self) -> int:
        """How many threads serve a request."""
        with self._changing:
            waits = self._term is not None and not self._term.busy_since
            return self._threads - self._followers - waits

    def watch(self, at_most: float) -> None:
        """Relieve a leader that is held up, then sleep: at most so many seconds, and until a leader begins to serve."""
        # The leader looks at the flag after it has said that it is busy: so we set the flag before we look.
        self._watcher_sleeps = True
        term = self._term
        since = term.busy_since if term else 0.0
        if since:
            self._watcher_sleeps = False
            rest = since + _PATIENCE_SECONDS - time.monotonic()
            if rest <= 0 and term:
                self._hand_over(term)
            time.sleep(rest if rest > 0 else _PATIENCE_SECONDS)
        elif select.select([self._wake_up[0]], [], [], at_most)[0]:
            os.read(self._wake_up[0], 4096)
            # Most requests have ended by then, and each look costs as much as a good part of one.
            time.sleep(_PATIENCE_SECONDS)

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
                term = self._term = Term()
            try:
                while self._term is term:
                    self._lead(term)
            except Exception:  # noqa: BLE001  a thread must outlive whatever happens to one connection
                _log.exception("a thread of the worker failed")
            self._hand_over(term)
            with self._changing:
                if self._followers >= self._least_threads:
                    self._threads -= 1
                    return
                self._followers += 1

    def _hand_over(self, term: Term) -> None:
        """Let another thread lead, if `term` still lasts: a new one if all others are held up by their clients."""
        with self._changing:
            if self._term is not term:
                return
            self._term = None
            if not self._followers and self._threads < MOST_THREADS:
                self._start_thread()
            self._baton.release()

    def _lead(self, term: Term) -> None:
        """Wait for connections with something to read and serve one; the others are left to the next that leads."""
        poller = self._poller
        if not poller.has_ready:
            found = poller.wait()
            with self._changing:
                if self._term is not term:
                    # Relieved just now. The new leader may be waiting in the poller, which returns them there.
                    return poller.give_back(found)
                poller.add_ready(found)
        connection = poller.next_ready()
        if connection:
            term.busy_since = time.monotonic()
            if self._watcher_sleeps:
                self._watcher_sleeps = False
                os.write(self._wake_up[1], b".")
            self._serve(connection, partial(self._hand_over, term))
            term.busy_since = 0.0
        return None
