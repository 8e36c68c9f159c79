from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from registry.config import ConfigurationError
from registry.config.values import TLS
from registry.server.tls.context import server_context
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path


def written(directory: Path) -> dict[str, str]:
    """Write a certificate and a key in all sorts of forms; return the path of each."""
    pair = Authority.create(directory).issue("server")
    crt, pem = pair.certificate.read_bytes(), pair.key.read_bytes()
    certificate, key = x509.load_pem_x509_certificate(crt), load_pem_private_key(pem, None)
    raw, secret = PrivateFormat.PKCS8, NoEncryption()
    contents = {
        "crt": crt,
        "key": pem,
        "crt.der": certificate.public_bytes(Encoding.DER),
        "key.der": key.private_bytes(Encoding.DER, raw, secret),
        "p12": pkcs12.serialize_key_and_certificates(b"a", key, certificate, None, secret),  # type: ignore[arg-type]
        "ssh": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, secret),
        "public": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "cut": crt[: len(crt) // 2],
        "cut.key": pem[: len(pem) // 2],
        "empty": b" \n",
        "text": b"x",
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return {name: str(directory / name) for name in contents}


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("crt.der", "key", "certificate: {certificate} is DER, not PEM; `openssl x509 -inform der "),
        ("p12", "key", "certificate: {certificate} is PKCS#12, not PEM; `openssl pkcs12 -in FILE -nokeys "),
        ("empty", "key", "certificate: {certificate} is empty"),
        ("text", "key", "certificate: {certificate} is not PEM: it has no line -----BEGIN CERTIFICATE-----"),
        ("cut", "key", "certificate: {certificate} holds a certificate that is damaged or cut short"),
        ("public", "key", "certificate: {certificate} holds a PEM block PUBLIC KEY, not a certificate"),
        ("key", "key", "certificate: {certificate} holds a private key, not a certificate"),
        (
            "key",
            "crt",
            "certificate: {certificate} holds a private key, not a certificate; certificate and key are swapped",
        ),
        ("crt", "crt", "key: {key} holds a certificate, not a private key"),
        ("crt", "key.der", "key: {key} is DER, not PEM; `openssl pkey -inform der "),
        ("crt", "p12", "key: {key} is PKCS#12, not PEM; `openssl pkcs12 -in FILE -nocerts -nodes "),
        ("crt", "empty", "key: {key} is empty"),
        ("crt", "text", "key: {key} is not PEM: it has no line -----BEGIN PRIVATE KEY-----"),
        ("crt", "cut.key", "key: {key} holds a private key that is damaged or cut short"),
        ("crt", "ssh", "key: {key} holds a key of OpenSSH"),
    ],
)
def test_it_is_said_what_a_file_holds_that_cannot_be_used(
    tmp_path: Path, certificate: str, key: str, said: str
) -> None:
    paths = written(tmp_path)
    with pytest.raises(ConfigurationError) as raised:
        server_context(TLS(certificate=paths[certificate], key=paths[key]))
    assert str(raised.value).startswith("http.tls." + said.format(certificate=paths[certificate], key=paths[key]))


def test_it_is_said_what_a_file_of_authorities_holds(tmp_path: Path) -> None:
    paths = written(tmp_path)
    for name, said in (("crt.der", "is DER, not PEM"), ("empty", "is empty"), ("key", "holds a private key, not a")):
        with pytest.raises(ConfigurationError) as raised:
            server_context(TLS(certificate=paths["crt"], key=paths["key"], clientcas=(paths[name],)))
        assert str(raised.value).startswith(f"http.tls.clientcas[0]: {paths[name]} {said}")
