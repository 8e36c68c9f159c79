"""Logins that docker, podman and others keep in ``config.json``."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from registry.inventory.login import Credentials
from registry.inventory.source import InventoryError

if TYPE_CHECKING:
    from pathlib import Path


def stored_login(path: Path, host: str) -> Credentials | None:
    """Return the login for `host`, with its port if it has one, in the file at `path`; None if there is none.

    Logins that a helper program keeps (``credsStore``) are not looked for.

    Raises:
        InventoryError: the file cannot be read.
    """
    try:
        document: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InventoryError(f"{path} cannot be read: {error}") from error
    auths = document.get("auths") if isinstance(document, dict) else None
    for key, entry in auths.items() if isinstance(auths, dict) else ():
        if _host_of(key) == host.lower() and isinstance(entry, dict) and (found := _credentials(entry)):
            return found
    return None


def _host_of(key: str) -> str:
    """Return the host of a key, which may be a URL (``https://HOST/v1/``)."""
    return urlsplit(key if "://" in key else f"//{key}").netloc.lower()


def _credentials(entry: dict[str, Any]) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials("", token)
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and user and isinstance(password, str):
        return Credentials(user, password)
    encoded = entry.get("auth")
    try:
        text = base64.b64decode(encoded, validate=True).decode() if isinstance(encoded, str) else ""
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, colon, password = text.partition(":")
    return Credentials(user, password.rstrip("\0")) if colon and user else None
