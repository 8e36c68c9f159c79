"""Public keys that may sign tokens, and every id under which a token may name one."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography import x509

logger = logging.getLogger(__name__)

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Key = PublicKey | bytes
"""What verifies a signature; bytes are the shared secret of HS256 and its like."""

ALGORITHMS = (
    *("EdDSA", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("ES256", "ES384", "ES512", "PS256", "PS384", "PS512"),
)
"""Every algorithm that a token may be signed with, as the Go registry lists them."""

_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: tuple[tuple[type, str, str], ...] = (
    (SECP256R1, "P-256", "ES256"),
    (SECP384R1, "P-384", "ES384"),
    (SECP521R1, "P-521", "ES512"),
)
_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key, the ids that it answers to and the only algorithms that it may be used with."""

    key: Key
    ids: frozenset[str]
    algorithms: frozenset[str]


class TrustedKeys:
    """Trusted keys by id. Two keys may share an id: rotation reuses names."""

    def __init__(self, keys: Iterable[TrustedKey] = ()) -> None:
        self._by_id: dict[str, list[TrustedKey]] = {}
        for key in keys:
            for key_id in key.ids:
                self._by_id.setdefault(key_id, []).append(key)

    def find(self, key_id: str) -> list[TrustedKey]:
        """Return the keys called `key_id`."""
        return self._by_id.get(key_id, [])

    def ids(self) -> list[str]:
        """Return every id, for a log."""
        return list(self._by_id)


def trusted_key(key: Key, key_id: str = "", algorithm: str = "") -> TrustedKey:
    """Return `key` under its computed ids and its own; `algorithm` narrows down what it is used with.

    Raises:
        ValueError: no token can be signed with such a key.
    """
    algorithms = algorithms_of(key)
    if algorithm:
        algorithms &= {algorithm}
    ids = set() if isinstance(key, bytes) else computed_ids(key)
    if not algorithms:
        raise ValueError(f"algorithm {algorithm!r} does not fit it")
    return TrustedKey(key, frozenset(ids | ({key_id} if key_id else set())), algorithms)


def algorithms_of(key: object) -> frozenset[str]:
    """Return the algorithms that fit the type of `key`.

    This is what stops a public key from being used as the secret of HS256.

    Raises:
        ValueError: there are none.
    """
    if isinstance(key, bytes):
        fitting = frozenset(name for name, size in _SECRET_BYTES.items() if len(key) >= size)
        if not fitting:
            raise ValueError(f"a secret of {len(key)} bytes is too short (RFC 7518 section 3.2)")
        return fitting
    if isinstance(key, RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits is too weak")
        return _RSA_ALGORITHMS
    if isinstance(key, Ed25519PublicKey):
        return frozenset({"EdDSA"})
    if isinstance(key, EllipticCurvePublicKey):
        for curve, _, algorithm in _CURVES:
            if isinstance(key.curve, curve):
                return frozenset({algorithm})
    raise ValueError("neither an RSA, an Ed25519 nor an EC key on P-256, P-384 or P-521")


def computed_ids(key: PublicKey) -> set[str]:
    """Return the ids that issuers compute from `key`.

    These are the RFC 7638 thumbprint; the thumbprint that the Go registry computes, which for one EC key in
    128 lacks a leading zero; and the fingerprint of libtrust, which registry:2 and its token servers use.
    """
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    letters = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    libtrust = ":".join(letters[at : at + 4] for at in range(0, len(letters), 4))
    return {libtrust, thumbprint(key), _thumbprint(key, padded=False)}


def thumbprint(key: PublicKey) -> str:
    """Return the RFC 7638 thumbprint of `key`."""
    return _thumbprint(key, padded=True)


def _thumbprint(key: PublicKey, *, padded: bool) -> str:
    members: dict[str, str]
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        members = {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    elif isinstance(key, Ed25519PublicKey):
        members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}
    else:
        point = key.public_numbers()
        size = (key.curve.key_size + 7) // 8 if padded else 0
        name = next(name for curve, name, _ in _CURVES if isinstance(key.curve, curve))
        members = {"crv": name, "kty": "EC", "x": _integer(point.x, size), "y": _integer(point.y, size)}
    text = json.dumps(members, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode()).digest())


def _integer(number: int, size: int = 0) -> str:
    return _base64url(number.to_bytes(size or (number.bit_length() + 7) // 8))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def keys_of_certificates(certificates: Iterable[x509.Certificate]) -> TrustedKeys:
    """Return the keys of `certificates`; what cannot sign is left out and logged."""
    keys = []
    for certificate in certificates:
        try:
            keys.append(trusted_key(certificate.public_key()))  # type: ignore[arg-type]  # judged inside
        except ValueError as error:
            logger.warning("certificate %s signs no tokens: %s", certificate.subject.rfc4514_string(), error)
    return TrustedKeys(keys)


def parse_jwks(content: bytes) -> TrustedKeys:
    """Return the keys of a JWK set (RFC 7517); one that cannot be used is left out, with a line in the log.

    Raises:
        ValueError: it is not a JWK set, or has no usable key.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("not a JWK set: nested too deeply") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('not a JWK set: it has no list "keys"')  # noqa: TRY004 - the file is wrong, not a caller
    keys = []
    for entry in entries:
        try:
            keys.append(parse_jwk(entry))
        except ValueError as error:
            kid = entry.get("kid") if isinstance(entry, dict) else None
            logger.warning("key %r of the JWK set is not used: %s", kid, error)
    if not keys:
        raise ValueError("the JWK set has no usable key")
    return TrustedKeys(keys)


def parse_jwk(entry: object) -> TrustedKey:
    """Return the key that a JWK describes; of a private key, its public half.

    Raises:
        ValueError: it is malformed or not for signatures.
    """
    if not isinstance(entry, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as above
    if entry.get("use", "sig") != "sig":
        raise ValueError("its use is not sig")
    key_id, algorithm = entry.get("kid", ""), entry.get("alg", "")
    if not isinstance(key_id, str) or not isinstance(algorithm, str):
        raise ValueError("kid or alg is not a string")  # noqa: TRY004 - as above
    return trusted_key(_key_of_jwk(entry), key_id, algorithm)


def _key_of_jwk(entry: Mapping[str, object]) -> Key:
    readers: dict[str, type[RSAAlgorithm | ECAlgorithm | OKPAlgorithm | HMACAlgorithm]] = {
        "RSA": RSAAlgorithm,
        "EC": ECAlgorithm,
        "OKP": OKPAlgorithm,
        "oct": HMACAlgorithm,
    }
    reader = readers.get(str(entry.get("kty")))
    if reader is None:
        raise ValueError(f"unknown key type {entry.get('kty')!r}")
    try:
        key = reader.from_jwk(dict(entry))
    except (InvalidKeyError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key.public_key()
    if isinstance(key, bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return key
    raise ValueError(f"unknown key type {entry.get('kty')!r}")
