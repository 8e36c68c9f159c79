"""Reads the journal on behalf of one of those that are given its entries."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.journal.entry import Entry, EntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from drivers.log import Log, Record

NEAR: Final = frozenset({"filesystem", "inmemory"})
"""The drivers of which a look at the journal costs no request to another server."""

_PAGE: Final = 1000
"""Entries that are read at once where all of them are."""
_log = logging.getLogger(__name__)


class Delivered(NamedTuple):
    """An entry, and when it was made: nanoseconds since 1970, by the clock of the host that made it."""

    time_ns: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, in the order of their times, and the position behind them.

    Every entry of a time before `through_ns` was given by now, apart from what became visible late. If the page is
    `full` there may be more, which can be had at once; it may have no entries then, if they are those of others.
    """

    entries: list[Delivered]
    position: str
    through_ns: int
    full: bool


class Reader:
    """Gives the entries in `log` that name the consumer `name`.

    `hold_seconds` tells how old an entry has to be to be given: where several hosts add to the log, one of an earlier
    time may become visible after one of a later time.
    """

    def __init__(self, log: Log, name: str, *, hold_seconds: Callable[[], float]) -> None:
        self._log = log
        self._name = name
        self._hold_seconds = hold_seconds
        self._has_warned = False

    def page(self, position: str, *, limit: int) -> Page:
        """Return the first entries behind `position`, after a look at `limit` records at most.

        What does not name the consumer is passed over, as are records that are not entries. ``""`` is the position
        before all entries.

        Raises:
            DriverError: the journal cannot be read.
        """
        before_ns = time.time_ns() - int(self._hold_seconds() * 1e9)
        records, following = self._log.after(position, before_ns=before_ns, limit=limit)
        return Page(
            entries=[each for each in self._decoded(records) if self._name in each.entry.consumers],
            position=following,
            through_ns=records[-1].time_ns if records else before_ns,
            full=bool(records),
        )

    def waiting(self, position: str) -> int:
        """Return how many entries there are behind `position`, about; those of other consumers count, too.

        Raises:
            DriverError: the journal cannot be read.
        """
        return self._log.count(position)

    def since(self, time_ns: int) -> Iterator[Delivered]:
        """Yield every entry that the journal still has and that was made at `time_ns` or later, whomever it names.

        An entry may be given twice. Holds no more than some entries at once.

        Raises:
            DriverError: the journal cannot be read; as the iterator goes on, too.
        """
        position, until_ns = "", time.time_ns()
        while True:
            records, position = self._log.after(position, before_ns=until_ns, limit=_PAGE)
            if not records:
                return
            yield from self._decoded(record for record in records if record.time_ns >= time_ns)

    def _decoded(self, records: Iterable[Record]) -> Iterator[Delivered]:
        for time_ns, content in records:
            try:
                yield Delivered(time_ns, Entry.decode(content))
            except EntryError as error:
                self._warn(error)

    def _warn(self, error: EntryError) -> None:
        """Say it once: what another version or another program has written is met again and again."""
        if not self._has_warned:
            self._has_warned = True
            _log.warning("the journal has a record that is passed over: %s", error)
