"""Asks a storage at the start, and waits for one that is just starting itself, as where both are started at once."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from drivers.base import UnavailableError
from registry.server.gunicorn_internals import notify_systemd

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY: Final = "storage.starttimeout"
_PAUSE_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 2.0
"""How long the first attempt may take before a line says that it does."""
_REST_SECONDS: Final = 30.0
"""What systemd is asked for beyond the time to wait, for the rest of the start."""
_log = logging.getLogger(__name__)


def wait_until_available(look: Callable[[], None], name: str, seconds: float) -> None:
    """Call `look` until it does not raise UnavailableError, for `seconds` at most; with 0, once.

    It is called in a thread, which may hang for longer than that, in the look-up of a host name say: the caller, whom
    signals reach, does not. `name` is what is waited for.

    Raises:
        DriverError: what `look` has raised; UnavailableError as well if it has not returned in time.
    """
    if not seconds:
        return look()
    began = time.monotonic()
    deadline = began + seconds
    told = False
    while True:
        attempt = _Attempt(look)
        attempt.start()
        attempt.join(seconds if told else min(_SILENT_SECONDS, seconds))
        if attempt.is_alive() and not told:
            _tell(f"{name} does not answer", seconds)
            told = True
        attempt.join(max(deadline - time.monotonic(), 0))
        failure = attempt.failure()
        if not isinstance(failure, UnavailableError):
            break
        if time.monotonic() + _PAUSE_SECONDS >= deadline:
            raise UnavailableError(f"{failure}; waited {seconds:g} s ({_KEY})") from failure
        if not told:
            _tell(f"{name}: {failure}", seconds)
            told = True
        time.sleep(_PAUSE_SECONDS)
    if failure:
        raise failure
    if told:
        _log.info("%s answers after %.0f s", name, time.monotonic() - began)
    return None


def ask_once(look: Callable[[], None], seconds: float) -> None:
    """Call `look` once, in a thread, which may hang for longer than the `seconds` that this waits for it.

    Raises:
        DriverError: what `look` has raised; UnavailableError as well if it has not returned in time.
    """
    attempt = _Attempt(look)
    attempt.start()
    attempt.join(seconds)
    if attempt.is_alive():
        raise UnavailableError(f"no answer within {seconds:g} s; is it there, and can it be reached from here?")
    if failure := attempt.failure():
        raise failure


class _Attempt(threading.Thread):
    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__(name="look-at-storage", daemon=True)
        self._look = look
        self._failure: Exception | None = None

    def run(self) -> None:
        try:
            self._look()
        except Exception as error:  # noqa: BLE001  whoever waits raises it
            self._failure = error

    def failure(self) -> Exception | None:
        """Return what `look` has raised, None if it has returned; UnavailableError if it has done neither yet."""
        return UnavailableError("no answer") if self.is_alive() else self._failure


def _tell(what: str, seconds: float) -> None:
    _log.warning("%s; waiting for %g s at most (%s)", what, seconds, _KEY)
    extended = round((seconds + _REST_SECONDS) * 1_000_000)
    notify_systemd(f"STATUS=waiting for the storage\nEXTEND_TIMEOUT_USEC={extended}")
