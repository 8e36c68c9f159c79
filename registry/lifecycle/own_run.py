"""The run of a garbage collection that this process makes, which all hosts see and only one process has at a time.

The object in the storage is both the announcement and the lock. Whoever wants to run replaces the object that it has
read by its own, and so does the run whenever it has something to say: that it lives, what it closes. Of two who replace
the same object one fails. So a run that was stopped and superseded can never speak again, and it does nothing that
cannot be undone unless it has spoken lately.

A medium that cannot compare and write in one step may let two begin. One of them finds the other's object when it next
says that it lives, which it does several times before anything is changed.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from drivers.base import ChangedError, DriverError, PathExistsError
from registry.lifecycle.reports import last_number
from registry.storage import paths, runs
from registry.storage.listing import objects_below
from registry.storage.names import is_notice
from registry.storage.runs import Closed, Notice, Phase, Run, Runs, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.base import Found, StorageDriver

_LOOKS: Final = 12
"""How many beats in a row a run has to miss to count as dead."""
_log = logging.getLogger(__name__)


class RunLostError(Exception):
    """This run may do nothing any more: another process has superseded it, or it could not say that it lives."""


class RunBusyError(Exception):
    """Another run is on; the text says whose."""


def clock() -> float:
    """Return the seconds since this machine was started: nobody sets them, and they pass while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class OwnRun:
    """A run that was begun, see begin(); a context manager that tells every few seconds that it lives.

    Left without end(), the run stays as it is, with what it has closed: until a call that may have been on its way has
    come to nothing, nobody must rely on that. See supersede().
    """

    def __init__(self, driver: StorageDriver, run: Run, spoken: float) -> None:
        self._driver = driver
        self._run = run
        self._spoken = spoken
        self._speaking = threading.RLock()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._beat, name="garbage collection", daemon=True)

    @property
    def number(self) -> int:
        """The number of the run."""
        return self._run.number

    @property
    def is_open(self) -> bool:
        """Whether nothing is closed."""
        return self._run.closed == Closed()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def require(self) -> None:
        """Return if what cannot be undone may be begun now.

        Raises:
            RunLostError: another process has superseded this run.
            DriverError: it could not be said that this run lives.
        """
        if self._failure:
            raise self._failure
        if clock() - self._spoken > runs.PACE.reliance:
            self._speak(self._run)

    def while_held(self, found: Iterable[Found]) -> Iterator[Found]:
        """Yield each of `found`, right after require() has returned."""
        for each in found:
            self.require()
            yield each

    def close(self, phase: Phase, closed: Closed) -> None:
        """Say that writers have to wait for what is `closed`, and no longer for what was closed before.

        Raises:
            As require().
        """
        self.require()
        self._speak(replace(self._run, phase=phase, closed=closed))

    def open(self) -> None:
        """Say that nothing is closed."""
        if not self.is_open:
            self._speak(replace(self._run, closed=Closed()))

    def end(self) -> None:
        """Say that no run is on."""
        with self._speaking:
            self._speak(Run(self._run.number + 1, host=self._run.host))
            self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(runs.PACE.beat):
            try:
                with self._speaking:
                    if not self._ended.is_set():
                        self._speak(self._run)
            except (DriverError, RunLostError) as error:
                self._failure = error
                return

    def _speak(self, run: Run) -> None:
        """Replace what this run has said last by `run`, with the next beat."""
        with self._speaking:
            run = replace(run, beat=self._run.beat + 1)
            began = clock()
            try:
                self._driver.replace(paths.GC_RUN, run.dump(), expected=self._run.dump())
            except ChangedError:
                # A driver may have repeated a request whose answer was lost.
                if Runs(self._driver).content() != run.dump():
                    raise RunLostError("another garbage collection has taken over from this one") from None
            self._run, self._spoken = run, began


