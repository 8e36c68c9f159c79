"""What each run of a garbage collection has done, kept in the storage for all hosts."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drivers.base import StorageDriver

KEPT: Final = 30
"""How many reports stay."""
_LIMIT_BYTES: Final = 64 * 1024


class Result(StrEnum):
    """How a run has ended."""

    DONE = "done"
    DRY_RUN = "dry run"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has found and done. Times are in seconds since 1970 by the clock of its host, sizes in bytes.

    Links to manifests and to blobs are condemned: nobody can pull by them any more, and for the grace a push finds them
    again. `waiting` is what is condemned and not deleted yet, after the run; it may be deleted from `next_deletion` on,
    by the run that comes then, None if nothing waits. `unlinked` are blobs without any link, for which the same holds.
    Links that an earlier run had condemned, and to which something leads again, are `restored`.
    In a dry run, and where a run was refused, everything is what would have been.
    """

    run: int
    host: str
    began: float
    ended: float = 0.0
    result: Result = Result.DONE
    reason: str = ""
    stored_blobs: int = 0
    stored_bytes: int = 0
    condemned_manifests: int = 0
    condemned_blobs: int = 0
    deleted_blobs: int = 0
    deleted_bytes: int = 0
    waiting_blobs: int = 0
    waiting_bytes: int = 0
    unlinked_blobs: int = 0
    unlinked_bytes: int = 0
    next_deletion: float | None = None
    notices: int = 0
    restored: int = 0

    @staticmethod
    def load(content: bytes) -> Report:
        """Return the report that was written so; what a later version has added is passed over.

        Raises:
            ValueError: it is something else.
        """
        try:
            return Report.of(json.loads(content))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error!r}") from error

    @staticmethod
    def of(told: Mapping[str, Any]) -> Report:
        """Return the report with these values, as asdict() gives them."""
        known = {name: told[name] for name in Report.__slots__ if name in told}
        return Report(**{**known, "result": Result(told["result"])})


def write_report(driver: StorageDriver, report: Report) -> None:
    """Keep `report`, and delete those that are too many.

    Raises:
        DriverError: it could not be written.
    """
    driver.put(paths.gc_report(report.run), json.dumps(asdict(report)).encode())
    numbers = list(_numbers(driver))
    for number in numbers[: max(0, len(numbers) - KEPT)]:
        with suppress(PathNotFoundError):
            driver.delete(paths.gc_report(number))


def latest_reports(driver: StorageDriver, number: int) -> list[Report]:
    """Return the latest reports, at most `number`, the last one first; what cannot be read is passed over.

    Raises:
        DriverError: the storage does not answer.
    """
    return list(_latest(driver, number))


def last_number(driver: StorageDriver) -> int:
    """Return the number of the latest run that has left a report, 0 if none has.

    Raises:
        DriverError: the storage does not answer.
    """
    return max(_numbers(driver), default=0)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, and when: `at` is in seconds since 1970 by the clock of the storage."""

    report: Report
    at: float


def ended(driver: StorageDriver) -> Iterator[Ended]:
    """Yield the runs that have ended, of those whose reports are kept, the last one first; each is read when it is due.

    Raises:
        DriverError: the storage does not answer.
    """
    for report in _latest(driver, KEPT):
        with suppress(PathNotFoundError):
            yield Ended(report, driver.stat(paths.gc_report(report.run)).modified)


def _latest(driver: StorageDriver, number: int) -> Iterator[Report]:
    for run in reversed(deque(_numbers(driver), maxlen=number)):
        with suppress(PathNotFoundError, ObjectTooLargeError, ValueError):
            yield Report.load(driver.get(paths.gc_report(run), limit=_LIMIT_BYTES))


def _numbers(driver: StorageDriver) -> Iterator[int]:
    names = objects_below(driver, paths.GC_REPORTS, is_report)
    return (int(name.partition(".")[0]) for name in names)
