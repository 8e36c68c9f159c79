"""Passwords of the users of directories, remembered for a while and slowed down after failures."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auth.base import ThrottledError
from auth.identities.members import SourceDownError
from registry.foundation.recent import RecentlyUsed
from registry.foundation.shared_set import SharedSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from auth.base import Request
    from auth.headers import Credentials
    from auth.identities.ldap.directory import Directory
    from auth.identities.members import Member, Members
    from auth.identities.throttle import FailureThrottle

logger = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 32
"""How many passwords a process has checked at a time: each takes a thread for as long as a directory takes."""


@dataclass(frozen=True, slots=True)
class _Match:
    """Whose a password is, and when that was found."""

    member: Member
    directory: Directory
    at: float


class DirectoryPasswords:
    """Asks `directories`, in their order, whose a password is.

    A password that was right is not asked for again for as long as its directory's answers are believed; while no
    server of the directory answers, for as long as its grace. Remembered is a keyed digest.
    """

    def __init__(
        self,
        directories: Sequence[Directory],
        members: Members,
        throttle: FailureThrottle,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directories = directories
        self._members = members
        self._throttle = throttle
        self._clock = clock
        self._sleep = sleep
        self._key = secrets.token_bytes(32)
        self._matched: RecentlyUsed[bytes, _Match] = RecentlyUsed()
        self._proven = SharedSet()
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def share(self, proven: SharedSet) -> None:
        """Keep in `proven` what was right; see PasswordFile.share()."""
        self._proven = proven

    def whose(self, credentials: Credentials, request: Request) -> Member | None:
        """Return whose the password is, None if it is nobody's.

        Raises:
            ThrottledError: too many attempts of this user from this address failed, or too many wait.
            SourceDownError: a directory that might know does not answer.
            ControllerError: what it says cannot be recorded.
        """
        if not credentials.password or not self._directories:
            return None
        # A name has no zero byte that a directory would take, so no two pairs run together alike.
        text = credentials.user.encode(errors="surrogatepass") + b"\0" + credentials.password
        digest = hmac.digest(self._key, text, "sha256")
        match = self._matched.get(digest)
        if match and self._clock() - match.at < match.directory.cache_seconds:
            return self._still(match, request)
        address, user, is_guess = request.remote_address, credentials.user, text not in self._proven
        delay = self._throttle.delay_seconds(address, user) if is_guess else None
        request.before_waiting()
        if delay:
            self._sleep(delay)
        try:
            with self._turn():
                if is_guess:  # others may have failed meanwhile
                    self._throttle.check(address, user)
                found = self._checked(credentials, address)
        except SourceDownError:
            if match and self._clock() - match.at < match.directory.grace_seconds:
                return self._still(match, request)
            raise
        if found is None:
            self._matched.drop(digest)
            if delay is not None:
                raise ThrottledError(1)
            return None
        self._proven.add(text)
        self._matched.put(digest, found)
        return found.member

    def _still(self, match: _Match, request: Request) -> Member | None:
        """Return the user whose password it was as it is now, if it is still one of the same directory."""
        member = self._members.current(match.member.user, request.before_waiting)
        return member if member is not None and match.directory.owns(member) else None

    def _checked(self, credentials: Credentials, address: str) -> _Match | None:
        """Return whose the password is, and count it if it is not the user's."""
        silence: SourceDownError | None = None
        for directory in self._directories:
            try:
                member = directory.proven(credentials.user, credentials.password)
            except SourceDownError as error:
                silence = error
                continue
            if member is not None and self._members.admit(member):
                return _Match(member, directory, self._clock())
        if silence is not None:
            raise silence
        self._throttle.failed(address, credentials.user)
        return None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise ThrottledError(1, "too many log in at a time")
        try:
            yield
        finally:
            self._room.release()
