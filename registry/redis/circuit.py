"""A circuit breaker: no request waits for a server that does not answer. The log tells of it once a minute at most."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Circuit:
    """Whether to ask the server called `name`: once it has answered, and not after a failure until it answers again.

    `knock` asks it something and raises what is wrong. That is done in a thread of its own, so that no request waits.
    What is wrong is logged once a minute at most.
    """

    def __init__(self, name: str, knock: Callable[[], object]) -> None:
        self._name = name
        self._knock = knock
        self._closed = False
        self._complained = False
        self._knock_at = 0.0
        self._complain_at = 0.0
        self._lock = threading.Lock()
        self.usable()

    def usable(self) -> bool:
        """Tell whether to ask it. When the answer has been no for a while, a thread begins to look."""
        if not self._closed and self._due():
            self._begin()
        return self._closed

    def _begin(self) -> None:
        try:
            threading.Thread(target=self._try, name=self._name, daemon=True).start()
        except RuntimeError as error:  # there can be no more threads
            self.broke(error)

    def broke(self, error: Exception) -> None:
        """Do not ask it until it answers again: `error` says that it did not."""
        with self._lock:
            self._closed = False
            self._knock_at = time.monotonic() + _PAUSE_SECONDS
        self.complain(error)

    def complain(self, error: Exception) -> None:
        """Log what is wrong, unless something was logged a short while ago."""
        with self._lock:
            now = time.monotonic()
            if now < self._complain_at:
                return
            self._complain_at = now + _QUIET_SECONDS
            self._complained = True
        _log.warning("%s: %s; storage is asked instead", self._name, str(error) or type(error).__name__)

    def look(self) -> None:
        """Return if the server answers.

        Raises:
            Exception: what is wrong.
        """
        try:
            self._knock()
        except Exception as error:
            self.broke(error)
            raise
        with self._lock:
            self._closed = True
            complained, self._complained = self._complained, False
        if complained:
            _log.info("%s answers again", self._name)

    def _due(self) -> bool:
        """Tell whether it is time to knock, to one caller only."""
        with self._lock:
            due = time.monotonic() >= self._knock_at
            if due:
                self._knock_at = math.inf
            return due

    def _try(self) -> None:
        try:
            self.look()
        except Exception as error:  # noqa: BLE001  look() has logged it
            _log.debug("%s: %s", self._name, error)
