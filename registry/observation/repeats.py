"""Log lines of one cause: the first is written at once, those that follow are counted and told once a minute.

With a disk that is gone or descriptors that are used up, each request and each attempt says the same. A log of that
hides what is wrong, and fills the disk it is on.
"""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.storage.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_SECONDS: Final = 60.0
MOST_TEXTS: Final = 60
"""Lines of one cause that are written in a period if each has another text and none tells of an error."""
MOST_REPOSITORIES: Final = 10
"""Lines of one cause that are written in a period if each tells of an error in another repository."""
MOST_CAUSES: Final = 256
"""Causes that are told apart at a time; what comes beyond counts as one more for each level."""
_LONGEST_TEXT: Final = 1000
_LONGEST_CHAIN: Final = 4
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_PLACE: Final = re.compile(rf"{ROOT[1:]}/(\w+)(?:(?<=/repositories)/(.+?)/_)?")
"""The part of the storage that a path or a key is in, and the name of the repository if it is in one."""

_Fault = tuple[tuple[type[BaseException], int | None, str, str], ...]
_Cause = tuple[str, int, str, _Fault]


@dataclass(slots=True)
class _Period:
    """What was written of a cause, as hashes of texts, and what was counted since: how often, and the last of it."""

    end: float
    texts: set[int] = field(default_factory=set)
    count: int = 0
    last: logging.LogRecord | None = None


class Repeats:
    """Decides which records are written. `most_texts` is as MOST_TEXTS; records of loggers in `exempt` all are.

    A cause is a logger, a level, a message before its arguments are filled in, and the errors that it tells of: each
    class and, if it is the operating system's, its number; if it is the storage's, the call and the part of the storage
    ("blobs", "repositories"). Such a record is written once in a period, once for each repository. One that tells of no
    error is written once for each text. While a cause goes on it is told once a period, with how often it was.
    """

    def __init__(self, *, most_texts: int = MOST_TEXTS, exempt: frozenset[str] = frozenset()) -> None:
        self._most_texts = most_texts
        self._exempt = exempt
        self._periods: dict[_Cause, _Period] = {}

    def anew(self) -> Repeats:
        """Return one that decides by the same rules and has counted nothing."""
        return Repeats(most_texts=self._most_texts, exempt=self._exempt)

    def next_end(self) -> float | None:
        """Return when the first period ends at whose end there is something to tell; None if there is none."""
        return min((each.end for each in self._periods.values() if each.count), default=None)

    def admits(self, record: logging.LogRecord, now: float) -> bool:
        """Tell whether to write `record`; if not, it is counted. Time is in seconds, from any beginning."""
        if record.levelno < logging.INFO or record.name in self._exempt:
            return True
        errors = _errors(record)
        fault = tuple(map(_kind, errors))
        cause = (record.name, record.levelno, _template(record), fault)
        period = self._periods.get(cause)
        if period is None:
            if len(self._periods) >= MOST_CAUSES:
                cause, fault = ("", record.levelno, "", ()), ()
            period = self._periods.setdefault(cause, _Period(now + PERIOD_SECONDS))
        if fault:
            text, most = hash(_repository(errors)), min(self._most_texts, MOST_REPOSITORIES)
        else:
            text, most = hash((record.getMessage(), *map(str, facts_of(record).values()))), self._most_texts
        if text not in period.texts and len(period.texts) < most:
            period.texts.add(text)
            return True
        period.count += 1
        period.last = _without_objects(record)
        return False

    def summaries(self, now: float) -> Iterator[logging.LogRecord]:
        """Yield records that tell of the periods that have ended by `now`."""
        for cause, period in list(self._periods.items()):
            if period.end > now:
                continue
            if period.last:
                yield _summary(period.last, period.count)
                # It goes on, so another period begins. What was written is not written again.
                period.end, period.count, period.last = now + PERIOD_SECONDS, 0, None
            else:
                del self._periods[cause]


