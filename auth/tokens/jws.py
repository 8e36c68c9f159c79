"""Signed tokens (RFC 7515, RFC 7519): what one says, if a trusted key signed it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt
from jwt.utils import base64url_decode

from auth.tokens.chains import key_of_chain
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography import x509

    from auth.tokens.keysets import KeySource
    from auth.tokens.trusted import TrustedKey

LEEWAY_SECONDS = 60
"""How far the clocks of issuer and registry may differ."""

_LARGEST = 64 * 1024
_SHOWN = 200
_MOST_SECONDS = 2**63


class TokenRefusedError(Exception):
    """A token is not accepted; the text says why and holds nothing of the token but what it claims to be.

    `told` is whether the client hears of it as ``error="invalid_token"``. The Go registry keeps silent about
    a wrong signature and claims that it cannot parse.
    """

    def __init__(self, reason: str, *, told: bool = True) -> None:
        super().__init__(reason)
        self.told = told


@dataclass(frozen=True, slots=True)
class Expectations:
    """Who must have issued a token, for whom, and how it may be signed."""

    issuer: str
    audience: str
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Signed:
    """Which key signed a token, and its id; "" where a chain of certificates led to it, which may expire."""

    key: TrustedKey
    key_id: str


class TokenVerifier:
    """Verifies tokens against trusted keys and the roots of certificate chains.

    A token comes with many requests, so that a signature was right is remembered by the token's digest, while the
    key stays trusted. Times, issuer and audience are checked again for each.
    """

    def __init__(
        self,
        expected: Expectations,
        keys: Sequence[KeySource],
        roots: Callable[[], Sequence[x509.Certificate]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.expected = expected
        self._keys = keys
        self._roots = roots
        self._clock = clock
        self._jws = jwt.PyJWS()
        self._signed: RecentlyUsed[bytes, _Signed] = RecentlyUsed()

    def verify(self, token: str) -> Mapping[str, object]:
        """Return the claims of `token`.

        Raises:
            TokenRefusedError: it is malformed, expired, not for us, or no trusted key signed it.
        """
        header, claims = unverified(token)
        digest = hashlib.sha256(token.encode()).digest()
        signed = self._signed.get(digest)
        if signed is None or signed.key not in self._find(signed.key_id):
            signed = self._verify_signature(token, header)
            if signed.key_id:
                self._signed.put(digest, signed)
        self._check(claims)
        return claims

    def known_ids(self) -> list[str]:
        """Return the ids of the trusted keys, for a log."""
        # The shortest first: an issuer's own names tell a reader more than computed ones.
        return sorted({key_id for source in self._keys for key_id in source.ids()}, key=lambda each: (len(each), each))

    def _verify_signature(self, token: str, header: Mapping[str, object]) -> _Signed:
        if "crit" in header:
            raise TokenRefusedError("it has critical header parameters and none is understood")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self.expected.algorithms:
            raise TokenRefusedError(f"algorithm {shown(algorithm)} is not accepted")
        try:
            candidates, key_id = self._candidates(header)
        except ValueError as error:
            raise TokenRefusedError(str(error)) from error
        if not candidates:
            raise TokenRefusedError("its key is not trusted")
        fitting = [key for key in candidates if algorithm in key.algorithms]
        if not fitting:
            raise TokenRefusedError(f"algorithm {algorithm} does not fit its key")
        for key in fitting:
            try:
                self._jws.decode(token, key.key, algorithms=[algorithm])
            # Bytes of a stranger: whatever the libraries have to say of them, this key did not sign.
            except Exception:  # noqa: BLE001, S112
                continue
            return _Signed(key, key_id)
        raise TokenRefusedError("its signature is wrong", told=False)

    def _candidates(self, header: Mapping[str, object]) -> tuple[Sequence[TrustedKey], str]:
        """Return the keys that may have signed, and the id that they were found by, if they were."""
        embedded = header.get("jwk")
        if embedded is not None and not isinstance(embedded, dict):
            raise ValueError("its jwk is not an object")
        for bearer in (header, embedded or {}):
            if "x5c" in bearer:
                return [key_of_chain(bearer["x5c"], self._roots())], ""
        # Never the key that the token brings along: the trusted one of the same name.
        key_id = header.get("kid") if embedded is None else embedded.get("kid")
        if not isinstance(key_id, str) or not key_id:
            raise ValueError("it names no key")
        return self._find(key_id), key_id

    def _find(self, key_id: str) -> Sequence[TrustedKey]:
        return [key for source in self._keys for key in source.find(key_id)]

    def _check(self, claims: Mapping[str, object]) -> None:
        now = self._clock()
        audiences = claims.get("aud")
        if claims.get("iss") != self.expected.issuer:
            raise TokenRefusedError("it is from another issuer")
        if isinstance(audiences, str):
            audiences = [audiences]
        if not isinstance(audiences, list) or self.expected.audience not in audiences:
            raise TokenRefusedError("it is for another audience")
        expires = _time(claims, "exp")
        if expires is None or expires + LEEWAY_SECONDS < now:
            raise TokenRefusedError("it has expired")
        begins = _time(claims, "nbf")
        if begins is not None and begins - LEEWAY_SECONDS > now:
            raise TokenRefusedError("it is not valid yet")


def _time(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    # As in Go, where it is an int64.
    if value is not None and (type(value) is not int or not -_MOST_SECONDS <= value < _MOST_SECONDS):
        raise TokenRefusedError(f"{name} is not an integer", told=False)
    return value


def unverified(token: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return header and claims of `token` as anybody may have written them; believe nothing of it.

    Raises:
        TokenRefusedError: it is not a token at all.
    """
    parts = token.split(".")
    if len(token) > _LARGEST or len(parts) != 3 or not token.isascii():  # noqa: PLR2004 - header.claims.signature
        raise TokenRefusedError("it is malformed")
    try:
        return _json_object(base64url_decode(parts[0])), _json_object(base64url_decode(parts[1]))
    except ValueError:
        raise TokenRefusedError("it is malformed") from None


def _json_object(content: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise TokenRefusedError("it does not hold JSON", told=False) from None
    if not isinstance(value, dict):
        raise TokenRefusedError("it does not hold a JSON object", told=False)
    return value


def facts(token: str) -> str:
    """Return what a token claims of itself, for the log line that says why it was refused."""
    try:
        header, claims = unverified(token)
    except TokenRefusedError:
        return "nothing readable"
    named = {
        "iss": claims.get("iss"),
        "aud": claims.get("aud"),
        "kid": header.get("kid"),
        "alg": header.get("alg"),
    }
    return " ".join(f"{name}={shown(value)}" for name, value in named.items())


def shown(value: object) -> str:
    """Return a stranger's value fit for a log: on one line, in ASCII, not too long."""
    try:
        text = ascii(value)
    except (RecursionError, ValueError):  # nested deeply, or an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
