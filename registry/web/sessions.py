"""Who is logged in to the pages: a cookie that only a registry with the same ``http.secret`` can have written.

All hosts of a registry share that secret, so each knows the sessions of the others, and nothing of them is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, replace
from typing import Final

import jwt

from auth.base import Grant
from registry.foundation.derived_keys import derived

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "pages of the registry"
_ID_BYTES: Final = 16
_SHARE_OF_IDLE: Final = 10
"""A cookie is written again when a tenth of the time has passed that a session may be idle: not with every page."""
_SKEW_SECONDS: Final = 60
"""How far the clocks of two hosts may be apart."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has logged in at `begun` and was `seen` last; times are seconds since 1970."""

    id: str
    grant: Grant
    begun: float
    seen: float


class Sessions:
    """Writes and reads the cookies of sessions that last `lifetime` seconds at most, `idle` of them without a page."""

    def __init__(self, secret: bytes, lifetime: float, idle: float) -> None:
        self._key = derived(secret, b"sessions of the pages")
        self._form_key = derived(secret, b"forms of the pages")
        self.lifetime = lifetime
        self.idle = idle

    def begin(self, grant: Grant) -> Session:
        """Return a new session."""
        now = time.time()
        return Session(secrets.token_urlsafe(_ID_BYTES), grant, now, now)

    def write(self, session: Session) -> str:
        """Return the text of the cookie."""
        claims = {
            "aud": _AUDIENCE,
            "jti": session.id,
            "sub": session.grant.user,
            "proof": session.grant.proof,
            "begun": session.begun,
            "seen": session.seen,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def read(self, cookie: str) -> Session | None:
        """Return the session; None if it has ended, or nobody here has written that."""
        try:
            claims = jwt.decode(
                cookie, self._key, [_ALGORITHM], audience=_AUDIENCE, options={"require": ["jti", "sub"]}
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            return None
        grant = Grant(claims["sub"], claims["proof"])
        session = Session(claims["jti"], grant, claims["begun"], claims["seen"])
        now = time.time()
        stands = session.begun <= now + _SKEW_SECONDS and now < session.begun + self.lifetime
        return session if stands and now < session.seen + self.idle else None

    def renewed(self, session: Session) -> Session | None:
        """Return the session as it was seen now; None if that need not be written down yet."""
        now = time.time()
        return replace(session, seen=now) if now > session.seen + self.idle / _SHARE_OF_IDLE else None

    def form_token(self, owner: str) -> str:
        """Return what the forms of `owner` carry, which is the id of a session, or of a visit of somebody unknown."""
        return hmac.new(self._form_key, owner.encode(), hashlib.sha256).hexdigest()
