"""Sessions of the pages that have been logged out of one by one: a cookie that was copied is good no longer then."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from auth.base import RecordsError
from auth.identities.logouts import SEEN_SECONDS
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.base import Records

logger = logging.getLogger(__name__)

_ENDED: Final = "ended"
_DAY_SECONDS: Final = 86400
_SWEEP_SECONDS: Final = 3600
"""A process looks for records that are of no use any more with the first logout of each hour."""


class EndedSessions:
    """The sessions in the records ``ended/<day on which it has begun>/<id>``, which are empty.

    The day tells without reading them which records are of sessions that have ended by themselves: those are deleted.
    """

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._records: Records | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._swept: float | None = None
        self._going_on: RecentlyUsed[str, float] = RecentlyUsed()
        """By id: when there was no record of the session."""
        self._ended: RecentlyUsed[str, float] = RecentlyUsed()
        """By id: when it had begun, of what has ended; another thread may have found it going on just before."""

    def keep(self, records: Records) -> None:
        """Keep them in `records`; until this is called none has ended, and none can."""
        self._records = records

    def has(self, session: str, begun: float) -> bool:
        """Tell whether `session`, an id, which has begun at `begun`, in seconds since 1970, is one of them.

        Raises:
            ControllerError: it cannot be read.
        """
        if session in self._ended:
            return True
        if self._records is None:
            return False
        now, seen = self._monotonic(), self._going_on.get(session)
        if seen is not None and now - seen < SEEN_SECONDS:
            return False
        if self._records.get(_record(session, begun)) is None:
            self._going_on.put(session, now)
            return False
        self._ended.put(session, begun)
        return True

    def add(self, session: str, begun: float, lifetime: float) -> None:
        """End a session; none is good for longer than `lifetime` seconds.

        Raises:
            ControllerError: that cannot be written; then it has ended in this process alone.
        """
        self._ended.put(session, begun)
        if self._records is None:
            raise RecordsError("there is no storage to keep logouts in")
        self._records.put(_record(session, begun), b"")
        now = self._monotonic()
        if self._swept is None or now - self._swept >= _SWEEP_SECONDS:
            self._swept = now
            self._sweep(self._records, self._clock() - lifetime)

    def _sweep(self, records: Records, oldest: float) -> None:
        """Delete the records of sessions that have begun a day before `oldest`, or earlier; clocks differ."""
        try:
            for name in list(records.names(_ENDED)):
                day = name.split("/")[1]
                if not day.isdecimal() or int(day) < _day(oldest) - 1:
                    records.delete(name)
        except RecordsError as error:
            logger.warning("records of logouts that are of no use any more stay for now: %s", error)


def _record(session: str, begun: float) -> str:
    return f"{_ENDED}/{_day(begun)}/{session}"


def _day(seconds: float) -> int:
    return int(seconds // _DAY_SECONDS)
