"""When users have logged out everywhere, which ends the sessions that they have begun before, on every host."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Final

from auth.base import ControllerError, RecordsError
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.base import Records

SEEN_SECONDS: Final = 5.0
"""For how long this process believes what it has read: so long a session may outlive its end on another host."""

_MEMBER: Final = "notbefore"


class Logouts:
    """The last time that each user has logged out everywhere, in the records ``logouts/<label of the user>``."""

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._records: Records | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._read: RecentlyUsed[str, tuple[float, float]] = RecentlyUsed()
        """By user: when it was read, and what it was."""

    def keep(self, records: Records) -> None:
        """Keep them in `records`; until this is called nobody has logged out, and nobody can."""
        self._records = records

    def ended(self, user: str, begun: float) -> bool:
        """Tell whether a session of `user` that has begun at `begun`, in seconds since 1970, was ended so.

        Raises:
            ControllerError: it cannot be read.
        """
        if self._records is None:
            return False
        now = self._monotonic()
        read = self._read.get(user)
        if read is None or now - read[0] >= SEEN_SECONDS:
            read = now, _parse(self._records.get(_record(user)))
            self._read.put(user, read)
        return begun <= read[1]

    def end(self, user: str) -> None:
        """End the sessions of `user` that have begun by now.

        Raises:
            ControllerError: that cannot be written.
        """
        if self._records is None:
            raise RecordsError("there is no storage to keep logouts in")
        at = self._clock()
        self._records.put(_record(user), json.dumps({"user": user, _MEMBER: at}).encode())
        self._read.put(user, (self._monotonic(), at))


def label(user: str) -> str:
    """Return what stands for `user` in the names of records: names of users may have any characters."""
    return hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()[:32]


def _record(user: str) -> str:
    return f"logouts/{label(user)}"


def _parse(content: bytes | None) -> float:
    if content is None:
        return 0.0
    try:
        return float(json.loads(content)[_MEMBER])
    except (ValueError, KeyError, TypeError) as error:
        raise ControllerError(f"the record of a logout cannot be read: {error!r}") from error
