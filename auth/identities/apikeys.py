"""API keys: passwords for machines, made by the registry, that expire and can be revoked one by one."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.foundation.files import FileError, WatchedFile, locked, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)

PREFIX = "regkey_"
"""How every key begins, so that a scanner for leaked secrets can know one."""


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


class ApiKeys:
    """The keys in a file, as it stands at each call. While the file is broken no key is valid."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._file = WatchedFile(path, _parse)
        self._clock = clock

    def user_of(self, text: str) -> tuple[str, str] | None:
        """Return the user and the id of the key that `text` is, or None if it is not a valid key."""
        _, _, rest = text.partition(PREFIX)
        key_id, _, secret = rest.partition("_")
        known = self._all().get(key_id)
        if known is None or not hmac.compare_digest(known.sha256.encode(), _digest(secret).encode()):
            return None
        return (known.user, known.id) if known.alive(self._clock()) else None

    def valid(self, key_id: str, user: str) -> bool:
        """Tell whether the key `key_id` is still there, alive, and that of `user`."""
        known = self._all().get(key_id)
        return known is not None and known.user == user and known.alive(self._clock())

    def _all(self) -> Mapping[str, ApiKey]:
        if not Path(self._path).exists():
            return {}
        try:
            return self._file.current()
        except FileError:
            return {}


class ApiKeyStore:
    """Makes and revokes keys; for the command line, beside any number of running registries."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._clock = clock

    def create(self, user: str, lifetime_seconds: int | None) -> tuple[ApiKey, str]:
        """Return a new key of `user` and its text, which is kept nowhere.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is malformed.
        """
        now = int(self._clock())
        secret = secrets.token_urlsafe(32)
        expires = None if lifetime_seconds is None else now + lifetime_seconds
        key = ApiKey(secrets.token_hex(6), user, _digest(secret), now, expires)
        with self._changing() as keys:
            keys[key.id] = key
        return key, f"{PREFIX}{key.id}_{secret}"

    def list(self) -> list[ApiKey]:
        """Return all keys, oldest first, expired ones too.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is malformed.
        """
        return sorted(self._read().values(), key=lambda key: (key.created, key.id))

    def revoke(self, key_id: str) -> bool:
        """Take the key `key_id` out; tell whether there was one.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is malformed.
        """
        with self._changing() as keys:
            return keys.pop(key_id, None) is not None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        with locked(str(self._path)):
            keys = self._read()
            yield keys
            document = {"keys": [asdict(key) for key in keys.values()]}
            replace_file(str(self._path), json.dumps(document, indent=1).encode() + b"\n")

    def _read(self) -> dict[str, ApiKey]:
        try:
            return _parse(self._path.read_bytes())
        except FileNotFoundError:
            return {}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _parse(content: bytes) -> dict[str, ApiKey]:
    try:
        keys = [ApiKey(**entry) for entry in json.loads(content)["keys"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a file of API keys: {error}") from error
    if not all(_well_typed(key) for key in keys):
        raise ValueError("not a file of API keys: a member is of the wrong type")
    return {key.id: key for key in keys}


def _well_typed(key: ApiKey) -> bool:
    texts = (key.id, key.user, key.sha256)
    times = (key.created, 0 if key.expires is None else key.expires)
    return all(isinstance(text, str) for text in texts) and all(isinstance(time_, int) for time_ in times)
