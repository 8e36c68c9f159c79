"""The API keys of everybody: whose a key is, whether it is good, and how an operator makes and revokes them."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from auth.base import ControllerError
from auth.identities.apikey import halves, wish
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from auth.base import Access, Records
    from auth.identities.apikey import ApiKey, Wish

logger = logging.getLogger(__name__)

_DAY_SECONDS: Final = 86400


class Place(Protocol):
    """Where keys are kept. Every method but find() may raise OSError, ValueError and ControllerError."""

    def keep(self, records: Records) -> None:
        """Keep them in `records`, if this is a place in the storage."""

    def find(self, user: str, key_id: str) -> ApiKey | None:
        """Return a key of `user` as it was within the last seconds; None if there is none, or what tells is broken.

        Raises:
            ControllerError: it cannot be told.
        """

    def all(self) -> Iterable[ApiKey]:
        """Return all keys, in no order."""

    def of(self, user: str) -> Iterable[ApiKey]:
        """Return those of `user`, in no order."""

    def add(self, key: ApiKey) -> None:
        """Keep a key."""

    def remove(self, key: ApiKey) -> bool:
        """Keep a key no more; tell whether it was there."""

    def bind(self, keys: Iterable[ApiKey]) -> None:
        """Let `keys` end with their users' passwords."""

    def touch(self, key: ApiKey, day: int) -> None:
        """Remember that a key was used on the day that began at `day`."""


class ApiKeys:
    """The keys in `place`, as callers bring them. `has_password` tells whether a user has one now."""

    def __init__(
        self,
        place: Place,
        has_password: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.place = place
        self._has_password = has_password
        self._clock = clock
        self._bound_here: frozenset[str] = frozenset()
        self._touched: RecentlyUsed[str, int] = RecentlyUsed()

    def proved_by(self, text: str, user: str) -> str | None:
        """Return the id of the key that `text` is; None if it is not a valid key of `user`.

        Raises:
            ControllerError: as valid().
        """
        looks_like = halves(text)
        if looks_like is None:
            return None
        key_id, secret = looks_like
        known = self.place.find(user, key_id)
        return key_id if known and known.is_proved_by(secret) and self._good(known) else None

    def valid(self, key_id: str, user: str) -> bool:
        """Tell whether the key `key_id` is still there, alive, that of `user`, and `user` too if it ends with them.

        Raises:
            ControllerError: whether key or user is there cannot be told.
        """
        known = self.place.find(user, key_id)
        return known is not None and self._good(known)

    def permits(self, key_id: str, user: str, access: Access) -> bool:
        """Tell whether the key `key_id` of `user` is for `access`, whatever the user may do; one that is gone is not.

        Raises:
            ControllerError: as valid().
        """
        known = self.place.find(user, key_id)
        return known is not None and known.permits(access)

    def bind_all(self) -> None:
        """Do what bind() does, with all keys there are."""
        try:
            self.bind(list(self.place.all()))
        except (OSError, ValueError, ControllerError) as error:
            logger.warning("API keys cannot be used: %s", error)

    def bind(self, keys: Iterable[ApiKey]) -> None:
        """Let those of `keys` end with their users' passwords that have one: older registries did not write so."""
        try:
            new = [key for key in keys if not self._is_bound(key) and self._has_password(key.user)]
        except ControllerError:  # told to whoever logs in with a password
            return
        if not new:
            return
        self._bound_here |= {key.id for key in new}
        try:
            self.place.bind(new)
        except (OSError, ValueError, ControllerError) as error:
            logger.warning("keys may outlive their users after a restart: %s", error)

    def _good(self, key: ApiKey) -> bool:
        """Tell whether `key` is alive, and its user there if it ends with them; raises as valid()."""
        if not key.alive(self._clock()):
            return False
        bound = self._is_bound(key)
        try:
            has_password = self._has_password(key.user)
        except ControllerError:
            if bound:
                raise
            has_password = False
        if has_password and not bound:
            self.bind([key])
        good = has_password or not bound
        if good:
            self._touch(key)
        return good

    def _is_bound(self, key: ApiKey) -> bool:
        return key.bound or key.id in self._bound_here

    def _touch(self, key: ApiKey) -> None:
        """Have it remembered on which day `key` was used last, in a thread: nobody waits for that."""
        day = int(self._clock()) // _DAY_SECONDS * _DAY_SECONDS
        if max(key.used or 0, self._touched.get(key.id) or 0) >= day:
            return
        self._touched.put(key.id, day)

        def touch() -> None:
            try:
                self.place.touch(key, day)
            except (OSError, ValueError, ControllerError) as error:
                logger.info("when API key %s was used last cannot be remembered: %s", key.id, error)

        try:
            threading.Thread(target=touch, name="last use of a key", daemon=True).start()
        except RuntimeError as error:  # there are too many threads
            logger.info("when API key %s was used last cannot be remembered: %s", key.id, error)


class ApiKeyStore:
    """Makes and revokes keys in `place`; for the command line, beside any number of running registries.

    Every method may raise OSError, ValueError and ControllerError: the place cannot be read or written, or is broken.
    """

    def __init__(self, place: Place, clock: Callable[[], float] = time.time) -> None:
        self._place = place
        self._clock = clock

    def create(self, user: str, lifetime_seconds: int | None, *, bound: bool = False) -> tuple[ApiKey, str]:
        """Return a new key of `user` and its text, which is kept nowhere; `bound` is whether it ends with the user."""
        return self.grant(wish(user, self.ends(lifetime_seconds)), bound=bound)

    def ends(self, lifetime_seconds: int | None) -> int | None:
        """Return when a key ends that is made now and lasts so long."""
        return None if lifetime_seconds is None else int(self._clock()) + lifetime_seconds

    def grant(self, wished: Wish, *, bound: bool) -> tuple[ApiKey, str]:
        """Return a new key as `wished`, and its text; otherwise as create()."""
        key, text = wished.granted(self._clock(), bound=bound)
        self._place.add(key)
        return key, text

    def list(self) -> list[ApiKey]:
        """Return all keys, oldest first, expired ones too."""
        return sorted(self._place.all(), key=lambda key: (key.created, key.id))

    def revoke(self, key_id: str) -> bool:
        """Revoke the key `key_id`; tell whether there was one."""
        found = next((key for key in self._place.all() if key.id == key_id), None)
        return found is not None and self._place.remove(found)
