"""Looks at everything there is to check, and posts what it finds."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from registry.foundation.times import rfc3339
from registry.health.board import Verdict
from registry.health.checks import STORAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.health.board import Board
    from registry.health.checks import Check

_LEAST_PATIENCE_SECONDS: Final = 5.0
_PUBLIC_WORDS: Final = "failing; since %s, the log and the debug server say why"
_log = logging.getLogger(__name__)


class Watch:
    """What is known of one check."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.error = ""
        """What is wrong; "" while the threshold is not reached."""
        self.since = 0.0
        """When it failed first, in seconds since the epoch, if it has failed."""
        self._failures = 0
        self._look: _Look | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong the last time."""
        return not self._failures

    def take(self) -> None:
        """Look once. A look that hangs is a failure, and no second one begins before it has ended."""
        self._look = self._look or _Look(self.check)
        patience_seconds = max(self.check.interval_seconds, _LEAST_PATIENCE_SECONDS)
        if self._look.ended.wait(patience_seconds):
            found, self._look = self._look.error, None
        else:
            found = f"no answer within {patience_seconds:g} s"
        if not found:
            self._failures = 0
        elif not self._failures:
            self.since = time.time()
        self._failures += bool(found)
        self.error = found if self._failures >= max(self.check.threshold, 1) else ""


class _Look:
    """A check that is being made, in a thread of its own: if it hangs, nothing waits for it."""

    def __init__(self, check: Check) -> None:
        self.error = ""
        self.ended = threading.Event()
        self._check = check
        try:
            threading.Thread(target=self._run, name=f"check {check.name}", daemon=True).start()
        except RuntimeError:  # there can be no more threads: whoever looks has to wait, however long it takes
            self._run()

    def _run(self) -> None:
        try:
            self._check.look()
        except Exception as error:  # noqa: BLE001  whatever a check trips over is what it has found
            self.error = str(error) or type(error).__name__
        finally:
            self.ended.set()


class Monitor:
    """Watches `checks` and posts on `board` what they find."""

    def __init__(self, board: Board, checks: Sequence[Check]) -> None:
        self._board = board
        self.watches = [Watch(check) for check in checks]
        self._lock = threading.Lock()

    def look(self, watch: Watch) -> None:
        """Look once, and post what is known then. Several threads may do so, each for another of `watches`."""
        before = watch.error
        watch.take()
        if watch.check.kind == STORAGE and watch.passed:
            self._board.storage_answers()
        if watch.check.needed:  # what is not needed is logged by the code that works without it
            _tell(watch, before)
        self.post()

    def post(self) -> None:
        """Post what is known."""
        with self._lock:
            failing = [watch for watch in self.watches if watch.error]
            wrong = [(watch.check, watch.error) for watch in failing]
            self._board.post(
                Verdict(
                    failing={check.name: error for check, error in wrong if check.refuses},
                    unready={check.name: error for check, error in wrong if check.needed},
                    degraded={check.name: error for check, error in wrong if not check.needed},
                    public={watch.check.kind: _PUBLIC_WORDS % rfc3339(watch.since) for watch in failing},
                )
            )


def _tell(watch: Watch, before: str) -> None:
    if watch.error and not before:
        _log.error("health check failed", extra={"check": watch.check.name, "error": watch.error})
    elif before and not watch.error:
        _log.info("health check passes again", extra={"check": watch.check.name})
