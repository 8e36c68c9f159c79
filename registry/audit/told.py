"""Up to where an output besides the storage was told the audit log, and what it has still to be told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.audit.segments import Segment, Segments
from registry.audit.writer import lines_of
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.audit.chain import Line

_LIMIT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Told:
    """The number of the line up to which an output was told, and the segment that this is in."""

    seq: int
    segment: str

    @classmethod
    def load(cls, driver: StorageDriver, name: str) -> Told | None:
        """Return what is stored for the output called `name`; None if there is nothing that can be read.

        Raises:
            DriverError: the storage fails.
        """
        try:
            content = json.loads(driver.get(paths.audit_told(name), limit=_LIMIT_BYTES))
            segment = str(content["segment"])
            if segment:
                Segment.parse(segment)
            return cls(int(content["seq"]), segment)
        except (PathNotFoundError, ObjectTooLargeError, RecursionError, ValueError, OverflowError, KeyError, TypeError):
            return None

    def store(self, driver: StorageDriver, name: str) -> None:
        """Store it for the output called `name`, in place of what there was.

        Raises:
            DriverError: the storage fails.
        """
        driver.put(paths.audit_told(name), json.dumps(asdict(self)).encode())

    def following(self, segments: Segments) -> Iterator[tuple[Segment, list[Line]]]:
        """Yield the lines of each of the `segments` that the output was not told, where there are any.

        Raises:
            DriverError: the storage fails.
        """
        start = Segment.parse(self.segment) if self.segment else None
        for segment in segments.all(start):
            new = [line for line in lines_of(segments.read(segment)) if line.seq > self.seq]
            if new:
                yield segment, new
