"""Logins as docker, podman and others keep them in ``config.json``."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Entry:
    """A login under `key`, a host or a URL of it: `user` and `secret`, or an identity token without a user.

    Both are "" where the file names the host alone, as it does when a program keeps the secret.
    """

    key: str
    user: str = ""
    secret: str = ""

    @property
    def host(self) -> str:
        """The host of the key, with its port if it has one."""
        return host_of(self.key)


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """The `entries` in their order; programs that keep logins: `helpers` by host, and the `store` for every other."""

    entries: tuple[Entry, ...]
    helpers: dict[str, str]
    store: str = ""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read the file; what is malformed within it is passed over.

        Raises:
            ValueError: it is not JSON.
        """
        document: Any = json.loads(content)
        members = document if isinstance(document, dict) else {}
        auths, helpers, store = (members.get(name) for name in ("auths", "credHelpers", "credsStore"))
        entries = [_entry(key, entry) for key, entry in _items(auths) if isinstance(entry, dict)]
        programs = {host_of(key): name for key, name in _items(helpers) if isinstance(name, str)}
        return cls(tuple(entries), programs, store if isinstance(store, str) else "")


def host_of(key: str) -> str:
    """Return the host of a key, which may be a URL (``https://HOST/v1/``)."""
    try:
        return urlsplit(key if "://" in key else f"//{key}").netloc.lower()
    except ValueError:
        return ""


def _items(members: Any) -> list[tuple[str, Any]]:
    return [*members.items()] if isinstance(members, dict) else []


def _entry(key: str, entry: dict[str, Any]) -> Entry:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Entry(key, "", token)
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and user and isinstance(password, str):
        return Entry(key, user, password)
    encoded = entry.get("auth")
    try:
        text = base64.b64decode(encoded, validate=True).decode() if isinstance(encoded, str) else ""
    except (binascii.Error, UnicodeDecodeError):
        return Entry(key)
    user, colon, password = text.partition(":")
    return Entry(key, user, password.rstrip("\0")) if colon and user else Entry(key)
