from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from registry.config import ConfigurationError
from registry.config.values import TLS
from registry.server.tls.context import server_context
from tests.server.tls.authority import Authority
from tests.server.tls.handshake import shake_hands

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.tls.authority import Pair

REQUEST, REQUIRE_ANY = "request-client-cert", "require-any-client-cert"
VERIFY_GIVEN, REQUIRE = "verify-client-cert-if-given", "require-and-verify-client-cert"
ACCEPTED = {
    REQUEST: {"missing", "good", "chained", "foreign", "expired"},
    REQUIRE_ANY: {"good", "chained", "foreign", "expired"},
    VERIFY_GIVEN: {"missing", "good", "chained"},
    REQUIRE: {"good", "chained"},
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def pair(ours: Authority) -> Pair:
    return ours.issue("server")


@pytest.fixture(scope="module")
def presented(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair | None]:
    """What a client may come with."""
    foreign = Authority.create(tmp_path_factory.mktemp("foreign"))
    intermediate = Authority.create(tmp_path_factory.mktemp("intermediate"), parent=ours)
    return {
        "missing": None,
        "good": ours.issue("client"),
        "chained": intermediate.issue("client"),
        "foreign": foreign.issue("client"),
        "expired": ours.issue("expired", expired=True),
    }


def section(pair: Pair, **keys: object) -> TLS:
    return TLS(certificate=str(pair.certificate), key=str(pair.key), **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("certificate", ["missing", "good", "chained", "foreign", "expired"])
@pytest.mark.parametrize("mode", ACCEPTED)
def test_each_mode_of_clientauth_lets_in_whom_go_lets_in(
    ours: Authority, pair: Pair, presented: dict[str, Pair | None], *, mode: str, certificate: str, version: str
) -> None:
    server = server_context(section(pair, clientcas=(str(ours.path),), clientauth=mode))
    client = ours.trusting_client(presented[certificate])
    client.maximum_version = ssl.TLSVersion[version]
    if certificate in ACCEPTED[mode]:
        assert shake_hands(server, client).version() == version.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            shake_hands(server, client)


def test_without_clientcas_nobody_is_asked_for_a_certificate(ours: Authority, pair: Pair) -> None:
    shake_hands(server_context(section(pair, clientauth=REQUIRE)), ours.trusting_client())


def test_an_intermediate_that_is_listed_is_trusted_without_its_root(
    ours: Authority, pair: Pair, tmp_path: Path
) -> None:
    intermediate = Authority.create(tmp_path, parent=ours)
    server = server_context(section(pair, clientcas=(str(intermediate.path),)))
    shake_hands(server, ours.trusting_client(intermediate.issue("client")))
    with pytest.raises(ssl.SSLError):
        shake_hands(server, ours.trusting_client(ours.issue("other")))


def test_a_bundle_of_several_authorities_is_one_file(ours: Authority, pair: Pair, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(ours.path.read_bytes() + other.path.read_bytes())
    server = server_context(section(pair, clientcas=(str(bundle),)))
    for authority in (ours, other):
        shake_hands(server, ours.trusting_client(authority.issue("client")))


def test_a_chain_of_certificates_is_sent_whole(ours: Authority, tmp_path: Path) -> None:
    chained = Authority.create(tmp_path, parent=ours).issue("server")
    shake_hands(server_context(section(chained)), ours.trusting_client())


@pytest.mark.parametrize(
    ("minimum", "offered", "spoken"),
    [
        ("tls1.0", "TLSv1_2", True),
        ("tls1.2", "TLSv1_2", True),
        ("tls1.2", "TLSv1_3", True),
        ("tls1.3", "TLSv1_2", False),
        ("tls1.3", "TLSv1_3", True),
    ],
)
def test_minimumtls_bounds_what_is_spoken(
    ours: Authority, pair: Pair, minimum: str, offered: str, *, spoken: bool
) -> None:
    server = server_context(section(pair, minimumtls=minimum))
    client = ours.trusting_client()
    client.maximum_version = ssl.TLSVersion[offered]
    if spoken:
        assert shake_hands(server, client).version() == offered.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            shake_hands(server, client)


@pytest.mark.parametrize(
    ("suites", "chosen"),
    [
        ((), "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",), "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"), "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (
            ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
            "ECDHE-ECDSA-AES256-SHA",
        ),
    ],
)
def test_ciphersuites_are_called_as_in_go(ours: Authority, pair: Pair, suites: tuple[str, ...], chosen: str) -> None:
    client = ours.trusting_client()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ALL")
    cipher = shake_hands(server_context(section(pair, ciphersuites=suites)), client).cipher()
    assert cipher is not None
    assert cipher[0] == chosen


def test_suites_of_tls_1_3_alone_leave_no_tls_1_2(ours: Authority, pair: Pair) -> None:
    server = server_context(section(pair, ciphersuites=("TLS_AES_256_GCM_SHA384",)))
    client = ours.trusting_client()
    assert shake_hands(server, client).version() == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake_hands(server, client)


def test_only_http_1_is_offered(ours: Authority, pair: Pair) -> None:
    client = ours.trusting_client()
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert shake_hands(server_context(section(pair)), client).selected_alpn_protocol() == "http/1.1"


def test_what_cannot_be_used_is_said_with_its_key(ours: Authority, pair: Pair, tmp_path: Path) -> None:
    encrypted = tmp_path / "encrypted.key"
    key = load_pem_private_key(pair.key.read_bytes(), None)
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    other = ours.issue("other")
    nowhere, certificate = tmp_path / "nowhere", str(pair.certificate)
    wrong = {
        "http.tls.certificate: missing: ": TLS(key=str(pair.key)),
        "http.tls.key: missing: ": TLS(certificate=certificate),
        f"http.tls.key: {nowhere}: ": TLS(certificate=certificate, key=str(nowhere)),
        f"http.tls.certificate: {certificate} with key {other.key}: ": TLS(certificate=certificate, key=str(other.key)),
        "http.tls.key: is encrypted": TLS(certificate=certificate, key=str(encrypted)),
        f"http.tls.clientcas[1]: {nowhere}: ": section(pair, clientcas=(str(ours.path), str(nowhere))),
        f"http.tls.clientcas[0]: {pair.key} holds a private key, not ": section(pair, clientcas=(str(pair.key),)),
        'http.tls.ciphersuites: unknown cipher suite "AES"': section(pair, ciphersuites=("AES",)),
        "http.tls.ciphersuites: OpenSSL offers none of ": section(
            pair, ciphersuites=("TLS_RSA_WITH_RC4_128_SHA", "TLS_AES_256_GCM_SHA384")
        ),
    }
    for message, tls in wrong.items():
        with pytest.raises(ConfigurationError) as caught:
            server_context(tls)
        assert str(caught.value).startswith(message)
