"""Whatever a client sends for a token, it is the client's fault: 401 with a challenge, and nobody is mailed."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.config.values import Plugin
from tests.auth.issuing import (
    ISSUER,
    SERVICE,
    Issuer,
    certificate,
    claims,
    encoded,
    jwk,
    jwks_file,
    pem_bundle,
    signature,
    x5c,
)
from tests.handlers.test_access import application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

TRUSTED = ec.generate_private_key(ec.SECP256R1())
LEAF = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
ROOT = certificate(TRUSTED, "root", authority=True)
CERTIFICATE = certificate(LEAF, "leaf", signer=(ROOT, TRUSTED))
PRIVATE = {**jwk(TRUSTED, kid="key"), "d": encoded(b"\1" * 32)}


DEEP = "<deep>"
"""Stands for lists within lists, for which neither this program nor Hypothesis has a stack."""

DEPTHS = (100, 500, 900, 950, 30_000)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["key", SERVICE, ISSUER, "none", "HS256", "RS256", "ES256", "ES256K"])
    | st.sampled_from(["\ud800", "a\r\nb: c", "", DEEP])
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
"""Any JSON, and what Python's JSON takes beyond it: NaN, infinity, halves of surrogate pairs."""

NO_CERTIFICATES = st.binary().map(lambda content: base64.b64encode(content).decode())
LINKS = st.sampled_from(x5c(CERTIFICATE, ROOT)) | ANYTHING | NO_CERTIFICATES
CHAINS = st.lists(LINKS, max_size=4)
JWKS = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d", "n", "e", "k", "kid", "x5c", "jwk"]), ANYTHING)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": ANYTHING,
        "typ": ANYTHING,
        "kid": ANYTHING,
        "jwk": JWKS | ANYTHING | st.just(PRIVATE) | st.just({**PRIVATE, "jwk": PRIVATE}),
        "x5c": CHAINS | ANYTHING,
        "jku": ANYTHING,
        "crit": ANYTHING,
        "b64": ANYTHING,
        "zip": ANYTHING,
    },
)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "access"]), ANYTHING, min_size=1)
ACCESS = st.lists(
    st.fixed_dictionaries({}, optional={"type": ANYTHING, "name": ANYTHING, "actions": ANYTHING}) | ANYTHING, max_size=3
)
SIGNATURES = st.binary(max_size=100).map(encoded)
SEGMENTS = st.binary(max_size=60).map(encoded) | st.text(st.characters(max_codepoint=255), max_size=60)


def segment(value: Any, depth: int) -> str:
    deep = "[" * depth + "]" * depth
    return encoded(json.dumps(value).replace(json.dumps(DEEP), deep).encode())


def unsigned(header: Any, body: Any, signed: str, depth: int = 100) -> str:
    return f"{segment(header, depth)}.{segment(body, depth)}.{signed}"


def signed_by(key: ec.EllipticCurvePrivateKey, header: Any, body: Any, depth: int = 100) -> str:
    content = f"{segment(header, depth)}.{segment(body, depth)}"
    return f"{content}.{encoded(signature(key, 'ES256', content.encode()))}"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlaskClient]:
    """Registries that take tokens of others, by keys and by certificates, and one that takes its own and CI tokens."""
    directory: Path = tmp_path_factory.mktemp("keys")
    common = {"realm": "https://auth.example/token", "service": SERVICE, "issuer": ISSUER}
    keys = jwks_file(directory / "jwks.json", jwk(TRUSTED, kid="key"))
    jobs = {"user": "ci", "claims": {"sub": "*"}}
    oidc = [{"issuer": ISSUER, "audience": SERVICE, "jwks": keys, "rules": [jobs]}]
    parameters: dict[str, dict[str, object]] = {
        "keys": {**common, "jwks": keys},
        "certificates": {**common, "rootcertbundle": pem_bundle(directory / "roots.pem", [ROOT])},
        "local": {"key": str(directory / "key.pem"), "rules": [], "oidc": oidc},
    }
    return {
        name: application(Plugin("local" if name == "local" else "token", section)).test_client()
        for name, section in parameters.items()
    }


