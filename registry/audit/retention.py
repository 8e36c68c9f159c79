"""What is too old, or too much, goes: the oldest segments of the audit log. The log itself says from where on it is."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.audit.record import SEGMENT, TRIM, day_of
from registry.audit.segments import Segment, Segments
from registry.audit.writer import beginning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.base import StorageDriver
    from registry.audit.writer import Writer
    from registry.config.events import Audit


class Retention:
    """Keeps the audit log within ``audit.keep``, by whole days, and ``audit.maxsize``, by segments.

    The last segment stays. The methods raise DriverError if the storage fails.
    """

    def __init__(self, driver: StorageDriver, section: Audit) -> None:
        self._driver = driver
        self._section = section
        self._segments = Segments(driver)
        self._sizes: dict[str, tuple[int, int]] = {}
        """By day: the number of the last segment that was counted, and the bytes of it and those before it."""

    def trim(self, writer: Writer, now_ns: int) -> None:
        """Delete what is too old or too much, after the log has said so.

        Raises:
            OutrunError: another process has written meanwhile; nothing was deleted.
        """
        last = writer.segment
        if last is None:
            return
        days = [*takewhile(lambda day: day <= last.day, self._segments.days())]
        oldest = day_of(max(0, now_ns - int(self._section.keep_seconds * 1e9)))
        kept = [day for day in days if day >= oldest or day == last.day]
        start, reason = self._start_within_size(kept, last, writer.segment_size), "maxsize"
        if start is None and kept != days:
            start, reason = next(self._segments.all(Segment(kept[0], 1))), "keep"
        # The directory of a day may be there without segments.
        if start is None or next(self._segments.all()) >= start:
            return
        seq, digest = beginning_of(self._segments.read(start))
        writer.note(TRIM, SEGMENT, now_ns, begins=str(start), seq=str(seq), hash=digest, reason=reason)
        self._delete_before(start)

    def _start_within_size(self, days: Sequence[str], last: Segment, last_size: int) -> Segment | None:
        """Return the first segment that may stay of those of `days`; None if all may."""
        surplus = last_size + sum(self._size_of(day, last) for day in days) - self._section.maxsize
        if surplus <= 0:
            return None
        for segment in self._segments.all(Segment(days[0], 1)):
            if surplus <= 0 or segment == last:
                return segment
            surplus -= self._segments.size(segment)
        return None

    def _size_of(self, day: str, last: Segment) -> int:
        """Return how many bytes the segments of a day have, but for the `last` one of all; each is asked for once."""
        number, size = self._sizes.get(day, (0, 0))
        for segment in self._segments.of_day(day, after=number):
            if segment < last:
                number, size = segment.number, size + self._segments.size(segment)
        self._sizes[day] = number, size
        return size

    def _delete_before(self, start: Segment) -> None:
        # The oldest first, one by one: whatever is left by a crash is one piece that ends where the log begins.
        for segment in takewhile(lambda each: each < start, self._segments.all()):
            with suppress(PathNotFoundError):
                self._driver.delete(segment.path)
        self._sizes = {day: counted for day, counted in self._sizes.items() if day > start.day}
