"""The contract of a log: records that any number of processes append, read in the order of their times.

It needs nothing that an object store does not have: a medium that cannot append may keep an object for each record.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one record; and of all that one call returns, unless one record alone has more."""

LATE_SECONDS: Final = 10.0
"""By its own clock, an append that returns has made its record visible to readers within this time of the record's."""


class Record(NamedTuple):
    """A record: when it was appended, in nanoseconds since 1970 by its writer's clock, and what was appended."""

    time_ns: int
    content: bytes


class Page(NamedTuple):
    """Some of the records of a log, in the order of their times, and the position behind them."""

    records: list[Record]
    position: str


class Log(ABC):
    """The log at one path. An instance belongs to a process, and is made after the fork; its threads share it.

    Every method raises DriverError for a failure of the medium, as those of the driver do.
    """

    @abstractmethod
    def append(self, content: bytes) -> int:
        """Add a record, and return its time, which lies within this call. When this returns, the record is durable.

        Those of one log that do not overlap have times in their order, unless the clock is set back in between. An
        append that fails may have added the record.

        Raises:
            ValueError: `content` has a line break, or more than MOST_BYTES.
            NoSpaceError: the medium is full. What others append is not hurt by what this call has left behind.
        """

    @abstractmethod
    def after(self, position: str, *, before_ns: int, limit: int) -> Page:
        """Return the first records, at most `limit`, of those behind `position` whose time is less than `before_ns`.

        ``""`` is the position before the first record. Who calls again and again, each time with the position of the
        page before, is given every record at least once; one that became visible late is given late, behind others of
        a later time. A page without records says that there are no more for now. Its position may be a new one, with
        which the next call costs less; nothing is lost if it is not stored.

        A position is text, in ASCII, that may be stored and used by another process. A text that is not a position of
        this log, such as one of another driver's, is the position before the first record.

        What cannot be read as a record, such as the end of one that a crash has cut off, is passed over.
        """

    @abstractmethod
    def count(self, position: str) -> int:
        """Return how many records there are behind `position`, about: some may come or go meanwhile."""

    @abstractmethod
    def trim(self, before_ns: int) -> None:
        """Delete records whose time is less than `before_ns`; some may stay, and no other record goes.

        `before_ns` is at least an hour ago: a writer may still be appending to what is younger. A log that has records
        of a time to come, which are not given before that, is told of in the process's log, once for each instance.
        """


def checked_content(content: bytes) -> bytes:
    """Return `content` if it may be appended to a log.

    Raises:
        ValueError: it has a line break, or more than MOST_BYTES.
    """
    if len(content) > MOST_BYTES or b"\n" in content:
        raise ValueError(f"a record is one line of at most {MOST_BYTES} bytes, not {content[:20]!r} and so on")
    return content
