"""Logging in to the pages with a password."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from auth.base import UnauthorizedError
from auth.headers import Credentials
from auth.identities.ended_sessions import EndedSessions
from auth.identities.logouts import Logouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth.base import Grant, Provider, Records, Request

logger = logging.getLogger(__name__)


class People(Protocol):
    """Who knows the passwords of people."""

    def proven(self, credentials: Credentials, request: Request) -> Grant | None:
        """Return whose `credentials` are, which came with `request`, and what proves it; None if they are wrong.

        Raises:
            ThrottledError, ControllerError: as SignIn.log_in().
        """

    def stands(self, user: str, proof: str) -> bool:
        """Tell whether what proven() has returned for `user` is still good.

        Raises:
            ControllerError: that cannot be told.
        """


class PasswordSignIn:
    """Lets `people` log in; see auth.base.SignIn. Their passwords are slowed down as those of any request are.

    Those of `providers` log in there.
    """

    def __init__(self, people: People, providers: Sequence[Provider] = (), *, takes_passwords: bool = True) -> None:
        self.takes_passwords = takes_passwords
        self.providers = providers
        self._people = people
        self._logouts = Logouts()
        self._ended = EndedSessions()

    def keep(self, records: Records) -> None:
        """Keep in `records` which sessions have ended."""
        self._logouts.keep(records)
        self._ended.keep(records)

    def log_in(self, request: Request, user: str, password: bytes) -> Grant:
        """Return who has logged in."""
        grant = self._people.proven(Credentials(user, password), request)
        if grant is None:
            logger.warning("wrong user or password from %s", request.remote_address, extra={"user": user})
            raise UnauthorizedError("", ())
        return grant

    def stands(self, grant: Grant, begun: float) -> bool:
        """Tell whether the session holds."""
        return self._people.stands(grant.user, grant.proof) and not self._logouts.ended(grant.user, begun)

    def has_ended(self, session: str, begun: float) -> bool:
        """Tell whether somebody has logged out of the session."""
        return self._ended.has(session, begun)

    def log_out(self, session: str, begun: float, lifetime: float) -> None:
        """End the session."""
        self._ended.add(session, begun, lifetime)

    def log_out_everywhere(self, user: str) -> None:
        """End every session."""
        self._logouts.end(user)
