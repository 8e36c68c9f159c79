"""The threads of a worker, which take turns at leading."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.connection import Connection
    from registry.server.poller import Poller

MOST_WORKING: Final = 128
"""Threads of a process that work; ``http.threads`` stay when there is less to do. Not counted are those that wait for a
slow client, are parked (see Ticket), which is cheap, or are held up."""
MOST_HELD_UP: Final = 512
"""Threads of a process that are held up, by a storage that hangs, say, and do not count: so others can be served."""
MOST_THREADS: Final = 4096
"""Threads of a process, however many clients are slow."""
_PATIENCE_SECONDS: Final = 0.01
"""How long a leader may take over a request before another thread takes its place."""
_HELD_UP_SECONDS: Final = 0.5
"""How long a thread has had a request that is held up."""
_SHORT_AGAIN: Final = 8
"""After a leader was held up, how many requests have to be short before leaders serve by themselves again."""
_STAND_IN_SECONDS: Final = 0.05
_READS: Final = (b"GET ", b"HEAD ")
_log = logging.getLogger(__name__)


class Term:
    """A thread's time as leader, and after that as one that serves the connection it has.

    `busy_since` is when its request began, 0 while it waits for one.
    """

    __slots__ = ("busy_since", "connection")

    def __init__(self) -> None:
        self.busy_since = 0.0
        self.connection: Connection | None = None

    @property
    def works(self) -> bool:
        """Whether the thread has a request, and waits neither for its client nor for others."""
        connection = self.connection
        if connection is None:
            return False
        channel = connection.channel
        return not (channel.pace.waits or channel.ticket.queues)


class Turns:
    """Threads of which one leads: it waits for a request and serves it itself.

    While requests are short the others, the followers, sleep. So none of them contends for the interpreter's lock,
    which would cost more than the application does. Before work that may take long (a large body to receive, a file
    to send, any body while writing is slow) the leader hands over to a follower. watch(), which the main thread calls,
    relieves a leader that is held up all the same; as others are likely to be held up by the same thing, a storage that
    is far away or hangs, say, leaders hand over before they serve then, until requests are short again. When all
    threads are held up, the main thread stands in for a leader: it answers probes, and what else is asked waits for a
    thread.
    """

    def __init__(
        self,
        poller: Poller,
        serve: Callable[[Connection, Callable[[], None] | None], bool],
        wake_up: tuple[int, int],
        *,
        threads: int,
    ) -> None:
        """Prepare at least `threads` threads, which start() starts.

        `serve` is given a connection and what hands over to another thread; it keeps or closes the connection. Given
        None because no thread is free, it returns whether the connection needs one. `wake_up` are the ends of a pipe:
        what is written to the second one wakes the thread that watches.
        """
        self._poller = poller
        self._serve = serve
        self._wake_up = wake_up
        self._least_threads = threads
        self._baton = threading.Semaphore()
        self._changing = threading.Lock()
        self._term: Term | None = None
        self._terms: set[Term] = set()
        self._threads = 0
        self._followers = 0
        self._put_off: tuple[deque[Connection], deque[Connection]] = (deque(), deque())
        """Connections that need a thread and found none: those that read, which come first, and the others."""
        self._watcher_sleeps = False
        self._hands_over = 0
        """How many requests have to be short before leaders serve without handing over."""

    def start(self) -> None:
        """Start the threads."""
        with self._changing:
            for _ in range(self._least_threads):
                self._start_thread()

    @property
    def busy(self) -> int:
        """How many threads work on a request; those that wait for their client do not."""
        with self._changing:
            return self._working()

    def watch(self, at_most: float) -> None:
        """Relieve a leader that is held up, then sleep: at most so many seconds, and until a leader begins to serve."""
        # The leader looks at the flag after it has said that it is busy: so we set the flag before we look.
        self._watcher_sleeps = True
        term = self._term
        since = term.busy_since if term else 0.0
        if term is None and self._stand_in():
            self._watcher_sleeps = False
        elif since:
            self._watcher_sleeps = False
            rest = since + _PATIENCE_SECONDS - time.monotonic()
            if rest <= 0 and term:
                self._hands_over = _SHORT_AGAIN
                self._hand_over(term)
            time.sleep(rest if rest > 0 else _PATIENCE_SECONDS)
        elif select.select([self._wake_up[0]], [], [], at_most)[0]:
            os.read(self._wake_up[0], 4096)
            # Most requests have ended by then, and each look costs as much as a good part of one.
            time.sleep(_PATIENCE_SECONDS)

    def _stand_in(self) -> bool:
        """Lead for a moment if no thread can; return whether that was needed."""
        with self._changing:
            # Threads that worked when no more could be started may be waiting for their clients by now.
            if self._term is not None or self._followers or self._start_thread():
                return False
        poller = self._poller
        poller.add_ready(poller.wait(_STAND_IN_SECONDS))
        while poller.has_ready:
            connection = poller.next_ready()
            if connection and self._serve(connection, None):
                with self._changing:
                    leaderless = self._term is None
                    if leaderless:
                        self._put_off[not connection.head_begins_with(_READS)].append(connection)
                if not leaderless:
                    poller.keep(connection)
        return True

    def _working(self) -> int:
        """Count the threads that work on a request."""
        return sum(each.works for each in self._terms)

    def _all_work(self) -> bool:
        """Tell whether as many threads work as may; those that are held up do not count, unless they are too many."""
        held_up_since = time.monotonic() - _HELD_UP_SECONDS
        working = [each.busy_since for each in self._terms if each.works]
        held_up = sum(since < held_up_since for since in working)
        return len(working) - min(held_up, MOST_HELD_UP) >= MOST_WORKING

    def _start_thread(self) -> bool:
        """Start a thread; return False if there are too many, or the system allows no more."""
        if self._threads >= MOST_THREADS or (self._threads >= MOST_WORKING and self._all_work()):
            return False
        try:
            threading.Thread(target=self._take_turns, name=f"worker-{self._threads + 1}", daemon=True).start()
        except RuntimeError as error:
            _log.error("no thread for a client: %s; raise the limit of processes (TasksMax=, --pids-limit)", error)
            return False
        self._threads += 1
        self._followers += 1
        return True

    def _take_turns(self) -> None:
        """Follow and lead, until there are followers enough without this thread."""
        while True:
            self._baton.acquire()
            with self._changing:
                self._followers -= 1
                term = self._term = Term()
                self._terms.add(term)
            try:
                while self._term is term:
                    self._lead(term)
            except Exception:  # noqa: BLE001  a thread must outlive whatever happens to one connection
                _log.exception("a thread of the worker failed")
            self._hand_over(term)
            with self._changing:
                self._terms.discard(term)
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
            leads_on = bool(self._followers) or self._start_thread()
            # Without a follower, the first thread that is done with its request leads.
            self._baton.release()
        if not leads_on and self._watcher_sleeps:
            self._wake_watcher()

    def _lead(self, term: Term) -> None:
        """Wait for connections with something to read and serve one; the others are left to the next that leads."""
        poller = self._poller
        if not any(self._put_off) and not poller.has_ready:
            found = poller.wait()
            with self._changing:
                if self._term is not term:
                    # Relieved just now. The new leader may be waiting in the poller, which returns them there.
                    return poller.give_back(found)
                poller.add_ready(found)
        connection = self._next_put_off() or poller.next_ready()
        if connection:
            term.connection = connection
            term.busy_since = time.monotonic()
            if self._hands_over:
                self._hand_over(term)
            elif self._watcher_sleeps:
                self._wake_watcher()
            self._serve(connection, partial(self._hand_over, term))
            if self._hands_over and time.monotonic() - term.busy_since < _PATIENCE_SECONDS:
                self._hands_over -= 1
            term.busy_since = 0.0
            term.connection = None
        return None

    def _wake_watcher(self) -> None:
        self._watcher_sleeps = False
        os.write(self._wake_up[1], b".")

    def _next_put_off(self) -> Connection | None:
        for each in self._put_off:
            if each:
                # Another thread may be faster.
                with suppress(IndexError):
                    return each.popleft()
        return None
