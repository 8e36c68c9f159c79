"""API keys: passwords for machines, made by the registry, that expire and can be revoked one by one.

A key of a user who has a password ends with that password's entry. Other users have nothing but their keys. Which of
the two a key is stands in the file beside the keys, where older registries overlook it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auth.base import ControllerError
from registry.foundation.files import FileError, WatchedFile, locked, read_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

logger = logging.getLogger(__name__)

PREFIX = "regkey_"
"""How every key begins, so that a scanner for leaked secrets can know one."""

_BOUND = "end_with_password"
"""The member of the file that lists the ids of the keys that end with their user's password."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key: times are seconds since the epoch, `expires` is None for one that does not.

    The secret half has 256 random bits, so a plain digest keeps it.
    """

    id: str
    user: str
    sha256: str
    created: int
    expires: int | None

    def alive(self, now: float) -> bool:
        """Tell whether the key may be used at `now`."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class Keys:
    """What the file says: the keys by id, and the ids of those that end with their user's password."""

    by_id: Mapping[str, ApiKey]
    bound: frozenset[str] = frozenset()


class ApiKeys:
    """The keys in a file, as it stands at each call. While the file is broken no key is valid.

    `has_password` tells whether a user has one now.
    """

    def __init__(
        self, path: str, has_password: Callable[[str], bool] = lambda _: False, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._file = WatchedFile(path, _parse)
        self._has_password = has_password
        self._clock = clock
        self._bound_here: frozenset[str] = frozenset()
        self.bind()

    def user_of(self, text: str) -> tuple[str, str] | None:
        """Return the user and the id of the key that `text` is, or None if it is not a valid key.

        Raises:
            ControllerError: as valid().
        """
        _, _, rest = text.partition(PREFIX)
        key_id, _, secret = rest.partition("_")
        keys = self._all()
        known = keys.by_id.get(key_id)
        if known is None or not hmac.compare_digest(known.sha256.encode(), _digest(secret).encode()):
            return None
        return (known.user, known.id) if self._good(known, keys) else None

    def valid(self, key_id: str, user: str) -> bool:
        """Tell whether the key `key_id` is still there, alive, that of `user`, and `user` too if it ends with them.

        Raises:
            ControllerError: whether the user is there cannot be told.
        """
        keys = self._all()
        known = keys.by_id.get(key_id)
        return known is not None and known.user == user and self._good(known, keys)

    def _good(self, key: ApiKey, keys: Keys) -> bool:
        """Tell whether `key`, one of `keys`, is alive, and its user there if it ends with them; raises as valid()."""
        if not key.alive(self._clock()):
            return False
        bound = key.id in keys.bound or key.id in self._bound_here
        try:
            has_password = self._has_password(key.user)
        except ControllerError:
            if bound:
                raise
            return True
        if has_password and not bound:
            self.bind()
        return has_password or not bound

    def bind(self) -> None:
        """Let the keys of all who have a password now end with it: those of older registries do not say so yet."""
        keys = self._all()
        unbound = keys.by_id.keys() - keys.bound - self._bound_here
        try:
            new = frozenset(key_id for key_id in unbound if self._has_password(keys.by_id[key_id].user))
        except ControllerError:  # told to whoever logs in with a password
            return
        if not new:
            return
        self._bound_here |= new
        try:
            ApiKeyStore(self._path).bind(new)
        except (OSError, ValueError) as error:
            logger.warning("keys may outlive their users after a restart: %s cannot be written: %s", self._path, error)

    def _all(self) -> Keys:
        if not os.path.exists(self._path):  # noqa: PTH110  where the name is too long there is no file, either
            return Keys({})
        try:
            return self._file.current()
        except FileError:
            return Keys({})


class ApiKeyStore:
    """Makes and revokes keys; for the command line, beside any number of running registries."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock

    def create(self, user: str, lifetime_seconds: int | None, *, bound: bool = False) -> tuple[ApiKey, str]:
        """Return a new key of `user` and its text, which is kept nowhere; `bound` is whether it ends with the user.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is malformed.
        """
        now = int(self._clock())
        secret = secrets.token_urlsafe(32)
        expires = None if lifetime_seconds is None else now + lifetime_seconds
        key = ApiKey(secrets.token_hex(6), user, _digest(secret), now, expires)
        with self._changing() as change:
            change.by_id[key.id] = key
            change.bound |= {key.id} if bound else set()
        return key, f"{PREFIX}{key.id}_{secret}"

    def list(self) -> list[ApiKey]:
        """Return all keys, oldest first, expired ones too.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is malformed.
        """
        return sorted(self._read().by_id.values(), key=lambda key: (key.created, key.id))

    def revoke(self, key_id: str) -> bool:
        """Take the key `key_id` out; tell whether there was one.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is malformed.
        """
        with self._changing() as change:
            return change.by_id.pop(key_id, None) is not None

    def bind(self, key_ids: Collection[str]) -> None:
        """Let the keys `key_ids` end with their users.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is malformed.
        """
        with self._changing() as change:
            change.bound.update(key_ids)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Change]:
        with locked(str(self._path)):
            keys = self._read()
            change = _Change(dict(keys.by_id), set(keys.bound))
            yield change
            entries = [asdict(key) for key in change.by_id.values()]
            document = {"keys": entries, _BOUND: sorted(change.bound & change.by_id.keys())}
            replace_file(str(self._path), json.dumps(document, indent=1).encode() + b"\n")

    def _read(self) -> Keys:
        try:
            return _parse(read_file(self._path))
        except FileNotFoundError:
            return Keys({})


@dataclass(slots=True)
class _Change:
    """What is about to be written."""

    by_id: dict[str, ApiKey]
    bound: set[str]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _parse(content: bytes) -> Keys:
    try:
        document = json.loads(content)
        keys = [ApiKey(**entry) for entry in document["keys"]]
        bound = frozenset(document.get(_BOUND, ()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a file of API keys: {error}") from error
    if not all(_well_typed(key) for key in keys) or not all(isinstance(key_id, str) for key_id in bound):
        raise ValueError("not a file of API keys: a member is of the wrong type")
    return Keys({key.id: key for key in keys}, bound)


def _well_typed(key: ApiKey) -> bool:
    texts = (key.id, key.user, key.sha256)
    times = (key.created, 0 if key.expires is None else key.expires)
    return all(isinstance(text, str) for text in texts) and all(isinstance(time_, int) for time_ in times)
