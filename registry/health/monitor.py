"""The process that is elected on a host looks at everything there is to check and posts what it finds."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from registry.health.board import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.foundation.election import Election
    from registry.health.board import Board
    from registry.health.checks import Check

_LEAST_PATIENCE_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


def start(election: Election, board: Board, checks: Sequence[Check]) -> None:
    """Check and post, if and when this process is elected."""
    threading.Thread(target=_run, args=(election, board, checks), name="health", daemon=True).start()


class Watch:
    """What is known of one check."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.error = ""
        """What is wrong; "" while the threshold is not reached."""
        self._failures = 0
        self._look: _Look | None = None

    def take(self) -> None:
        """Look once. A look that hangs is a failure, and no second one begins before it has ended."""
        self._look = self._look or _Look(self.check)
        patience_seconds = max(self.check.interval_seconds, _LEAST_PATIENCE_SECONDS)
        if self._look.ended.wait(patience_seconds):
            found, self._look = self._look.error, None
        else:
            found = f"no answer within {patience_seconds:g} s"
        self._failures = self._failures + 1 if found else 0
        self.error = found if self._failures >= max(self.check.threshold, 1) else ""


class _Look:
    """A check being made in a thread that may hang without holding anything up."""

    def __init__(self, check: Check) -> None:
        self.error = ""
        self.ended = threading.Event()
        self._check = check
        threading.Thread(target=self._run, name=f"check {check.name}", daemon=True).start()

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
        self._watches = [Watch(check) for check in checks]
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look at each thing at its own interval, the first time after one, for as long as the process lives."""
        for watch in self._watches:
            threading.Thread(target=self._follow, args=(watch,), name=watch.check.name, daemon=True).start()

    def _follow(self, watch: Watch) -> None:
        while True:
            time.sleep(watch.check.interval_seconds)
            self.look(watch)

    def look(self, watch: Watch) -> None:
        """Look once, and post what has become of it."""
        before = watch.error
        watch.take()
        if watch.check.needed:  # whoever does without something says so
            _tell(watch, before)
        self.post()

    def post(self) -> None:
        """Post what is known."""
        with self._lock:
            wrong = [(watch.check, watch.error) for watch in self._watches if watch.error]
            self._board.post(
                Verdict(
                    failing={check.name: error for check, error in wrong if check.refuses},
                    unready={check.name: error for check, error in wrong if check.needed},
                    degraded={check.name: error for check, error in wrong if not check.needed},
                )
            )


def _tell(watch: Watch, before: str) -> None:
    if watch.error and not before:
        _log.error("health check failed", extra={"check": watch.check.name, "error": watch.error})
    elif before and not watch.error:
        _log.info("health check passes again", extra={"check": watch.check.name})


def _run(election: Election, board: Board, checks: Sequence[Check]) -> None:
    election.wait()
    Monitor(board, checks).start()
