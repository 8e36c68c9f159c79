"""Clears away abandoned uploads.

Hosts of a cluster may do it at the same time: to look for abandoned uploads twice costs little, and to delete one twice
does no harm.
"""

from __future__ import annotations

import logging
import os
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.jobs.job import Job, JobFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.config.values import UploadPurging
    from registry.ports import Repositories

_LONGEST_DELAY_SECONDS: Final = 3600
_log = logging.getLogger(__name__)


def jobs(
    repositories: Repositories, section: UploadPurging, also: Sequence[Callable[[], object]] = ()
) -> Iterator[Job]:
    """Yield the job that purges uploads as the ``uploadpurging`` section says; none if that is not enabled.

    It calls `also`, too, which clear away what else may have been left behind.
    """
    if section.enabled:
        yield Job(
            name="purge",
            run=partial(_run, repositories, section, also),
            interval_seconds=max(section.interval_seconds, 1),
            first_pause=partial(_first_pause, section),
        )


def purge(repositories: Repositories, section: UploadPurging) -> int:
    """Delete the uploads that were started too long ago; return how many.

    One that does not say when it was started is as old as this look at it, so that a later one finds it.
    """
    before = datetime.now(UTC) - timedelta(seconds=section.age_seconds)
    purged = 0

    def date(name: str, upload_id: str) -> None:
        if not section.dryrun:
            repositories.open(name).uploads.date(upload_id)

    for name, upload_id in repositories.abandoned_uploads(before=before, undated=date):
        if not section.dryrun:
            repositories.open(name).uploads.discard(upload_id)
        purged += 1
    if not section.dryrun:
        purged += repositories.purge_leftovers(before=before)
    _log.info("purged uploads", extra={"purged": purged, "dryrun": section.dryrun, "before": before.isoformat()})
    return purged


def _first_pause(section: UploadPurging) -> float:
    pause = random.uniform(0, min(section.interval_seconds, _LONGEST_DELAY_SECONDS))  # noqa: S311  spreads load only
    _log.info("Starting upload purge in %.0f s", pause, extra={"pid": os.getpid()})
    return pause


def _run(repositories: Repositories, section: UploadPurging, also: Sequence[Callable[[], object]]) -> None:
    try:
        purge(repositories, section)
        for clear in () if section.dryrun else also:
            clear()
    except DriverError as error:
        raise JobFailedError(f"the purge of uploads broke off: {error}") from error
