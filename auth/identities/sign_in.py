"""Logging in to the pages with a password."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from auth.base import Grant, UnauthorizedError
from auth.headers import Credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth.base import Provider, Request
    from auth.identities.logouts import Logouts

logger = logging.getLogger(__name__)


class People(Protocol):
    """Who knows the passwords of people."""

    def proof_of(self, credentials: Credentials, request: Request) -> str | None:
        """Return what proves `credentials`, which came with `request`; None if they are wrong.

        Raises:
            ThrottledError, ControllerError: as SignIn.log_in().
        """

    def stands(self, user: str, proof: str) -> bool:
        """Tell whether what proof_of() has returned for `user` is still good.

        Raises:
            ControllerError: that cannot be told.
        """


class PasswordSignIn:
    """Lets `people` log in; see auth.base.SignIn. Their passwords are slowed down as those of any request are."""

    takes_passwords = True
    providers: Sequence[Provider] = ()

    def __init__(self, people: People, logouts: Logouts) -> None:
        self._people = people
        self._logouts = logouts

    def log_in(self, request: Request, user: str, password: bytes) -> Grant:
        """Return who has logged in."""
        proof = self._people.proof_of(Credentials(user, password), request)
        if proof is None:
            logger.warning("wrong user or password from %s", request.remote_address, extra={"user": user})
            raise UnauthorizedError("", ())
        return Grant(user, proof)

    def stands(self, grant: Grant, begun: float) -> bool:
        """Tell whether the session holds."""
        return self._people.stands(grant.user, grant.proof) and not self._logouts.ended(grant.user, begun)

    def log_out_everywhere(self, user: str) -> None:
        """End every session."""
        self._logouts.end(user)
