"""The Authorization and WWW-Authenticate headers (RFC 7617, RFC 6750) with Docker's scopes."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth.base import SCOPED_AS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth.base import Access

_PRINTABLE_START, _DELETE = 0x20, 0x7F


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password; the password is bytes as the client sent them and is never shown."""

    user: str
    password: bytes = field(repr=False)


def basic_credentials(authorization: str | None) -> Credentials | None:
    """Return what a Basic header says, or None when it is another header or malformed.

    A user name that is not UTF-8 is malformed: it could be neither configured nor logged.
    """
    encoded = _after_scheme(authorization, "basic")
    if encoded is None:
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        return Credentials(user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of a Bearer header, or None when it is another header."""
    return _after_scheme(authorization, "bearer")


def _after_scheme(authorization: str | None, scheme: str) -> str | None:
    given, _, rest = (authorization or "").partition(" ")
    return rest.strip(" ") if given.lower() == scheme else None


def basic_challenge(realm: str) -> str:
    """Return the challenge that asks for a user name and a password."""
    return f"Basic realm={quoted(realm)}"


def bearer_challenge(realm: str, service: str, scope: str = "", error: str = "") -> str:
    """Return the challenge that sends a client to the token service at `realm`.

    Docker's clients split it at commas outside of quotes and want no blank after them.
    """
    parts = [f"realm={quoted(realm)}", f"service={quoted(service)}"]
    if scope:
        parts.append(f"scope={quoted(scope)}")
    if error:
        parts.append(f"error={quoted(error)}")
    return "Bearer " + ",".join(parts)


def merged_scope(accesses: Iterable[Access]) -> str:
    """Return `accesses` as a scope, the actions on one resource merged: ``repository:a:pull,push``.

    Resources and actions stand in the order in which they are first asked for. Of a token service is asked what it has
    a word for: to clients `overwrite` is a push like any other.
    """
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for access in accesses:
        action = SCOPED_AS.get(access.action, access.action)
        actions.setdefault((access.type, access.name), {})[action] = None
    return " ".join(f"{kind}:{name}:{','.join(wanted)}" for (kind, name), wanted in actions.items())


def quoted(text: str) -> str:
    """Return `text` as a quoted-string; what may not stand in one is left out."""
    safe = "".join(char for char in text if _PRINTABLE_START <= ord(char) < _DELETE)
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'
