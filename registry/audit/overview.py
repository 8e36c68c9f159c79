"""What of the audit log waits, as far as the storage tells, for people who ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from registry.audit.consumer import NAME
from registry.audit.head import Head
from registry.audit.outputs import configured
from registry.audit.segments import Segments
from registry.audit.told import Told
from registry.journal.reader import Reader
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.config.events import Audit

_PAGE: Final = 1000
_SECOND_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many `lines` an output has still to be told, and when the first was recorded, in nanoseconds since 1970.

    `oldest_ns` is 0 where none waits. `has_begun` is false for an output that no registry has told anything of yet.
    """

    name: str
    lines: int = 0
    oldest_ns: int = 0
    has_begun: bool = True


def unrecorded_ns(driver: StorageDriver) -> int:
    """Return when the first change was made that the log does not have yet, in nanoseconds since 1970; 0 for none.

    Raises:
        DriverError: the storage cannot be read.
    """
    head = Head.load(driver) or Head.of_cursor(driver) or Head()
    reader = Reader(driver.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0.0)
    page = reader.page(head.position, limit=_PAGE)
    while page.full and not page.entries:
        page = reader.page(page.position, limit=_PAGE)
    return page.entries[0].time_ns if page.entries else 0


def backlogs(section: Audit, driver: StorageDriver) -> Iterator[Backlog]:
    """Yield what waits for each output besides the storage.

    Raises:
        DriverError: the storage cannot be read.
    """
    head = Head.load(driver) or Head()
    for name, _ in configured(section):
        told = Told.load(driver, name)
        if told is None:
            yield Backlog(name, has_begun=False)
        elif head.seq <= told.seq:
            yield Backlog(name)
        else:
            yield Backlog(name, head.seq - told.seq, _oldest_ns(driver, told))


def _oldest_ns(driver: StorageDriver, told: Told) -> int:
    for _, lines in told.following(Segments(driver)):
        recorded = datetime.fromisoformat(str(lines[0].record["time"]))
        return int(recorded.timestamp()) * _SECOND_NS
    return 0
