"""The API keys that users make and revoke for themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from auth.base import ControllerError, DeniedError
from auth.identities.apikey import wish
from auth.identities.apikeys import ApiKeyStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.base import Grant, Key
    from auth.identities.apikey import ApiKey
    from auth.identities.apikeys import Place

MOST_KEYS: Final = 100
"""How many keys users may make for themselves."""

_OWNING: Final = frozenset({"password", "member"})
"""The kinds of proofs with which users may make keys: a key must not, nor a CI job, as it would outlive them."""
_DAY_SECONDS: Final = 86400


class OwnKeys:
    """The keys that users make for themselves; see auth.base.Keys."""

    def __init__(
        self,
        place: Place,
        has_password: Callable[[str], bool],
        longest_seconds: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.longest_seconds = longest_seconds
        self._place = place
        self._store = ApiKeyStore(place, clock)
        self._has_password = has_password
        self._clock = clock

    def of(self, user: str) -> list[Key]:
        """Return the keys of `user`, the newest first."""
        found = sorted(self._of(user), key=lambda key: (key.created, key.id), reverse=True)
        return [key.told for key in found]

    def require_owner(self, grant: Grant) -> None:
        """Return if `grant` may look after the keys of its user."""
        # A key may do more than a token, which is of one scope, and it outlives that.
        if grant.by_token or grant.proof.partition(":")[0] not in _OWNING:
            reason = "API keys are looked after by those who send their password, or have logged in to the pages"
            raise DeniedError(reason, grant.user)

    def create(self, grant: Grant, key: Key) -> tuple[Key, str]:
        """Make a key as `key` wishes."""
        self.require_owner(grant)
        wished = wish(grant.user, key.expires, key.name, key.repositories, key.actions)
        self._require_lifetime(grant.user, key.expires)
        if len(self._of(grant.user)) >= MOST_KEYS:
            raise DeniedError(f"{grant.user} has {MOST_KEYS} API keys, which is the most; revoke one first", grant.user)
        try:
            made, text = self._store.grant(wished, bound=self._has_password(grant.user))
        except (OSError, ValueError) as error:
            raise ControllerError(f"the API key cannot be kept: {error}") from error
        return made.told, text

    def revoke(self, user: str, key_id: str) -> bool:
        """Revoke a key of `user`."""
        try:
            found = next((key for key in self._of(user) if key.id == key_id), None)
            return found is not None and self._place.remove(found)
        except (OSError, ValueError) as error:
            raise ControllerError(f"the API key cannot be revoked: {error}") from error

    def _require_lifetime(self, user: str, expires: int | None) -> None:
        now = self._clock()
        if expires is not None and expires <= now:
            raise ValueError("a key expires in the future, or never")
        if self.longest_seconds is None:
            return
        # Those who ask for the longest have taken a moment to do so.
        if expires is None or expires > now + self.longest_seconds:
            days = self.longest_seconds / _DAY_SECONDS
            raise DeniedError(f"an API key may last for {days:g} days at most", user)

    def _of(self, user: str) -> list[ApiKey]:
        try:
            return list(self._place.of(user))
        except (OSError, ValueError) as error:
            raise ControllerError(f"the API keys cannot be read: {error}") from error