class CountingHandler(logging.Handler):
    """A handler that does not repeat itself; a subclass says how a record is written, and begins to count."""

    def begin_counting(self, repeats: Repeats) -> None:
        """Ask `repeats` of each record from now on."""
        self._repeats = repeats
        self._pid = os.getpid()
        self._waits = False

    def write(self, record: logging.LogRecord) -> None:
        """Write `record`; the lock of this handler is held."""
        raise NotImplementedError

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record` unless it is a repetition. logging holds the lock, which it also renews after a fork."""
        if self._pid != os.getpid():
            # What was counted before the fork is told by the process that counted it.
            self.begin_counting(self._repeats.anew())
        now = time.monotonic()
        self._tell(now)
        try:
            admitted = self._repeats.admits(record, now)
        except Exception:  # noqa: BLE001  arguments that do not fit the message must not fail whoever logs
            return self.handleError(record)
        if admitted:
            self.write(record)
        elif not self._waits:
            self._wait()
        return None

    def tell_counted(self) -> None:
        """Tell at once what this process has counted: it is about to end."""
        with self.lock or nullcontext():
            if self._pid == os.getpid():
                self._tell(math.inf)

    def close(self) -> None:
        self.tell_counted()
        super().close()

    def _tell(self, now: float) -> None:
        for summary in self._repeats.summaries(now):
            self.write(summary)

    def _wait(self) -> None:
        """Have a thread tell what is counted when its period ends, whether or not there are lines then."""
        try:
            threading.Thread(target=self._tell_in_time, name="repeats", daemon=True).start()
        except RuntimeError:  # there can be no more threads: the next line that comes has it told
            return
        self._waits = True

    def _tell_in_time(self) -> None:
        while True:
            with self.lock or nullcontext():
                now = time.monotonic()
                self._tell(now)
                end = self._repeats.next_end()
                if end is None:
                    self._waits = False
                    return
            time.sleep(max(end - now, 0.0))


def _template(record: logging.LogRecord) -> str:
    return record.msg if isinstance(record.msg, str) else type(record.msg).__name__


def _errors(record: logging.LogRecord) -> list[BaseException]:
    """Return the errors that a record tells of: that which is logged, or an argument, and its causes."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        candidates = (record.msg, *(record.args if isinstance(record.args, tuple) else ()))
        error = next((each for each in candidates if isinstance(each, BaseException)), None)
    chain: list[BaseException] = []
    while error is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(error)
        error = error.__cause__
    return chain


def _kind(error: BaseException) -> tuple[type[BaseException], int | None, str, str]:
    """Return what tells an error from others: its class, its number, the call to the storage and the part of it."""
    number = error.errno if isinstance(error, OSError) else None
    if not isinstance(error, DriverError):
        return type(error), number, "", ""
    place = _PLACE.search(error.subject)
    return type(error), number, error.call, place[1] if place else ""


def _repository(errors: list[BaseException]) -> str:
    """Return the name of the repository in which the storage failed; "" if it was in none, or is not known."""
    places = (_PLACE.search(each.subject) for each in errors if isinstance(each, DriverError))
    return next((place[2] for place in places if place and place[2]), "")


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was given as `extra` with a record."""
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _without_objects(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that says the same and holds nothing else: a traceback would keep all that its frames have."""
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text += f": {type(error).__name__}: {error}"
    kept = logging.makeLogRecord(record.__dict__)
    kept.msg, kept.args = text[:_LONGEST_TEXT], ()
    kept.exc_info = kept.exc_text = kept.stack_info = None
    return kept


def _summary(last: logging.LogRecord, count: int) -> logging.LogRecord:
    """Return a record that tells of `count` of which this is the last."""
    told = logging.makeLogRecord(last.__dict__)
    told.args = (count, PERIOD_SECONDS, last.msg)
    told.msg = "%d more in the last %.0f s: %s"
    told.created = time.time()
    told.repeated = count
    return told
