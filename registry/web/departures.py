"""Browsers on their way to another server to log in there: what is known of each goes along in a cookie.

All hosts of a registry share the secret that signs it, so a browser may come back to any of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import jwt

from auth.base import Departure
from registry.foundation.derived_keys import derived

if TYPE_CHECKING:
    from collections.abc import Callable

DEPARTED_SECONDS: Final = 600
"""How long somebody may take to log in there."""

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "departures from the pages of the registry"


@dataclass(frozen=True, slots=True)
class Journey:
    """A departure to `provider`, and `target`, the path of ours to which the browser is to be led afterwards."""

    provider: str
    departure: Departure
    target: str


class Departures:
    """Writes and reads the cookies of those who are on their way."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = derived(secret, b"departures from the pages")
        self._clock = clock

    def write(self, journey: Journey) -> str:
        """Return the text of the cookie. Where the browser was sent is not in it: it has been there."""
        claims = {
            "aud": _AUDIENCE,
            "provider": journey.provider,
            "state": journey.departure.state,
            "memory": dict(journey.departure.memory),
            "target": journey.target,
            "begun": self._clock(),
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, cookie: str) -> Journey | None:
        """Return who is on their way; None if that was too long ago, or nobody here has written it."""
        try:
            claims = jwt.decode(cookie, self._key, [_ALGORITHM], audience=_AUDIENCE)
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            return None
        if self._clock() >= claims["begun"] + DEPARTED_SECONDS:
            return None
        return Journey(claims["provider"], Departure("", claims["state"], claims["memory"]), claims["target"])
