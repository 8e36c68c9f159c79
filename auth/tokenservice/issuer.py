"""The registry's own tokens: short ones for requests, long ones to get more of them with."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt

from auth.identities.accounts import Identity
from auth.tokens.access_claim import granted_accesses
from auth.tokens.jws import Expectations, TokenRefusedError, TokenVerifier
from auth.tokens.signing import ALGORITHM
from auth.tokenservice.logins import RefreshToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auth.tokens.scopes import Scope
    from auth.tokens.signing import SigningKeys

_CI_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """For how many seconds tokens are good."""

    access_seconds: int = 300
    refresh_seconds: int = 90 * 86400


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Who brought a token, and the (type, name, action) triples that it is limited to."""

    identity: Identity
    granted: frozenset[tuple[str, str, str]]


class TokenIssuer:
    """Signs tokens for `service` and reads them back.

    A token for requests and a refresh token differ in their audience, so neither passes for the other.
    """

    def __init__(
        self,
        service: str,
        keys: SigningKeys,
        lifetimes: Lifetimes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._keys = keys
        self._lifetimes = lifetimes
        self._clock = clock
        algorithms = frozenset({ALGORITHM})
        self._access = TokenVerifier(Expectations(service, service, algorithms), [keys], clock=clock)
        self._refresh = TokenVerifier(
            Expectations(service, _refresh_audience(service), algorithms), [keys], clock=clock
        )

    def access_token(self, identity: Identity, scopes: Sequence[Scope]) -> tuple[str, int, int]:
        """Return a token with `scopes`, when it was issued, and for how many seconds it is good."""
        access = [{"type": scope.type, "name": scope.name, "actions": list(scope.actions)} for scope in scopes]
        lifetime = self._lifetimes.access_seconds
        token, issued = self._sign(identity, self._service, lifetime, {"access": access})
        return token, issued, lifetime

    def new_login(self, identity: Identity, *, rotates: bool) -> RefreshToken:
        """Return the first token of a login; that of a CI job lives for an hour, which is about what a job takes."""
        lifetime = self._lifetimes.refresh_seconds
        if identity.proof.startswith("oidc:"):
            lifetime = min(lifetime, _CI_SECONDS)
        return RefreshToken(identity.user, secrets.token_hex(6), 0, int(self._clock()) + lifetime, rotates)

    def refresh_token(self, identity: Identity, token: RefreshToken) -> str:
        """Return `token` signed. Its end is exact: the record of a login is found by it."""
        more = {"login": token.login, "generation": token.generation, "rotates": token.rotates, "exp": token.expires}
        return self._sign(identity, _refresh_audience(self._service), 0, more)[0]

    def read_access(self, token: str) -> AccessToken:
        """Return what an access token says.

        Raises:
            TokenRefusedError: this registry did not sign it, or it has expired.
        """
        claims = self._access.verify(token)
        return AccessToken(_identity(claims), frozenset(granted_accesses(claims)))

    def read_refresh(self, token: str) -> tuple[Identity, RefreshToken]:
        """Return whose refresh token this is, and of which login; older registries gave one token to each.

        Raises:
            TokenRefusedError: this registry did not sign it, or it has expired.
        """
        claims = self._refresh.verify(token)
        identity = _identity(claims)
        login, generation, expires = claims.get("login", claims.get("jti")), claims.get("generation", 0), claims["exp"]
        if not isinstance(login, str) or not isinstance(generation, int) or not isinstance(expires, int):
            raise TokenRefusedError("it does not say of which login it is")
        return identity, RefreshToken(identity.user, login, generation, expires, claims.get("rotates") is True)

    def _sign(self, identity: Identity, audience: str, lifetime: int, more: Mapping[str, object]) -> tuple[str, int]:
        signing, now = self._keys.newest(), int(self._clock())
        claims = {
            "iss": self._service,
            "sub": identity.user,
            "aud": audience,
            "exp": now + lifetime,
            "nbf": now,
            "iat": now,
            "jti": secrets.token_urlsafe(12),
            "proof": identity.proof,
            **more,
        }
        return jwt.encode(claims, signing.key, ALGORITHM, headers={"kid": signing.key_id}), now


def _refresh_audience(service: str) -> str:
    return f"{service}#refresh"


def _identity(claims: Mapping[str, object]) -> Identity:
    user, proof = claims.get("sub"), claims.get("proof")
    if not isinstance(user, str) or not isinstance(proof, str):
        raise TokenRefusedError("it does not say whose it is")
    return Identity(user, proof)
