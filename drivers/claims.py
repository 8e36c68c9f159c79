"""Claims on a medium without locks: objects that whoever has the claim writes again every few seconds.

The claim at ``a/b`` is the object ``a/b/<n>`` with the highest number. Who finds none creates ``a/b/1``. Who has seen
the same bytes in the highest one for SILENT_SECONDS, on its own clock, creates the next one and deletes those before.
So neither do clocks have to agree, nor is a conditional write needed other than create().

The holder writes its object only in place of what it wrote last. If that is no longer there, another has the claim;
and if it was not heard of for so long that another may have taken it over, it no longer relies on it. There may be two
if a process is stopped between a look at :attr:`Claim.held` and what it does then, or if the storage has let two create
one object.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, Claim, DriverError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.foundation.recent import RecentlyUsed
from registry.foundation.threads import LastingThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

SILENT_SECONDS: Final = 15.0
"""For how long a holder may not be heard of."""

BEAT_SECONDS: Final = 5.0
"""How often a holder is heard of."""

_LIMIT_BYTES: Final = 256
_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds; tests have them shorter."""

    beat: float = BEAT_SECONDS
    silent: float = SILENT_SECONDS


def _clock() -> float:
    """Return the seconds since this machine was started: nobody sets them, and they pass while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The claim that another has, and when its object was first seen to have these bytes."""

    number: int
    content: bytes
    since: float = field(compare=False)


class ObjectClaims:
    """The claims that this process asks `driver` for. One thread writes all that it has, while it has any."""

    def __init__(self, driver: StorageDriver, pace: Pace | None = None, *, clock: Callable[[], float] = _clock) -> None:
        self.driver: Final = driver
        self.clock: Final = clock
        self._pace = pace or Pace()
        self._seen: RecentlyUsed[str, _Seen] = RecentlyUsed()
        self._changed = Condition()
        self._held: set[_ObjectClaim] = set()
        self._beating = False

    def claim(self, path: str) -> Claim | None:
        """Do as StorageDriver.claim()."""
        numbers = self._numbers(path)
        if not numbers:
            return self._create(path, 1)
        seen = self._look(path, max(numbers))
        if seen is None or self.clock() - seen.since < self._pace.silent:
            return None
        claim = self._create(path, seen.number + 1)
        if claim:
            for number in numbers:
                with suppress(DriverError):  # it has a lower number, so it does no harm
                    self.driver.delete(_object(path, number))
        return claim

    def _numbers(self, path: str) -> list[int]:
        return [int(name) for name in self.driver.list(path, limit=_LISTED) if name.isascii() and name.isdecimal()]

    def _look(self, path: str, number: int) -> _Seen | None:
        """Return since when the object of that number is as it is now; None if it is gone."""
        now = self.clock()
        try:
            content = self.driver.get(_object(path, number), limit=_LIMIT_BYTES)
        except PathNotFoundError:
            return None
        except ObjectTooLargeError:
            content = b""  # no claim's
        seen, known = _Seen(number, content, now), self._seen.get(path)
        if known == seen:
            return known
        self._seen.put(path, seen)
        return seen

    def _create(self, path: str, number: int) -> Claim | None:
        claim = _ObjectClaim(self, _object(path, number), self.clock() + self._pace.silent)
        try:
            self.driver.create(claim.path, claim.content)
        except PathExistsError:
            # It may be this one, if the answer to the first attempt was lost.
            if not claim.is_stored():
                return None
        self._seen.drop(path)
        self._keep(claim)
        return claim

    def _keep(self, claim: _ObjectClaim) -> None:
        with self._changed:
            self._held.add(claim)
            begins, self._beating = not self._beating, True
        if begins:
            LastingThread("claims", self._beat, pause_seconds=self._pace.beat).begin()

    def drop(self, claim: _ObjectClaim) -> None:
        """Write the object of `claim` no more."""
        with self._changed:
            self._held.discard(claim)
            self._changed.notify()

    def _beat(self) -> None:
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: not self._held, self._pace.beat):
                    self._beating = False
                    return
                held = [*self._held]
            for claim in held:
                if not claim.renew(self.clock() + self._pace.silent):
                    self.drop(claim)


class _ObjectClaim(Claim):
    """The object at `path`, as this process has written it. By the clock of `claims` it holds until `_until`."""

    def __init__(self, claims: ObjectClaims, path: str, until: float) -> None:
        self.path = path
        self._claims = claims
        self._token = secrets.token_hex(16).encode()
        self.content = self._token + b" 0"
        """What was written last."""
        self._beats = 0
        self._until = until
        self._writing = Lock()
        self._ended = self._released = False

    @property
    def held(self) -> bool:
        return not self._ended and self._claims.clock() < self._until

    def is_stored(self) -> bool:
        """Tell whether the object is this process's, and take its bytes for those that were written last."""
        with suppress(PathNotFoundError, ObjectTooLargeError):
            content = self._claims.driver.get(self.path, limit=_LIMIT_BYTES)
            if content.startswith(self._token):
                self.content = content
                return True
        return False

    def renew(self, until: float) -> bool:
        """Write the object again, to be relied on until `until`; tell whether this is worth trying again."""
        with self._writing:
            if not self.held:
                return False
            self._beats += 1
            content = b"%b %d" % (self._token, self._beats)
            try:
                self._claims.driver.replace(self.path, content, expected=self.content)
            except ChangedError:
                # It may be what was written last, or now, if the answer was lost; then the next attempt tells.
                self._ended = not self._is_stored_or_unknown()
                return not self._ended
            except DriverError:
                return True
            self.content, self._until = content, until
            return True

    def _is_stored_or_unknown(self) -> bool:
        try:
            return self.is_stored()
        except DriverError:
            return True

    def release(self) -> None:
        self._claims.drop(self)
        with self._writing:
            if self._released:
                return
            self._ended = self._released = True
            # Where another has it by now, or the storage does not answer, that other one deletes what is left.
            with suppress(DriverError):
                self._delete()

    def _delete(self) -> None:
        try:
            self._claims.driver.delete_if(self.path, expected=self.content)
        except ChangedError:
            # The answer to the last attempt to write it may have been lost.
            if self.is_stored():
                self._claims.driver.delete_if(self.path, expected=self.content)


def _object(path: str, number: int) -> str:
    return f"{path}/{number}"
