"""Reads the audit log, and what is in the journal and not in the log yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drivers.base import PathNotFoundError
from registry.audit.consumer import NAME
from registry.audit.head import Head
from registry.audit.record import day_of, record_of
from registry.audit.segments import Segment, Segments
from registry.audit.writer import lines_of, marked_position
from registry.foundation import times
from registry.journal.reader import Reader
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import StorageDriver
    from registry.foundation.globs import Glob

_PAGE: Final = 500
_DAY_NS: Final = 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are wanted; what is None is of no account. Times are in nanoseconds since 1970."""

    since_ns: int | None = None
    until_ns: int | None = None
    user: str | None = None
    repositories: Glob | None = None
    action: str | None = None
    outcome: str | None = None

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record is wanted."""
        # What is counted has happened from `since` on, and was written at `time`.
        last = str(record.get("time", ""))
        first = str(record.get("since", last))
        return (
            (self.since_ns is None or last >= times.spell(self.since_ns))
            and (self.until_ns is None or first < times.spell(self.until_ns))
            and self.user in {None, record.get("actor"), record.get("claimed_user")}
            and (self.repositories is None or self.repositories.matches(str(record.get("repository", ""))))
            and self.action in {None, record.get("action")}
            and self.outcome in {None, record.get("outcome")}
        )


def records(driver: StorageDriver, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    """Yield the records that are `wanted`, the oldest first.

    One that is not in the log yet has no ``seq`` and no ``hash``. Holds no more than a segment at once.

    Raises:
        DriverError: the storage cannot be read; as the iterator goes on, too.
    """
    return filter(wanted.takes, _all(driver, wanted.since_ns))


def _all(driver: StorageDriver, since_ns: int | None) -> Iterator[Mapping[str, Any]]:
    segments = Segments(driver)
    # A segment may have lines of the day after that on which it was begun.
    start = None if since_ns is None else Segment(day_of(max(0, since_ns - _DAY_NS)), 1)
    head = Head.load(driver)
    position = head.position if head else ""
    for segment in segments.all(start):
        try:
            content = segments.read(segment)
        except PathNotFoundError:  # it was deleted after it was listed
            continue
        for line in lines_of(content):
            yield {**line.record, "hash": line.hash}
        position = marked_position(content) or position
    reader = Reader(driver.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0.0)
    full = True
    while full:
        page = reader.page(position, limit=_PAGE)
        for each in page.entries:
            yield record_of(*each)
        position, full = page.position, page.full
