"""How the garbage collections of a storage stand, as scripts read it: on a terminal and over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from registry.foundation.times import rfc3339
from registry.lifecycle.reports import KEPT, latest_reports
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.lifecycle.reports import Report
    from registry.storage.runs import Run


def status_of(driver: StorageDriver, most: int = KEPT) -> dict[str, object]:
    """Return the run that is on, None if none is, and what the last ones, `most` of them, have done, the latest first.

    Raises:
        DriverError: the storage does not answer.
    """
    return {"run": _told_of(Runs(driver).read()), "reports": [told(each) for each in latest_reports(driver, most)]}


def told(report: Report) -> dict[str, object]:
    """Return a report as scripts read it."""
    times = {name: getattr(report, name) for name in ("began", "ended", "next_deletion")}
    return asdict(report) | {name: rfc3339(at) if at else None for name, at in times.items()}


def _told_of(run: Run) -> dict[str, object] | None:
    if not run.is_on:
        return None
    closed = {"repository": run.closed.repository, "digests": sorted(run.closed.digests)}
    return {"number": run.number, "phase": run.phase, "host": run.host, "closed": closed}
