"""A token service that shares no code with the registry: it signs with the primitives of cryptography alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ISSUER, SERVICE = "token-service.example", "registry.example"
HASHES: dict[str, Any] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


@dataclass
class Issuer:
    """Signs what it is told to, right or wrong."""

    key: Any
    algorithm: str
    headers: dict[str, Any] = field(default_factory=dict)

    def token(self, claims: Any, **headers: Any) -> str:
        header = {"typ": "JWT", "alg": self.algorithm, **self.headers, **headers}
        signed = f"{encoded_json(header)}.{encoded_json(claims)}"
        return f"{signed}.{encoded(signature(self.key, self.algorithm, signed.encode()))}"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that let `alice` pull and push team/app; a change to None takes one away."""
    now = int(time.time())
    access = [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
    usual = {"iss": ISSUER, "aud": SERVICE, "sub": "alice", "exp": now + 300, "nbf": now, "iat": now, "access": access}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def signature(key: Any, algorithm: str, content: bytes) -> bytes:
    size = algorithm[2:]
    if algorithm == "EdDSA":
        return bytes(key.sign(content))
    if algorithm.startswith("HS"):
        return hmac.digest(key, content, f"sha{size}")
    if algorithm.startswith("RS"):
        return bytes(key.sign(content, padding.PKCS1v15(), HASHES[size]()))
    if algorithm.startswith("PS"):
        pss = padding.PSS(padding.MGF1(HASHES[size]()), padding.PSS.DIGEST_LENGTH)
        return bytes(key.sign(content, pss, HASHES[size]()))
    width = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(HASHES[size]())))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def encoded_json(value: Any) -> str:
    return encoded(json.dumps(value).encode())


def integer(number: int, width: int = 0) -> str:
    return encoded(number.to_bytes(width or (number.bit_length() + 7) // 8, "big"))


def jwk(key: PrivateKey | bytes, **members: str) -> dict[str, str]:
    if isinstance(key, bytes):
        return {"kty": "oct", "k": encoded(key), **members}
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": integer(numbers.n), "e": integer(numbers.e), **members}
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": encoded(public.public_bytes_raw()), **members}
    point, width = public.public_numbers(), (public.curve.key_size + 7) // 8
    names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
    x, y = integer(point.x, width), integer(point.y, width)
    return {"kty": "EC", "crv": names[public.curve.name], "x": x, "y": y, **members}


def libtrust_id(key: PrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def thumbprint(key: PrivateKey) -> str:
    members = {name: value for name, value in jwk(key).items() if name in {"kty", "n", "e", "crv", "x", "y"}}
    return encoded(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def certificate(
    key: PrivateKey,
    name: str = "token-service",
    *,
    signer: tuple[x509.Certificate, PrivateKey] | None = None,
    authority: bool = False,
    days: float = 10,
) -> x509.Certificate:
    """A certificate for `key`, by `signer` or by itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=20))
        .not_valid_after(now + timedelta(days=days))
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signing = signer[1] if signer else key
    hashed = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signing, hashed)


def pem_bundle(path: Path, certificates: Sequence[x509.Certificate]) -> str:
    path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    return str(path)


def x5c(*certificates: x509.Certificate) -> list[str]:
    return [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in certificates]


def jwks_file(path: Path, *keys: dict[str, str]) -> str:
    path.write_text(json.dumps({"keys": keys}))
    return str(path)
