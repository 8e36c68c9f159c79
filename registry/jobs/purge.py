"""Work that one process of a host does for all of them: clearing away abandoned uploads.

Every worker has a thread that waits to be elected; a POSIX record lock on a file that they inherit from the
server elects one and, when that one dies, another. Hosts of a cluster need no election: to look twice for
abandoned uploads costs a little, and to delete one twice is nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError

if TYPE_CHECKING:
    from registry.config.values import UploadPurging
    from registry.ports import Repositories

_ELECTION_SECONDS: Final = 30
_LONGEST_DELAY_SECONDS: Final = 3600
_log = logging.getLogger(__name__)


class Election:
    """Elects one of the processes that are forked after it was made."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("registry-election")

    def won(self) -> bool:
        """Tell whether this process is the elected one, for as long as it lives."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def wait(self) -> None:
        """Return when this process is the elected one."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)


def start(election: Election, repositories: Repositories, section: UploadPurging) -> None:
    """Purge uploads as the ``uploadpurging`` section says, if and when this process is elected."""
    if section.enabled:
        threading.Thread(target=_run, args=(election, repositories, section), name="purge", daemon=True).start()


def purge(repositories: Repositories, section: UploadPurging) -> int:
    """Delete the uploads that were started too long ago; return how many."""
    before = datetime.now(UTC) - timedelta(seconds=section.age_seconds)
    purged = 0
    for name, upload_id in repositories.abandoned_uploads(before=before):
        if not section.dryrun:
            repositories.open(name).uploads.discard(upload_id)
        purged += 1
    if not section.dryrun:
        purged += repositories.purge_leftovers(before=before)
    _log.info("purged uploads", extra={"purged": purged, "dryrun": section.dryrun, "before": before.isoformat()})
    return purged


def _run(election: Election, repositories: Repositories, section: UploadPurging) -> None:
    while not election.won():
        time.sleep(_ELECTION_SECONDS)
    delay = random.uniform(0, min(section.interval_seconds, _LONGEST_DELAY_SECONDS))  # noqa: S311  spreads load only
    _log.info("Starting upload purge in %.0f s", delay, extra={"pid": os.getpid()})
    time.sleep(delay)
    while True:
        try:
            purge(repositories, section)
        except DriverError as error:
            _log.warning("the purge of uploads broke off: %s", error)
        time.sleep(max(section.interval_seconds, 1))
