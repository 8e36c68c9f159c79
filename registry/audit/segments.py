"""Where the lines of the audit log lie: in segments of about a mebibyte, each of lines that were begun on one day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import names_below, objects_below
from registry.storage.names import is_day, is_segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one segment: what is added to it at once is far less."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A segment; they are in the order of their lines. The day is ``YYYYMMDD``, the first number of a day is 1."""

    day: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Segment:
        """Return the segment that is called `text`, as str() gives it.

        Raises:
            ValueError: none is.
        """
        day, _, name = text.partition("/")
        if not (is_day(day) and is_segment(name)):
            raise ValueError(f"{text!r} is not a segment")
        return cls(day, int(name.partition(".")[0]))

    @property
    def path(self) -> str:
        """Where it lies."""
        return paths.audit_segment(self.day, self.name)

    @property
    def name(self) -> str:
        """Its name among those of its day."""
        return f"{self.number:06}.jsonl"

    def next(self, day: str) -> Segment:
        """Return the segment that follows this one, and is begun on `day`, or on that of this one if that is later."""
        return Segment(day, 1) if day > self.day else Segment(self.day, self.number + 1)

    def __str__(self) -> str:
        return f"{self.day}/{self.name}"


class Segments:
    """The segments in a storage. Every method raises DriverError if it fails."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def all(self, start: Segment | None = None) -> Iterator[Segment]:
        """Yield every segment in order, from `start` on if it is given; holds no more than a page of names."""
        if start:
            yield from self.of_day(start.day, after=start.number - 1)
        for day in self.days(after=start.day if start else ""):
            yield from self.of_day(day)

    def days(self, *, after: str = "") -> Iterator[str]:
        """Yield each day that has segments, of those after a day."""
        return names_below(self._driver, paths.AUDIT, is_day, after=after)

    def of_day(self, day: str, *, after: int = 0) -> Iterator[Segment]:
        """Yield the segments of a day in order, those after a number."""
        for name in objects_below(self._driver, paths.audit_day(day), is_segment, after=Segment(day, after).name):
            yield Segment.parse(f"{day}/{name}")

    def read(self, segment: Segment) -> bytes:
        """Return the lines of a segment; nothing if it has more than MOST_BYTES, which was never written.

        Raises:
            PathNotFoundError: there is no such segment any more.
        """
        try:
            return self._driver.get(segment.path, limit=MOST_BYTES)
        except ObjectTooLargeError:
            return b""

    def size(self, segment: Segment) -> int:
        """Return how many bytes a segment has; none if it is gone."""
        try:
            return self._driver.stat(segment.path).size
        except PathNotFoundError:
            return 0
