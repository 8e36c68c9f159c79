"""API keys in the storage, for all hosts of a registry: an object for each key.

What is found out of a key later, that it ends with its user's password and when it was used last, has records of its
own: to write that to the record of the key could bring one back that was revoked at the same time.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from auth.base import RecordsError
from auth.identities.apikey import ApiKey, is_key_id
from auth.identities.logouts import SEEN_SECONDS, label
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from auth.base import Records

logger = logging.getLogger(__name__)

KEPT_IN_STORAGE: Final = "storage"
"""What a configuration has in place of the path of a file."""

_KEYS: Final = "keys"
_BOUND: Final = "keys-bound"
_USED: Final = "keys-used"


class KeyRecords:
    """The keys in the records ``keys/<label of the user>/<id>``.

    A key that was found is believed to be there for SEEN_SECONDS: so long after it was revoked elsewhere it may be used
    here. One that is new is found at once. Every method raises RecordsError where the records cannot be had.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._records: Records | None = None
        self._monotonic = monotonic
        self._found: RecentlyUsed[tuple[str, str], tuple[float, ApiKey]] = RecentlyUsed()
        """By user and id: when it was read, and the key."""
        self._removed: RecentlyUsed[str, str] = RecentlyUsed()
        """By id: whose the keys were that were removed here, which another thread may have read just before."""

    def keep(self, records: Records) -> None:
        """Keep them in `records`."""
        self._records = records

    def find(self, user: str, key_id: str) -> ApiKey | None:
        """Return a key of `user`."""
        if not is_key_id(key_id) or key_id in self._removed:
            return None
        now, found = self._monotonic(), self._found.get((user, key_id))
        if found and now - found[0] < SEEN_SECONDS:
            return found[1]
        key = self._read(user, key_id)
        if key:
            self._found.put((user, key_id), (now, key))
        else:
            self._found.drop((user, key_id))
        return key

    def all(self) -> Iterable[ApiKey]:
        """Return all keys."""
        return self._below("")

    def of(self, user: str) -> Iterable[ApiKey]:
        """Return those of `user`."""
        return self._below(f"/{label(user)}")

    def add(self, key: ApiKey) -> None:
        """Keep a key."""
        self._there().put(_record(_KEYS, key.user, key.id), json.dumps(key.dump()).encode())

    def remove(self, key: ApiKey) -> bool:
        """Keep a key no more; tell whether it was there."""
        removed = self._there().delete(_record(_KEYS, key.user, key.id))
        self._removed.put(key.id, key.user)
        for beside in (_BOUND, _USED):
            self._there().delete(_record(beside, key.user, key.id))
        return removed

    def bind(self, keys: Iterable[ApiKey]) -> None:
        """Let `keys` end with their users' passwords."""
        for key in keys:
            self._there().create(_record(_BOUND, key.user, key.id), b"")

    def touch(self, key: ApiKey, day: int) -> None:
        """Remember when a key was used."""
        name = _record(_USED, key.user, key.id)
        if _day(self._there().get(name)) < day:
            self._there().put(name, b"%d" % day)

    def _read(self, user: str, key_id: str) -> ApiKey | None:
        name = _record(_KEYS, user, key_id)
        content = self._there().get(name)
        key = None if content is None else _parse(name, content)
        if key is None or key.user != user:
            return None
        if key.bound or self._there().get(_record(_BOUND, user, key_id)) is None:
            return key
        return replace(key, bound=True)

    def _below(self, path: str) -> Iterable[ApiKey]:
        """Yield the keys whose records lie below that of `path`."""
        used = {name.partition("/")[2]: _day(content) for name, content in self._there().contents(_USED + path)}
        bound = {name.partition("/")[2] for name in self._there().names(_BOUND + path)}
        for name, content in self._there().contents(_KEYS + path):
            at = name.partition("/")[2]
            key = _parse(name, content)
            if key:
                yield replace(key, used=used.get(at) or None, bound=key.bound or at in bound)

    def _there(self) -> Records:
        if self._records is None:
            raise RecordsError("there is no storage to keep API keys in")
        return self._records


def _record(kind: str, user: str, key_id: str) -> str:
    return f"{kind}/{label(user)}/{key_id}"


def _parse(name: str, content: bytes) -> ApiKey | None:
    """Return the key that a record describes; None, with a line in the log, if it describes none."""
    try:
        return ApiKey.load(json.loads(content))
    except (ValueError, RecursionError) as error:
        logger.warning("the record %s of an API key is broken, so the key is not good: %s", name, error)
        return None


def _day(content: bytes | None) -> int:
    return int(content) if content and content.isdigit() else 0