def begin(
    driver: StorageDriver,
    host: str,
    before_announcing: Callable[[], object] = lambda: None,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> OwnRun:
    """Announce a run of `host`, any text; one that is dead is superseded, after a while.

    What `before_announcing` sees in the storage was there before the run, and after all others had ended.

    Raises:
        RunBusyError: another one is on.
        DriverError: the storage does not answer, or cannot be relied on.
    """
    before = _nobody_runs(driver, pause)
    # The object may have been lost, or may be an older one: no number that a writer may still know comes once more.
    reported = last_number(driver)
    number = max(parsed(before).number, reported + 1 if reported else 0) + 1
    before_announcing()
    run = Run(number, Phase.MARKING, host=f"{host}-{secrets.token_hex(4)}")
    spoken = clock()
    _take(driver, before, run)
    return OwnRun(driver, run, spoken)


def require_none(driver: StorageDriver, *, pause: Callable[[float], object] = time.sleep) -> None:
    """Return if no run is on; what a dead one has closed is opened, after a while.

    Where nothing can be written, as on a disk that is full, a dead one stays as it is.

    Raises:
        RunBusyError: one is on.
        DriverError: the storage does not answer.
    """
    seen = Runs(driver).content()
    if not parsed(seen).is_on:
        return
    if not _is_dead(driver, seen, pause):
        raise RunBusyError(f"a garbage collection is on ({parsed(seen).host})")
    try:
        _end_dead(driver, seen)
    except DriverError as error:
        _log.warning("what a dead garbage collection has closed stays so: %s", error)


def supersede(driver: StorageDriver, *, pause: Callable[[float], object] = time.sleep) -> bool:
    """Open what a dead run has closed; tell whether there was one.

    Raises:
        DriverError: the storage does not answer.
    """
    seen = Runs(driver).content()
    if seen is None or not parsed(seen).is_on or not _is_dead(driver, seen, pause):
        return False
    with suppress(RunBusyError):
        _end_dead(driver, seen)
        return True
    return False


def _end_dead(driver: StorageDriver, seen: bytes | None) -> None:
    run = parsed(seen)
    _take(driver, seen, Run(run.number + 1, host=run.host))
    _log.warning("the garbage collection of %s was cut short; what it had closed is open again", run.host)


def _nobody_runs(driver: StorageDriver, pause: Callable[[float], object]) -> bytes | None:
    """Return the object that is to be replaced, None if there is none."""
    now = test_storage(driver)
    seen = Runs(driver).content()
    if parsed(seen).is_on:
        # What was written a moment ago by the clock of the storage need not be watched.
        age = abs(now - driver.stat(paths.GC_RUN).modified)
        if age < runs.PACE.reliance or not _is_dead(driver, seen, pause):
            raise RunBusyError(f"a garbage collection is on ({parsed(seen).host})")
    return seen


def _is_dead(driver: StorageDriver, seen: bytes | None, pause: Callable[[float], object]) -> bool:
    for _ in range(_LOOKS):
        pause(runs.PACE.beat)
        if Runs(driver).content() != seen:
            return False
    return True


def test_storage(driver: StorageDriver) -> float:
    """Return what the clock of the storage says, in seconds since the epoch.

    Raises:
        DriverError: a notice that was put is not listed, or one that was deleted is. No run can rely on such a storage.
    """
    notice_id = Runs(driver).notify(Notice("", ()))
    path = paths.gc_notice(notice_id)
    now = driver.stat(path).modified
    is_listed = _is_listed(driver, notice_id)
    driver.delete(path)
    if not is_listed or _is_listed(driver, notice_id):
        raise DriverError(f"listings of {paths.GC_NOTICES} are not up to date: garbage cannot be told from what is new")
    return now


def _is_listed(driver: StorageDriver, notice_id: str) -> bool:
    return notice_id in objects_below(driver, paths.GC_NOTICES, is_notice, after=notice_id[:-1])


def _take(driver: StorageDriver, before: bytes | None, run: Run) -> None:
    try:
        if before is None:
            driver.create(paths.GC_RUN, run.dump())
        else:
            driver.replace(paths.GC_RUN, run.dump(), expected=before)
    except (ChangedError, PathExistsError):
        if Runs(driver).content() != run.dump():
            raise RunBusyError("another garbage collection has just begun") from None
