"""A log on a medium that cannot append: an object for each record, under a name that begins with the record's time.

The objects of a log lie in prefixes of an hour each::

    <log>/<hours since 1970, 7 digits>/<time in nanoseconds, 19 digits>-<16 hex digits>

A reader lists what follows a time. An object may become visible after another of a later time, by as much as the clocks
of hosts differ, so a position says: a time before which every record was given, a time up to which names were listed,
and which records were given of what follows the first one.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import tee
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError, UnavailableError
from drivers.log import LATE_SECONDS, MOST_BYTES, Log, Page, Record, checked_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_SKEW_SECONDS: Final = 900
"""How far the clocks of hosts may be apart; S3 takes no request of one that is further off."""
_WINDOW_NS: Final = int(LATE_SECONDS + _SKEW_SECONDS) * 1_000_000_000
"""Whatever has a time that is longer ago is visible."""
_RECENT_NS: Final = 60 * 1_000_000_000
"""Nearly all that becomes visible late has a time that is not longer ago, and is looked for each time."""
_ROUND_NS: Final = 30 * 1_000_000_000
"""How often all of the window is looked through where it has many records."""
_FEW: Final = 500
"""So many names, and some more that are new, cost one listing."""
_HOUR_NS: Final = 3600 * 1_000_000_000
_ATTEMPTS: Final = 3
"""How often a record is put that becomes visible too late."""
_MOST_NAMES: Final = 1000
"""Names that are listed at once."""
_log = logging.getLogger(__name__)

_HOUR: Final = re.compile(r"[0-9]{7}")
_NAME: Final = re.compile(r"[0-9]{19}-[0-9a-f]{16}")
_POSITION: Final = re.compile(r"([0-9]{1,19}) ([0-9]{1,19}) ((?:[0-9]{10}[0-9a-f]{6})*)")
_KEY_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class _Position:
    """Every record with a time before `at` was given, and those with the keys `given` of what follows.

    Names were listed up to the time `through`; what has a time before that may have become visible since.
    """

    at: int = 0
    through: int = 0
    given: frozenset[str] = frozenset()

    @classmethod
    def load(cls, text: str) -> _Position:
        """Return the position of that text; the first one if it is "" or that of another medium."""
        match = _POSITION.fullmatch(text)
        if not match:
            return cls()
        at, through, keys = match.groups()
        return cls(int(at), int(through), frozenset(keys[i : i + _KEY_SIZE] for i in range(0, len(keys), _KEY_SIZE)))

    def dump(self) -> str:
        return f"{self.at} {self.through} {''.join(sorted(self.given))}"

    def start(self, now_ns: int) -> int:
        """Return the time from which on names are to be listed now."""
        if len(self.given) < _FEW or now_ns - self.at >= _WINDOW_NS + _ROUND_NS:
            return self.at
        return max(self.at, min(self.through, now_ns - _RECENT_NS))

    def given_since(self, time_ns: int) -> frozenset[str]:
        """Return the keys of the records that were given and are not older."""
        first_us = self.at // 1000
        passed_us = time_ns // 1000 - first_us
        return frozenset(key for key in self.given if (int(key[:10]) - first_us) % 10**10 >= passed_us)


class ObjectLog(Log):
    """The log of `driver` at `path`. Any process may use any number of them."""

    def __init__(self, driver: StorageDriver, path: str) -> None:
        self._driver = driver
        self._path = path
        self._has_told = False

    def append(self, content: bytes) -> int:
        checked_content(content)
        for _ in range(_ATTEMPTS):
            began, time_ns = time.monotonic(), time.time_ns()
            self._driver.put(self._object(f"{time_ns:019}-{secrets.token_hex(8)}"), content)
            # A reader may have passed the time of a record that was put too late, or by a clock that has since been set
            # back: it is put once more, under a new time, and may be given twice.
            by_clock = (time.time_ns() - time_ns) / 1e9
            if 0 <= by_clock < LATE_SECONDS and time.monotonic() - began < LATE_SECONDS:
                return time_ns
        raise UnavailableError(f"{self._driver.name}: append {self._path}: each put takes {LATE_SECONDS:.0f} s or more")

    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        now_ns = time.time_ns()
        old = _Position.load(position)
        if old.at > now_ns - _WINDOW_NS // 2:
            # The clock was ahead: what was appended since it was set back may have any time before that one. Records
            # are rather given twice than never.
            old = _Position()
        start_ns = old.start(now_ns)
        records: list[Record] = []
        given: list[str] = []
        end_ns, size = before_ns, 0
        names, ahead = tee(self._names(old, start_ns, before_ns, limit + len(old.given)))
        # It reads a few objects ahead, so a page may cost that many more than it has.
        contents = self._driver.get_each(map(self._object, ahead), limit=MOST_BYTES)
        with closing(contents):  # type: ignore[type-var]  # the contract has it, Iterator does not
            for name, content in zip(names, contents, strict=False):
                size += len(content or b"")
                if records and size > MOST_BYTES:
                    end_ns = _time_of(name)
                    break
                if content is None:  # gone, too long, or not to be had yet: it is looked for until all is visible
                    continue
                given.append(name)
                records.append(Record(_time_of(name), content))
                if len(records) == limit:
                    end_ns = _time_of(name)
                    break
        at = old.at
        if start_ns == at:  # all of the window was looked through, up to `end_ns`
            at = max(at, min(now_ns - _WINDOW_NS, end_ns))
        keys = old.given_since(at).union(_key_of(name) for name in given if _time_of(name) >= at)
        return Page(records, _Position(at, max(end_ns, 0), keys).dump())

    def count(self, position: str) -> int:
        known = _Position.load(position)
        return sum(1 for _ in self._names(known, known.start(time.time_ns()), None, _MOST_NAMES))

    def trim(self, before_ns: int) -> None:
        for hour in self._hours(0):
            if hour >= before_ns // _HOUR_NS:
                break
            with suppress(PathNotFoundError):  # another process has deleted it
                self._driver.delete(self._prefix(hour))
        self._tell_of_future()

    def _tell_of_future(self) -> None:
        now_hour = time.time_ns() // _HOUR_NS
        for hour in self._driver.list_prefixes(self._path, after=f"{now_hour + 1:07}", limit=_MOST_NAMES):
            if _HOUR.fullmatch(hour) and not self._has_told:
                self._has_told = True
                _log.warning(
                    "%s: %s/%s was made by a clock that is %d hours ahead: its records are given in that time",
                    self._driver.name,
                    self._path,
                    hour,
                    int(hour) - now_hour,
                )

    def _names(self, position: _Position, start_ns: int, before_ns: int | None, at_once: int) -> Iterator[str]:
        """Yield the names of records from `start_ns` on up to a time, in order, that were not given by `position`.

        `at_once` are listed at a time.
        """
        at_once = min(at_once, _MOST_NAMES)
        for hour in self._hours_between(start_ns, before_ns):
            last, full = f"{start_ns:019}", True
            while full:
                found = self._driver.list(self._prefix(hour), after=last, limit=at_once)
                full = len(found) == at_once
                for name in filter(_NAME.fullmatch, found):
                    if before_ns is not None and _time_of(name) >= before_ns:
                        return
                    if _key_of(name) not in position.given:
                        yield name
                last = found[-1] if found else ""

    def _hours_between(self, at: int, before_ns: int | None) -> Iterator[int]:
        """Yield the hours in which there may be records from `at` on; one or two are not looked for."""
        first = at // _HOUR_NS
        if before_ns is not None and before_ns // _HOUR_NS <= first + 1:
            yield from range(first, before_ns // _HOUR_NS + 1)
        else:
            yield from self._hours(first)

    def _hours(self, first: int) -> Iterator[int]:
        """Yield the hours of which there are records, from `first` on, in order."""
        last, full = f"{max(first - 1, 0):07}", True
        while full:
            found = self._driver.list_prefixes(self._path, after=last, limit=_MOST_NAMES)
            full = len(found) == _MOST_NAMES
            yield from map(int, filter(_HOUR.fullmatch, found))
            last = found[-1] if found else ""

    def _prefix(self, hour: int) -> str:
        return f"{self._path}/{hour:07}"

    def _object(self, name: str) -> str:
        return f"{self._prefix(_time_of(name) // _HOUR_NS)}/{name}"


def _time_of(name: str) -> int:
    return int(name[:19])


def _key_of(name: str) -> str:
    """Return what a record is known by in a position: microseconds, of 10,000 seconds, and 24 random bits."""
    return name[6:16] + name[20:26]
