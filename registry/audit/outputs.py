"""Tells the lines of the audit log to outputs besides the storage, in order, each at least once.

An output has a mark of its own in the storage, up to where it was told. So one that is away holds up neither the log
nor another output, nor takes memory: it goes on where it was, if the lines are still there.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import DriverError
from registry.audit.segments import Segments
from registry.audit.syslog import Syslog, reason_of
from registry.audit.told import Told
from registry.config.outputs import syslog_target
from registry.jobs.job import JobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.audit.chain import Line
    from registry.audit.head import Head
    from registry.config.events import Audit

_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_WARN_SECONDS: Final = 60.0
_STALL_SECONDS: Final = 10.0
"""How long an output may take for some lines before it is told of. A syslog that is away gives up in less."""
_AT_ONCE: Final = 1000
_STDOUT: Final = 1
_log = logging.getLogger(__name__)


class Output(Protocol):
    """Takes lines; str() says what it is."""

    def emit(self, lines: list[Line]) -> None:
        """Take these lines.

        Raises:
            OSError: it could not take all of them.
        """


class Stdout:
    """Standard output of the process."""

    def __str__(self) -> str:
        return "standard output"

    def emit(self, lines: list[Line]) -> None:
        """Write `lines`, one by one, so that others who write there come between two of them and not into one."""
        for line in lines:
            left = line.line + b"\n"
            while left:
                left = left[os.write(_STDOUT, left) :]


def configured(section: Audit) -> Iterator[tuple[str, Output]]:
    """Yield each output that the section ``audit`` asks for, behind the name that the storage knows it by."""
    if section.stdout:
        yield "stdout", Stdout()
    target = syslog_target(section)
    if target:
        yield "syslog", Syslog(target)


class Telling:
    """A job: tells `output`, which the storage knows by `name`, what the log has and it was not told.

    `head` gives how far the log has come, None if that is not known yet; `held` whether it is this process that tells.
    """

    def __init__(
        self,
        driver: StorageDriver,
        name: str,
        output: Output,
        held: Callable[[], bool],
        head: Callable[[], Head | None],
    ) -> None:
        self._driver = driver
        self._segments = Segments(driver)
        self._name = name
        self._output = output
        self._held = held
        self._head = head
        self._told: Told | None = None
        self._failed_at: float | None = None

    def begin_at(self, head: Head) -> None:
        """Begin behind `head`, if this output was never told anything.

        Raises:
            DriverError: the storage fails.
        """
        if Told.load(self._driver, self._name) is None:
            self._store(Told(head.seq, head.segment))

    def run(self) -> float:
        """Tell what there is, and return how many seconds to pause.

        Raises:
            JobFailedError: the output does not take it, or the storage fails.
        """
        try:
            if not self._held():
                self._told = None
                return _POLL_SECONDS
            while self._tell_some():
                pass
        except DriverError as error:
            raise JobFailedError(f"{self._output} is not told of the audit log: {error}") from error
        return _POLL_SECONDS

    def _tell_some(self) -> bool:
        """Tell the next lines, and tell whether there are more."""
        head = self._head()
        told = self._told = self._told or Told.load(self._driver, self._name)
        if head is None or told is None or head.seq <= told.seq:
            return False
        for segment, lines in told.following(self._segments):
            self._emit(lines[:_AT_ONCE], head, told)
            self._store(Told(lines[:_AT_ONCE][-1].seq, str(segment)))
            return True
        return False

    def _emit(self, lines: list[Line], head: Head, told: Told) -> None:
        stall = threading.Timer(_STALL_SECONDS, self._tell_of_stall, [head.seq - told.seq])
        stall.daemon = True
        with suppress(RuntimeError):  # there may be no more threads: then nobody hears of it
            stall.start()
        try:
            self._output.emit(lines)
        except (OSError, ValueError) as error:  # a name that cannot be looked up may be a ValueError
            waiting = head.seq - told.seq
            text = f"{self._output} does not take the audit log, {waiting} lines wait: {reason_of(error)}"
            level = logging.DEBUG
            if self._failed_at is None or time.monotonic() - self._failed_at >= _WARN_SECONDS:
                self._failed_at, level = time.monotonic(), logging.WARNING
            raise JobFailedError(text, pause_seconds=_RETRY_SECONDS, level=level) from error
        finally:
            stall.cancel()
        if self._failed_at is not None:
            self._failed_at = None
            _log.info("%s takes the audit log again", self._output)
        missing = lines[0].seq - told.seq - 1
        if missing > 0:
            _log.warning("%d lines of the audit log were deleted before %s took them", missing, self._output)

    def _tell_of_stall(self, waiting: int) -> None:
        """Say that the output takes nothing, once: it is waited for, as a pipe is that nobody reads."""
        self._failed_at = time.monotonic()
        text = "%s has not taken the audit log for %.0f s, %d lines wait: does anything read it?"
        _log.warning(text, self._output, _STALL_SECONDS, waiting)

    def _store(self, told: Told) -> None:
        told.store(self._driver, self._name)
        self._told = told
