"""What the processes of a server share about threads that have failed: any of them notes it, all read it."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry.error_codes import FAULTS
from registry.foundation.redaction import redacted
from registry.foundation.shared_value import SharedValue, TornError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAPACITY: Final = 160 * 1024
_MOST_THREADS: Final = 20
_LONGEST: Final = 256
_KEPT_SECONDS: Final = 3600.0
"""How long a failure is told: a thread that has ended is missing until its process ends."""
_log = logging.getLogger(__name__)


class ThreadBoard:
    """Holds the last failure of each thread that has failed within an hour, by its name; made before the fork."""

    def __init__(self) -> None:
        self._failures = SharedValue(_CAPACITY)
        self._lock = threading.Lock()
        self._file = os.memfd_create("registry-threads")

    def note(self, thread: str, error: str) -> None:
        """Say that `thread` has failed. Whether it goes on is its own affair."""
        failure = time.time(), redacted(error)[:_LONGEST]
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)  # other processes note, too
            try:
                failures = {**self._read(), redacted(thread)[:_LONGEST]: failure}
                latest = sorted(failures, key=lambda name: failures[name][0])[-_MOST_THREADS:]
                self._failures.write({name: failures[name] for name in latest})
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def errors(self) -> Mapping[str, str]:
        """Return what was wrong and when, by ``thread_`` and the name of the thread."""
        since = time.time() - _KEPT_SECONDS
        return {
            f"thread_{name}": f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='seconds')}: {error}"
            for name, (at, error) in self._read().items()
            if at > since
        }

    def watch(self) -> None:
        """Have every thread of this process that fails logged and noted from now on."""
        threading.excepthook = self._note_failure

    def close(self) -> None:
        """Take no further part; the processes that were forked before keep a descriptor of their own."""
        os.close(self._file)

    def _note_failure(self, failure: threading.ExceptHookArgs) -> None:
        name = failure.thread.name if failure.thread else "unknown"
        error = failure.exc_value
        if error is None or isinstance(error, SystemExit):
            return
        if isinstance(error, FAULTS):
            _log.error("the thread %s has failed: %r", name, error)
        else:
            _log.critical("the thread %s has failed", name, exc_info=error)
        self.note(name, f"{type(error).__name__}: {error}")

    def _read(self) -> dict[str, tuple[float, str]]:
        try:
            return self._failures.read() or {}
        except TornError:
            return {}
