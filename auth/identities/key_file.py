"""API keys in a file, which older registries read and write as well."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from auth.identities.apikey import ApiKey
from registry.foundation.files import FileError, WatchedFile, locked, read_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from auth.base import Records

_KEYS: Final = "keys"
_LIMITED: Final = "limited"
_BOUND: Final = "end_with_password"
_ABOUT: Final = "about"
_OLD: Final = ("id", "user", "sha256", "created", "expires")
"""The members of a key that older registries know; they refuse a file with others, and overlook what is beside it."""
_NEW: Final = ("name", "used")


@dataclass(frozen=True, slots=True)
class _Content:
    """What the file says: the keys by their ids."""

    by_id: Mapping[str, ApiKey] = field(default_factory=dict)


class KeyFile:
    """The keys in the file at `path`, as it stands at each call. While it is broken find() finds none.

    Keys that are limited stand apart from the others: a registry that knew nothing of limits must not take them.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = WatchedFile(path, _parse)

    def keep(self, records: Records) -> None:
        """Keep nothing there."""

    def find(self, user: str, key_id: str) -> ApiKey | None:
        """Return a key of `user`."""
        if not os.path.exists(self._path):  # noqa: PTH110  where the name is too long there is no file, either
            return None
        try:
            found = self._file.current().by_id.get(key_id)
        except FileError:
            return None
        return found if found and found.user == user else None

    def all(self) -> Iterable[ApiKey]:
        """Return all keys."""
        return self._read().by_id.values()

    def of(self, user: str) -> Iterable[ApiKey]:
        """Return those of `user`."""
        return [key for key in self.all() if key.user == user]

    def add(self, key: ApiKey) -> None:
        """Keep a key."""
        with self._changing() as by_id:
            by_id[key.id] = key

    def remove(self, key: ApiKey) -> bool:
        """Keep a key no more; tell whether it was there."""
        with self._changing() as by_id:
            return by_id.pop(key.id, None) is not None

    def bind(self, keys: Iterable[ApiKey]) -> None:
        """Let `keys` end with their users' passwords."""
        with self._changing() as by_id:
            for key in keys:
                if key.id in by_id:
                    by_id[key.id] = replace(by_id[key.id], bound=True)

    def touch(self, key: ApiKey, day: int) -> None:
        """Remember when a key was used."""
        with self._changing() as by_id:
            known = by_id.get(key.id)
            if known and (known.used or 0) < day:
                by_id[key.id] = replace(known, used=day)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        """Give the keys, to be changed; they are written if they were."""
        with locked(self._path):
            before = self._read().by_id
            by_id = dict(before)
            yield by_id
            if by_id != before:
                replace_file(self._path, json.dumps(_document(by_id.values()), indent=1).encode() + b"\n")

    def _read(self) -> _Content:
        try:
            return _parse(read_file(Path(self._path)))
        except FileNotFoundError:
            return _Content()


def _document(keys: Iterable[ApiKey]) -> dict[str, object]:
    keys = list(keys)
    document: dict[str, object] = {
        _KEYS: [{name: getattr(key, name) for name in _OLD} for key in keys if not key.limited],
        _BOUND: sorted(key.id for key in keys if key.bound and not key.limited),
    }
    limited = [key.dump() for key in keys if key.limited]
    about = {key.id: {name: getattr(key, name) for name in _NEW} for key in keys if key.name or key.used}
    return document | ({_LIMITED: limited} if limited else {}) | ({_ABOUT: about} if about else {})


def _parse(content: bytes) -> _Content:
    try:
        document = json.loads(content)
        bound = list(document.get(_BOUND, ()))
        about = dict(document.get(_ABOUT, {}))
        keys = [_key(entry, bound, about) for entry in document[_KEYS]]
        keys += [ApiKey.load(entry) for entry in document.get(_LIMITED, ())]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a file of API keys: {error}") from error
    if not all(isinstance(key_id, str) for key_id in bound):
        raise ValueError("not a file of API keys: a member is of the wrong type")
    return _Content({key.id: key for key in keys})


def _key(entry: Mapping[str, Any], bound: list[str], about: Mapping[str, Mapping[str, Any]]) -> ApiKey:
    return ApiKey.load({**entry, "bound": entry["id"] in bound, **about.get(entry["id"], {})})