@pytest.fixture(autouse=True)
def nobody_is_mailed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Operators have errors mailed: what a client does wrong is a warning, without a traceback."""
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.get_records("call"):
        assert record.levelno < logging.ERROR, record.getMessage()
        assert not record.exc_info


def bearing(client: FlaskClient, token: str) -> TestResponse:
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    return client.get("/v2/team/app/tags/list", environ_overrides=environ)


def assert_refused(response: TestResponse) -> None:
    assert response.status_code == 401
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="')
    assert 'scope="repository:team/app:pull"' in challenge
    assert json.loads(response.text)["errors"][0]["code"] == "UNAUTHORIZED"


def refused_everywhere(clients: dict[str, FlaskClient], token: str) -> None:
    for client in clients.values():
        assert_refused(bearing(client, token))
    pair = base64.b64encode(f"ci:{token}".encode()).decode()
    asked = clients["local"].get("/auth/token", headers={"Authorization": f"Basic {pair}"})
    form = {"grant_type": "refresh_token", "refresh_token": token}
    exchanged = clients["local"].post("/auth/token", data=form)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"].startswith('Basic realm="')
    if exchanged.status_code != 413:
        assert exchanged.status_code == 401
        assert exchanged.headers["WWW-Authenticate"].startswith('Basic realm="')


@given(HEADERS, SIGNATURES, st.sampled_from(DEPTHS))
@example({"alg": "ES256", "kid": "key", "crit": ["b64"], "b64": False}, "", 1)
@example({"alg": "none", "kid": "key"}, "", 1)
@example({"alg": "ES256", "jwk": PRIVATE}, encoded(b"\1" * 64), 1)
@example({"alg": "ES256", "kid": DEEP}, "AAAA", 900)
@example({"alg": "ES256", "kid": "key", "cty": DEEP}, "AAAA", 940)
def test_header_that_nobody_signed_is_401(clients: dict[str, FlaskClient], header: Any, end: str, depth: int) -> None:
    refused_everywhere(clients, unsigned(header, claims(), end, depth))


@given(HEADERS)
def test_header_that_a_stranger_signed_is_401(clients: dict[str, FlaskClient], header: Any) -> None:
    refused_everywhere(
        clients, signed_by(STRANGER, {"alg": "ES256", "jwk": jwk(STRANGER, kid="key"), **header}, claims())
    )


@given(SEGMENTS, SEGMENTS, SEGMENTS)
@example("e30", "e30", "")
@example(encoded(b"\xff\xfe{\0}\0"), "e30", "AA")
@example("", "", "")
def test_segments_that_are_not_a_token_are_401(clients: dict[str, FlaskClient], one: str, two: str, three: str) -> None:
    refused_everywhere(clients, f"{one}.{two}.{three}")


def test_token_of_a_hundred_thousand_bytes_is_401(clients: dict[str, FlaskClient]) -> None:
    refused_everywhere(clients, f"{'A' * 100_000}.e30.AA")


@given(CLAIMS, st.sampled_from(DEPTHS))
@example({"exp": 10**400}, 1)
@example({"exp": float("nan")}, 1)
@example({"nbf": 1e308}, 1)
@example({"aud": {SERVICE: SERVICE}}, 1)
@example({"aud": DEEP}, 900)
@settings(max_examples=200)
def test_claims_that_the_issuer_got_wrong_are_401(
    clients: dict[str, FlaskClient], wrong: dict[str, Any], depth: int
) -> None:
    token = signed_by(TRUSTED, {"alg": "ES256", "kid": "key"}, {**claims(access=[]), **wrong}, depth)
    assert_refused(bearing(clients["keys"], token))


@given(ACCESS)
@example([{"type": "repository", "name": "team/app", "actions": {"pull": True}}])
def test_access_claim_of_any_shape_grants_nothing_and_is_401(clients: dict[str, FlaskClient], access: Any) -> None:
    token = signed_by(TRUSTED, {"alg": "ES256", "kid": "key"}, claims(access=access))
    assert_refused(bearing(clients["keys"], token))


@given(CHAINS | ANYTHING)
def test_chain_of_anything_is_401(clients: dict[str, FlaskClient], chain: Any) -> None:
    refused_everywhere(clients, unsigned({"alg": "ES256", "x5c": chain}, claims(), encoded(b"\1" * 64)))


def version_2() -> bytes:
    """The certificate with the version of X.509 of 1993, which the library does not read."""
    der = CERTIFICATE.public_bytes(Encoding.DER)
    return der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)


@pytest.mark.parametrize("chain", [[version_2()], [CERTIFICATE.public_bytes(Encoding.DER), version_2()]])
def test_certificate_of_version_2_is_401(clients: dict[str, FlaskClient], chain: list[bytes]) -> None:
    texts = [base64.b64encode(each).decode() for each in chain]
    refused_everywhere(clients, Issuer(LEAF, "ES256").token(claims(), x5c=texts))


@given(st.data())
@settings(max_examples=300)
def test_certificate_with_a_changed_byte_is_401(clients: dict[str, FlaskClient], data: st.DataObject) -> None:
    der = bytearray(CERTIFICATE.public_bytes(Encoding.DER))
    at = data.draw(st.integers(0, len(der) - 1))
    der[at] ^= data.draw(st.integers(1, 255))
    token = Issuer(LEAF, "ES256").token(claims(), x5c=[base64.b64encode(der).decode()])
    assert_refused(bearing(clients["certificates"], token))


def test_what_is_as_it_should_be_opens(clients: dict[str, FlaskClient]) -> None:
    certified = Issuer(LEAF, "ES256").token(claims(), x5c=x5c(CERTIFICATE))
    assert bearing(clients["certificates"], certified).status_code == 404
    known = Issuer(TRUSTED, "ES256", {"kid": "key"})
    assert bearing(clients["keys"], known.token(claims())).status_code == 404
    pair = base64.b64encode(f"ci:{known.token(claims())}".encode()).decode()
    assert clients["local"].get("/auth/token", headers={"Authorization": f"Basic {pair}"}).status_code == 200
