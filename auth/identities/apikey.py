"""API keys: passwords for machines, made by the registry, that expire and can be revoked one by one.

A key of a user who has a password ends with that password's entry. Other users have nothing but their keys. A key may
be limited to some repositories and actions; it never allows what its user may not do.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from auth.actions import ACTIONS, checked_actions
from auth.base import Key
from registry.foundation.globs import Glob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth.base import Access

PREFIX: Final = "regkey_"
"""How every key begins, so that a scanner for leaked secrets can know one."""

MOST_GLOBS: Final = 50
"""How many globs a key may be limited to."""

_LONGEST_NAME: Final = 100
_LONGEST_GLOB: Final = 255
_ID: Final = re.compile("[0-9a-f]{12}")
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key: times are seconds since the epoch, `expires` is None for one that does not.

    The secret half has 256 random bits, so a plain digest keeps it. Of `name`, `repositories`, `actions` and `used` see
    auth.base.Key. `bound` tells that it ends with its user's password.
    """

    id: str
    user: str
    sha256: str
    created: int
    expires: int | None
    name: str = ""
    repositories: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    bound: bool = False
    used: int | None = None

    def alive(self, now: float) -> bool:
        """Tell whether the key may be used at `now`."""
        return self.expires is None or now < self.expires

    def is_proved_by(self, secret: str) -> bool:
        """Tell whether `secret` is the secret half."""
        return hmac.compare_digest(self.sha256.encode(), _digest(secret).encode())

    @property
    def limited(self) -> bool:
        """Whether it may do less than its user."""
        return bool(self.repositories or self.actions)

    def permits(self, access: Access) -> bool:
        """Tell whether the key is for `access`, whatever its user may do."""
        if access.type != "repository":
            # The catalog shows what may be pulled with the key. Nothing else that is not about one repository is for a
            # key that is limited.
            return access.name == "catalog" or not self.limited
        if self.repositories and not any(_glob(text).matches(access.name) for text in self.repositories):
            return False
        action = access.action
        if action == "untag":
            # As the rules have it: a tag that was deleted can be pushed again, which would move it.
            action = "overwrite" if "push" in self.actions else "delete"
        return not self.actions or action in self.actions

    @property
    def told(self) -> Key:
        """What may be told of it."""
        return Key(
            self.id, self.user, self.name, self.created, self.expires, self.used, self.repositories, self.actions
        )

    def dump(self) -> dict[str, object]:
        """Return what load() reads, as JSON has it."""
        return asdict(self)

    @classmethod
    def load(cls, entry: Mapping[str, Any]) -> ApiKey:
        """Return the key of which dump() has returned `entry`.

        Raises:
            ValueError: it is not that of a key.
        """
        try:
            lists = {name: tuple(entry[name]) for name in ("repositories", "actions") if name in entry}
            key = cls(**{**entry, **lists})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not that of an API key: {error}") from error
        if not key._well_typed():
            raise ValueError("not that of an API key: a member is of the wrong type")
        return key

    def _well_typed(self) -> bool:
        texts = (self.id, self.user, self.sha256, self.name, *self.repositories, *self.actions)
        times = (self.created, self.expires or 0, self.used or 0)
        return (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(time, int) for time in times)
            and isinstance(self.bound, bool)
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a key is to be, with what is checked of it: see auth.base.Key. It is made by wish()."""

    user: str
    expires: int | None
    name: str = ""
    repositories: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def granted(self, now: float, *, bound: bool) -> tuple[ApiKey, str]:
        """Return a new key as wished, and its text, which is kept nowhere; `bound` is as in ApiKey."""
        secret = secrets.token_urlsafe(_KEY_BYTES)
        key = ApiKey(
            id=secrets.token_hex(6),
            user=self.user,
            sha256=_digest(secret),
            created=int(now),
            expires=self.expires,
            name=self.name,
            repositories=self.repositories,
            actions=self.actions,
            bound=bound,
        )
        return key, f"{PREFIX}{key.id}_{secret}"


def wish(
    user: str, expires: int | None, name: str = "", repositories: Sequence[str] = (), actions: Sequence[str] = ()
) -> Wish:
    """Return the wish for a key.

    Raises:
        ValueError: a part of it is malformed; the text says which, and what it has to be.
    """
    if len(name) > _LONGEST_NAME or not (name.isprintable() and name == name.strip()):
        raise ValueError(f"the name of a key has at most {_LONGEST_NAME} characters, all of them printable")
    if len(repositories) > MOST_GLOBS or any(len(glob) > _LONGEST_GLOB for glob in repositories):
        raise ValueError(f"a key has at most {MOST_GLOBS} patterns for repositories, of {_LONGEST_GLOB} characters")
    for glob in repositories:
        Glob.parse(glob)
    checked = tuple(checked_actions("a key", actions)) if actions else ()
    return Wish(user, expires, name, tuple(repositories), () if set(checked) == set(ACTIONS) else checked)


def halves(text: str) -> tuple[str, str] | None:
    """Return the id and the secret half of the key that `text` looks like; None if it does not look like one."""
    key_id, _, secret = text.removeprefix(PREFIX).partition("_")
    return (key_id, secret) if text.startswith(PREFIX) and is_key_id(key_id) else None


def is_key_id(text: str) -> bool:
    """Tell whether a key may be called so."""
    return _ID.fullmatch(text) is not None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@lru_cache(maxsize=1024)
def _glob(text: str) -> Glob:
    return Glob.parse(text)
