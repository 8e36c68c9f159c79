"""Tells the lines of the audit log to outputs besides the storage, in order, each at least once.

An output has a mark of its own in the storage, up to where it was told. So one that is away holds up neither the log
nor another output, nor takes memory: it goes on where it was, if the lines are still there.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import DriverError, ObjectTooLargeError, PathNotFoundError
from registry.audit.segments import Segment, Segments
from registry.audit.writer import lines_of
from registry.jobs.job import JobFailedError
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.audit.chain import Line
    from registry.audit.head import Head

_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_WARN_SECONDS: Final = 60.0
_AT_ONCE: Final = 1000
_LIMIT_BYTES: Final = 4096
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


@dataclass(frozen=True, slots=True)
class _Told:
    """Up to which line an output was told, and the segment that this is in."""

    seq: int
    segment: str


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
        self._path = paths.audit_told(name)
        self._output = output
        self._held = held
        self._head = head
        self._told: _Told | None = None
        self._failed_at: float | None = None

    def begin_at(self, head: Head) -> None:
        """Begin behind `head`, if this output was never told anything.

        Raises:
            DriverError: the storage fails.
        """
        if self._load() is None:
            self._store(_Told(head.seq, head.segment))

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
        told = self._told = self._told or self._load()
        if head is None or told is None or head.seq <= told.seq:
            return False
        start = Segment.parse(told.segment) if told.segment else None
        for segment in self._segments.all(start):
            new = [line for line in lines_of(self._segments.read(segment)) if line.seq > told.seq]
            if new:
                self._emit(new[:_AT_ONCE], head, told)
                self._store(_Told(new[:_AT_ONCE][-1].seq, str(segment)))
                return True
        return False

    def _emit(self, lines: list[Line], head: Head, told: _Told) -> None:
        try:
            self._output.emit(lines)
        except (OSError, ValueError) as error:  # a name that cannot be looked up may be a ValueError
            waiting = head.seq - told.seq
            reason = getattr(error, "strerror", None) or error
            text = f"{self._output} does not take the audit log, {waiting} lines wait: {reason}"
            level = logging.DEBUG
            if self._failed_at is None or time.monotonic() - self._failed_at >= _WARN_SECONDS:
                self._failed_at, level = time.monotonic(), logging.WARNING
            raise JobFailedError(text, pause_seconds=_RETRY_SECONDS, level=level) from error
        if self._failed_at is not None:
            self._failed_at = None
            _log.info("%s takes the audit log again", self._output)
        missing = lines[0].seq - told.seq - 1
        if missing > 0:
            _log.warning("%d lines of the audit log were deleted before %s took them", missing, self._output)

    def _load(self) -> _Told | None:
        try:
            content = json.loads(self._driver.get(self._path, limit=_LIMIT_BYTES))
            segment = str(content["segment"])
            if segment:
                Segment.parse(segment)
            return _Told(int(content["seq"]), segment)
        except (PathNotFoundError, ObjectTooLargeError, RecursionError, ValueError, OverflowError, KeyError, TypeError):
            return None

    def _store(self, told: _Told) -> None:
        self._driver.put(self._path, json.dumps(asdict(told)).encode())
        self._told = told
