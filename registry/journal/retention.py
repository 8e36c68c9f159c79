"""How long the journal keeps entries: for a while after all consumers were given them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.journal.cursors import IDLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from drivers.log import Log
    from registry.journal.cursors import Cursors

_LEAST_SECONDS: Final = 3600.0
"""Log.trim() takes nothing younger."""
_LATE_SECONDS: Final = 3600.0
"""An entry that became visible late, or whose host has a clock that is behind, has a time before that up to which its
consumer is through, by less than this."""
_ALIVE_SECONDS: Final = 3 * IDLE_SECONDS
_FORGOTTEN_SECONDS: Final = 7 * 24 * 3600.0
"""How long a cursor stays whose consumer is in no configuration: somebody may be about to put it back."""


def trim(log: Log, cursors: Cursors, consumers: Collection[str], *, keep_seconds: float) -> None:
    """Delete entries that are older than `keep_seconds`, which is an hour at least, and that nobody waits for.

    An entry is waited for until each of `consumers` was given it, and whoever else has stored a cursor in the last
    quarter of an hour: hosts of a cluster may have configurations that differ for a while. Cursors that nobody has
    stored for a week are forgotten.

    Raises:
        DriverError: the storage fails.
    """
    now_ns = time.time_ns()
    kept_ns, late_ns = (int(seconds * 1e9) for seconds in (max(keep_seconds, _LEAST_SECONDS), _LATE_SECONDS))
    through_ns, missing = now_ns, set(consumers)
    for stored in cursors.all():
        silent_seconds = (now_ns - stored.stored_ns) / 1e9
        if stored.name in consumers or silent_seconds < _ALIVE_SECONDS:
            missing.discard(stored.name)
            # By a clock that was ahead: nothing tells what of that which was made since it was set back was given.
            is_of_future = stored.cursor.through_ns > now_ns + late_ns
            through_ns = min(through_ns, 0 if is_of_future else stored.cursor.through_ns)
        elif silent_seconds > _FORGOTTEN_SECONDS:
            with suppress(PathNotFoundError):
                cursors.delete(stored.name)
    if missing:  # a consumer without a cursor begins with the first entry that there is
        return
    log.trim(min(now_ns - kept_ns, through_ns - late_ns))
