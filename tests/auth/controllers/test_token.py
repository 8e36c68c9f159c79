from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.base import Access, Grant, UnauthorizedError
from auth.controllers.token import TokenController
from auth.tokens.jws import LEEWAY_SECONDS, Expectations, TokenRefusedError, TokenVerifier
from auth.tokens.keysets import REFRESH_SECONDS, RETRY_SECONDS, FileKeys, RemoteKeys
from auth.tokens.trusted import ALGORITHMS, computed_ids, parse_jwks
from registry.foundation.errors import ParameterError
from registry.foundation.files import WatchedFile
from registry.plugins import load_access
from tests.auth.asking import CATALOG, challenge, on, request
from tests.auth.conformance import AccessConformance, Welcome
from tests.auth.issuing import (
    ISSUER,
    SERVICE,
    Issuer,
    certificate,
    claims,
    encoded,
    encoded_json,
    integer,
    jwk,
    jwks_file,
    libtrust_id,
    pem_bundle,
    thumbprint,
    x5c,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REALM = "https://auth.example/token"
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = os.urandom(64)
OTHER = ec.generate_private_key(ec.SECP256R1())
KEYS: dict[str, Any] = {"RS": RSA, "PS": RSA, "HS": SECRET, "Ed": ED, "ES256": P256, "ES384": P384, "ES512": P521}


def build(**parameters: Any) -> TokenController:
    return TokenController.from_parameters({"realm": REALM, "service": SERVICE, "issuer": ISSUER, **parameters})


@pytest.fixture
def jwks(tmp_path: Path) -> str:
    keys: dict[str, Any] = {"rsa": RSA, "p256": P256, "p384": P384, "p521": P521, "ed": ED, "secret": SECRET}
    return jwks_file(tmp_path / "jwks.json", *[jwk(key, kid=name) for name, key in keys.items()])


@pytest.fixture
def controller(jwks: str) -> TokenController:
    return build(jwks=jwks)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(P256, "ES256", {"kid": "p256"})


def admits(controller: TokenController, token: str) -> bool:
    try:
        controller.authorize(request(f"Bearer {token}"), on("team/app", "pull"))
    except UnauthorizedError:
        return False
    return True


def refusal(controller: TokenController, token: str, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """The error that the client is told, and the log line."""
    caplog.clear()
    told = challenge(controller, request(f"Bearer {token}"), on("team/app", "pull"))
    (record,) = [each for each in caplog.records if "token refused" in each.getMessage()]
    assert token not in caplog.text
    return told.partition(',error="')[2].rstrip('"'), record.getMessage()


class TestTokenController(AccessConformance):
    @pytest.fixture
    def controller(self, jwks: str) -> TokenController:
        return build(jwks=jwks)

    @pytest.fixture
    def welcome(self, issuer: Issuer) -> Welcome:
        token = issuer.token(claims())
        return Welcome(f"Bearer {token}", "alice", token.rpartition(".")[2])

    @pytest.fixture
    def wrong(self) -> str:
        return "Bearer " + Issuer(OTHER, "ES256", {"kid": "p256"}).token(claims())


class TestChallenges:
    def test_at_the_door_there_is_no_scope(self, controller: TokenController) -> None:
        assert challenge(controller, request()) == f'Bearer realm="{REALM}",service="{SERVICE}"'

    def test_actions_on_one_resource_are_merged(self, controller: TokenController) -> None:
        accesses = [*on("a/b", "pull", "push"), *on("c", "pull"), *on("a/b", "delete")]
        assert challenge(controller, request(), accesses).endswith(
            ',scope="repository:a/b:pull,push,delete repository:c:pull"'
        )

    def test_the_catalog_has_a_scope_of_its_own(self, controller: TokenController) -> None:
        assert challenge(controller, request(), CATALOG).endswith(',scope="registry:catalog:*"')

    def test_too_little_is_insufficient_scope(self, controller: TokenController, issuer: Issuer) -> None:
        bearer = f"Bearer {issuer.token(claims())}"
        told = challenge(controller, request(bearer), on("team/app", "delete"))
        assert told.endswith(',scope="repository:team/app:delete",error="insufficient_scope"')
        assert "insufficient_scope" in challenge(controller, request(bearer), on("team/other", "pull"))
        assert "insufficient_scope" in challenge(controller, request(bearer), CATALOG)

    def test_overwriting_is_a_push_to_an_external_service(self, controller: TokenController, issuer: Issuer) -> None:
        bearer = f"Bearer {issuer.token(claims())}"
        assert controller.authorize(request(bearer), on("team/app", "pull", "push", "overwrite")) == Grant("alice")
        told = challenge(controller, request(), on("team/app", "pull", "overwrite"))
        assert 'scope="repository:team/app:pull,push"' in told

    @pytest.mark.parametrize(("forwarded", "scheme"), [(None, "https"), ("http", "http"), ("https", "https")])
    def test_autoredirect_points_to_this_host_on_https_unless_told(
        self, jwks: str, forwarded: str | None, scheme: str
    ) -> None:
        asked = replace(request(), forwarded_scheme=forwarded, base_url="http://registry.example:5000")
        automatic = build(jwks=jwks, autoredirect=True)
        assert f'realm="{scheme}://registry.example:5000/auth/token"' in challenge(automatic, asked)
        elsewhere = build(jwks=jwks, autoredirect=True, autoredirectpath="/x/")
        assert f'realm="{scheme}://registry.example:5000/x/"' in challenge(elsewhere, asked)


class TestKeysOfEveryKind:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_algorithm_of_the_go_registry_is_verified(self, controller: TokenController, algorithm: str) -> None:
        key = KEYS.get(algorithm) or KEYS[algorithm[:2]]
        names = {id(RSA): "rsa", id(SECRET): "secret", id(ED): "ed", id(P256): "p256", id(P384): "p384"}
        assert admits(controller, Issuer(key, algorithm).token(claims(), kid=names.get(id(key), "p521")))

    @pytest.mark.parametrize("key", [RSA, P256, P384, P521, ED], ids=["rsa", "p256", "p384", "p521", "ed"])
    @pytest.mark.parametrize("named", [thumbprint, libtrust_id])
    def test_a_bundles_key_is_found_by_thumbprint_and_by_libtrust_fingerprint(
        self, tmp_path: Path, key: Any, named: Callable[[Any], str]
    ) -> None:
        bundle = pem_bundle(tmp_path / "bundle.pem", [certificate(OTHER), certificate(key)])
        algorithm = next(name for name, value in KEYS.items() if value is key)
        algorithm = {"RS": "RS256", "Ed": "EdDSA"}.get(algorithm, algorithm)
        assert admits(build(rootcertbundle=bundle), Issuer(key, algorithm).token(claims(), kid=named(key)))

    def test_a_jwks_key_is_found_by_computed_ids_too(self, controller: TokenController) -> None:
        for name in (thumbprint(RSA), libtrust_id(RSA), "rsa"):
            assert admits(controller, Issuer(RSA, "RS256").token(claims(), kid=name))

    def test_a_key_is_found_by_the_go_registrys_thumbprint_without_leading_zeros(self) -> None:
        key = next(
            key
            for key in iter(lambda: ec.generate_private_key(ec.SECP256R1()), None)
            if key.public_key().public_numbers().x >> 248 == 0
        )
        point = key.public_key().public_numbers()
        members = {"crv": "P-256", "kty": "EC", "x": integer(point.x), "y": integer(point.y)}
        unpadded = encoded(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())
        assert unpadded != thumbprint(key)
        assert {unpadded, thumbprint(key), libtrust_id(key)} == computed_ids(key.public_key())

    def test_two_keys_of_one_name_are_both_tried(self, tmp_path: Path) -> None:
        path = jwks_file(tmp_path / "jwks.json", jwk(OTHER, kid="key"), jwk(P256, kid="key"))
        for key in (OTHER, P256):
            assert admits(build(jwks=path), Issuer(key, "ES256").token(claims(), kid="key"))

    def test_an_embedded_key_is_replaced_by_the_trusted_one_of_its_name(self, controller: TokenController) -> None:
        assert admits(controller, Issuer(P256, "ES256").token(claims(), jwk=jwk(P256, kid=libtrust_id(P256))))
        forged = Issuer(OTHER, "ES256")
        assert not admits(controller, forged.token(claims(), jwk=jwk(OTHER, kid=libtrust_id(P256))))
        assert not admits(controller, forged.token(claims(), jwk=jwk(OTHER, kid=libtrust_id(OTHER))))
        assert not admits(controller, forged.token(claims(), jwk=jwk(OTHER)))

    @pytest.mark.parametrize(
        "entry",
        [
            jwk(RSA, kid="bad", use="enc"),
            jwk(RSA, kid="bad", alg="ES256"),
            {"kty": "RSA", "kid": "bad", "n": "!", "e": "AQAB"},
            {"kty": "EC", "kid": "bad", "crv": "secp256k1", "x": "AA", "y": "AA"},
            {"kty": "OKP", "kid": "bad", "crv": "X25519", "x": "A" * 43},
            {"kty": "oct", "kid": "bad", "k": "c2hvcnQ"},
            {"kty": "new", "kid": "bad"},
            {"kid": ["bad"], "kty": "oct", "k": "A" * 100},
            {},
            "bad",
            None,
        ],
    )
    def test_a_key_that_cannot_be_used_does_not_spoil_the_set(
        self, tmp_path: Path, entry: Any, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": [entry, jwk(P256, kid="p256")]}))
        assert admits(build(jwks=str(path)), issuer.token(claims()))
        assert "is not used" in caplog.text

    def test_a_key_with_alg_is_used_with_that_alone(self, tmp_path: Path) -> None:
        controller = build(jwks=jwks_file(tmp_path / "jwks.json", jwk(RSA, kid="rsa", alg="PS256")))
        assert admits(controller, Issuer(RSA, "PS256").token(claims(), kid="rsa"))
        assert not admits(controller, Issuer(RSA, "RS256").token(claims(), kid="rsa"))


class TestChainsOfCertificates:
    ROOT = certificate(P384, "root", authority=True)
    ROOT_SIGNER = (ROOT, P384)

    @pytest.fixture
    def controller(self, tmp_path: Path) -> TokenController:
        return build(rootcertbundle=pem_bundle(tmp_path / "bundle.pem", [self.ROOT]))

    def test_a_leaf_of_a_trusted_root_signs(self, controller: TokenController) -> None:
        leaf = certificate(P256, "leaf", signer=self.ROOT_SIGNER)
        assert admits(controller, Issuer(P256, "ES256").token(claims(), x5c=x5c(leaf)))

    def test_an_intermediate_may_stand_between(self, controller: TokenController) -> None:
        middle = certificate(RSA, "middle", signer=self.ROOT_SIGNER, authority=True)
        leaf = certificate(ED, "leaf", signer=(middle, RSA))
        assert admits(controller, Issuer(ED, "EdDSA").token(claims(), x5c=x5c(leaf, middle)))
        assert not admits(controller, Issuer(ED, "EdDSA").token(claims(), x5c=x5c(leaf)))

    def test_a_self_signed_certificate_of_the_bundle_signs(self, tmp_path: Path) -> None:
        own = certificate(P256)
        controller = build(rootcertbundle=pem_bundle(tmp_path / "own.pem", [own]))
        assert admits(controller, Issuer(P256, "ES256").token(claims(), x5c=x5c(own)))

    def test_a_chain_in_an_embedded_key_is_verified(self, controller: TokenController) -> None:
        leaf = certificate(P256, "leaf", signer=self.ROOT_SIGNER)
        assert admits(controller, Issuer(P256, "ES256").token(claims(), jwk={**jwk(P256), "x5c": x5c(leaf)}))

    def test_chains_that_prove_nothing_are_refused(self, controller: TokenController, jwks: str) -> None:
        stranger = certificate(OTHER, "root", authority=True)
        expired = certificate(P256, "leaf", signer=self.ROOT_SIGNER, days=-1)
        no_authority = certificate(RSA, "middle", signer=self.ROOT_SIGNER)
        leaf = certificate(P256, "leaf", signer=self.ROOT_SIGNER)
        nonsense: list[Any] = [[], None, "x", [1], ["!"], ["AAAA"], x5c(leaf) * 11, {}]
        refused: list[tuple[Any, Any]] = [
            (OTHER, x5c(stranger)),
            (OTHER, x5c(stranger, self.ROOT)),
            (OTHER, x5c(certificate(OTHER, "leaf", signer=(stranger, OTHER)), self.ROOT)),
            (P256, x5c(expired)),
            (P256, x5c(certificate(P256, "leaf", signer=(no_authority, RSA)), no_authority)),
            (OTHER, x5c(leaf)),
            *((P256, value) for value in nonsense),
        ]
        for key, chain in refused:
            assert not admits(controller, Issuer(key, "ES256").token(claims(), x5c=chain, kid=thumbprint(P384)))
        assert not admits(build(jwks=jwks), Issuer(P256, "ES256").token(claims(), x5c=x5c(leaf), kid="p256"))


class TestConfusedAlgorithms:
    def test_a_public_key_is_no_secret(self, controller: TokenController, tmp_path: Path) -> None:
        for encoding, layout in ((Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), (Encoding.DER, PublicFormat.PKCS1)):
            public = RSA.public_key().public_bytes(encoding, layout)
            assert not admits(controller, Issuer(public, "HS256").token(claims(), kid="rsa"))
        bundle = pem_bundle(tmp_path / "bundle.pem", [certificate(RSA)])
        text = (tmp_path / "bundle.pem").read_bytes()
        assert not admits(build(rootcertbundle=bundle), Issuer(text, "HS256").token(claims(), kid=thumbprint(RSA)))

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 0, [], "RS1", "ES256K"])
    def test_unsigned_and_unknown_are_refused(self, controller: TokenController, algorithm: Any) -> None:
        token = f"{encoded_json({'alg': algorithm, 'kid': 'rsa'})}.{encoded_json(claims())}."
        assert not admits(controller, token)
        assert not admits(controller, token + "AAAA")

    @pytest.mark.parametrize(("name", "algorithm"), [("p256", "ES384"), ("p384", "ES256"), ("rsa", "ES256")])
    def test_an_algorithm_of_another_key_is_refused(
        self, controller: TokenController, name: str, algorithm: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = {"p256": P256, "p384": P384, "rsa": P256}[name]
        told, logged = refusal(controller, Issuer(key, algorithm).token(claims(), kid=name), caplog)
        assert told == "invalid_token"
        assert f"algorithm {algorithm} does not fit its key" in logged

    def test_critical_parameters_are_not_understood(self, controller: TokenController, issuer: Issuer) -> None:
        crits: list[Any] = [["exp"], ["b64"], [], None, "x"]
        for critical in crits:
            assert not admits(controller, issuer.token(claims(), crit=critical, exp=1, b64=True))

    def test_only_configured_algorithms_are_accepted(self, jwks: str, issuer: Issuer) -> None:
        controller = build(jwks=jwks, signingalgorithms=["RS256", "EdDSA"])
        assert admits(controller, Issuer(RSA, "RS256").token(claims(), kid="rsa"))
        assert not admits(controller, Issuer(RSA, "RS384").token(claims(), kid="rsa"))
        assert not admits(controller, issuer.token(claims()))

    def test_addresses_of_keys_in_a_token_are_never_followed(
        self, controller: TokenController, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("urllib.request.OpenerDirector.open", lambda *_, **__: pytest.fail("fetched"))
        for name in ("jku", "x5u"):
            token = Issuer(OTHER, "ES256").token(claims(), **{name: "http://127.0.0.1/keys", "kid": "other"})
            assert not admits(controller, token)


class TestClaims:
    NOW = int(time.time())

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": [SERVICE]},
            {"aud": ["other", SERVICE]},
            {"nbf": None},
            {"iat": "whenever", "jti": 7},
            {"access": [{"type": "repository", "class": "plugin", "name": "team/app", "actions": ["pull"]}]},
            {"access": [{"type": "repository", "name": "team/app", "actions": ["*"]}]},
        ],
    )
    def test_these_are_accepted(self, controller: TokenController, issuer: Issuer, changes: dict[str, Any]) -> None:
        assert admits(controller, issuer.token(claims(**changes)))

    def test_clocks_may_differ_by_less_than_a_minute(self, controller: TokenController, issuer: Issuer) -> None:
        now = int(time.time())
        for changes in ({"exp": now - 20}, {"nbf": now + 40}):
            assert admits(controller, issuer.token(claims(**changes)))

    @pytest.mark.parametrize(
        ("changes", "told", "why"),
        [
            ({"iss": "other"}, "invalid_token", "another issuer"),
            ({"iss": None}, "invalid_token", "another issuer"),
            ({"iss": [ISSUER]}, "invalid_token", "another issuer"),
            ({"aud": "other"}, "invalid_token", "another audience"),
            ({"aud": None}, "invalid_token", "another audience"),
            ({"aud": []}, "invalid_token", "another audience"),
            ({"aud": SERVICE[:-1]}, "invalid_token", "another audience"),
            ({"aud": {SERVICE: 1}}, "invalid_token", "another audience"),
            ({"exp": NOW - 100}, "invalid_token", "expired"),
            ({"exp": None}, "invalid_token", "expired"),
            ({"nbf": NOW + 86400}, "invalid_token", "not valid yet"),
            ({"exp": 1e30}, "", "not an integer"),
            ({"exp": str(NOW + 300)}, "", "not an integer"),
            ({"exp": True}, "", "not an integer"),
            ({"nbf": float(NOW)}, "", "not an integer"),
            ({"access": "repository:team/app:pull"}, "", "access claim"),
            ({"access": {"type": "repository"}}, "", "access claim"),
            ({"access": ["repository:team/app:pull"]}, "", "access claim"),
            ({"access": [{"type": 1, "name": "team/app", "actions": ["pull"]}]}, "", "access claim"),
            ({"access": [{"type": "repository", "name": "team/app", "actions": "pull"}]}, "", "access claim"),
            ({"access": [{"type": "repository", "name": "team/app", "actions": [["pull"]]}]}, "", "access claim"),
        ],
    )
    def test_these_are_refused(
        self,
        controller: TokenController,
        issuer: Issuer,
        caplog: pytest.LogCaptureFixture,
        changes: dict[str, Any],
        told: str,
        why: str,
    ) -> None:
        said, logged = refusal(controller, issuer.token(claims(**changes)), caplog)
        assert said == told
        assert why in logged

    @pytest.mark.parametrize("value", [[], "text", 1, None])
    def test_claims_that_are_no_object_are_refused(
        self, controller: TokenController, issuer: Issuer, value: Any
    ) -> None:
        assert not admits(controller, issuer.token(value))

    def test_a_token_without_access_opens_the_door_and_nothing_else(
        self, controller: TokenController, issuer: Issuer
    ) -> None:
        asked = request(f"Bearer {issuer.token(claims(access=None))}")
        assert controller.authorize(asked, []) == Grant("alice")
        with pytest.raises(UnauthorizedError):
            controller.authorize(asked, on("team/app", "pull"))

    def test_a_subject_that_is_no_text_is_nobody(self, controller: TokenController, issuer: Issuer) -> None:
        assert controller.authorize(request(f"Bearer {issuer.token(claims(sub=[1]))}"), []) == Grant("")

    def test_the_catalog_needs_every_action(self, controller: TokenController, issuer: Issuer) -> None:
        for actions, allowed in ((["*"], True), (["pull"], False)):
            access = [{"type": "registry", "name": "catalog", "actions": actions}]
            asked = request(f"Bearer {issuer.token(claims(access=access))}")
            if allowed:
                assert controller.lists(controller.authorize(asked, CATALOG), "any/repository")
            else:
                assert "insufficient_scope" in challenge(controller, asked, CATALOG)

    def test_ten_thousand_granted_resources_are_read(self, controller: TokenController, issuer: Issuer) -> None:
        access = [{"type": "repository", "name": f"r/{i}", "actions": ["pull"]} for i in range(500)]
        assert controller.authorize(
            request(f"Bearer {issuer.token(claims(access=access))}"), [Access("repository", "r/499", "pull")]
        )
        access *= 20
        assert not admits(controller, issuer.token(claims(access=access)))


class TestRefusalsAreLogged:
    def test_with_what_the_token_says_and_what_would_have_been_accepted(
        self, controller: TokenController, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = Issuer(OTHER, "ES256").token(claims(iss="https://else.example", aud=["elsewhere"]), kid="stranger")
        told, logged = refusal(controller, token, caplog)
        assert told == "invalid_token"
        for fact in ("https://else.example", "elsewhere", "stranger", ISSUER, SERVICE, "'p256'", "'rsa'"):
            assert fact in logged

    def test_a_wrong_signature_is_logged_but_not_told(
        self, controller: TokenController, caplog: pytest.LogCaptureFixture
    ) -> None:
        told, logged = refusal(controller, Issuer(OTHER, "ES256", {"kid": "p256"}).token(claims()), caplog)
        assert told == ""
        assert "signature is wrong" in logged

    def test_a_strangers_values_stay_on_their_line(
        self, controller: TokenController, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = Issuer(OTHER, "ES256").token(claims(iss="a\nb\x1b[31m" + "x" * 9000), kid="ü\n")
        _, logged = refusal(controller, token, caplog)
        assert logged.isprintable()
        assert len(logged) < 1200


class TestGoldenTokens:
    """Tokens of the shapes that token services in use write, signed with keys of our own."""

    def admitted(self, parameters: dict[str, Any], token: str, name: str, *actions: str) -> Grant:
        controller = TokenController.from_parameters({"realm": REALM, **parameters})
        return controller.authorize(request(f"Bearer {token}"), on(name, *actions))

    def test_docker_auth(self, tmp_path: Path) -> None:
        now = int(time.time())
        body = {
            "iss": "Acme auth server",
            "sub": "admin",
            "aud": "Docker registry",
            "exp": now + 900,
            "nbf": now - 10,
            "iat": now,
            "jti": "5577006791947779410",
            "access": [{"type": "repository", "name": "samalba/my-app", "actions": ["pull", "push"]}],
        }
        token = Issuer(RSA, "RS256", {"kid": libtrust_id(RSA)}).token(body)
        bundle = pem_bundle(tmp_path / "server.pem", [certificate(RSA, "auth.example")])
        parameters = {"service": "Docker registry", "issuer": "Acme auth server", "rootcertbundle": bundle}
        assert self.admitted(parameters, token, "samalba/my-app", "pull", "push") == Grant("admin")

    def test_keycloak(self, tmp_path: Path) -> None:
        now, issuer = int(time.time()), "https://keycloak.example/realms/registry"
        body = {
            "jti": "2a7f4f3c-5d6b-4f0e-9d52-ad4e8dbb1d3d",
            "exp": now + 60,
            "nbf": 0,
            "iat": now,
            "iss": issuer,
            "aud": "docker-registry",
            "sub": "alice",
            "auth_time": 0,
            "access": [{"type": "repository", "name": "hello-world", "actions": ["pull", "push"]}],
        }
        token = Issuer(RSA, "RS256", {"kid": libtrust_id(RSA)}).token(body)
        bundle = pem_bundle(tmp_path / "realm.pem", [certificate(RSA, "registry")])
        parameters = {"service": "docker-registry", "issuer": issuer, "rootcertbundle": bundle}
        assert self.admitted(parameters, token, "hello-world", "pull") == Grant("alice")
        by_jwks = {**parameters, "rootcertbundle": "", "jwks": jwks_file(tmp_path / "certs", jwk(RSA, kid="_kc_Key"))}
        named_otherwise = Issuer(RSA, "RS256", {"kid": "_kc_Key"}).token(body)
        assert self.admitted(by_jwks, named_otherwise, "hello-world", "pull") == Grant("alice")

    def test_gitlab(self, tmp_path: Path) -> None:
        now, issuer = int(time.time()), "omnibus-gitlab-issuer"
        body = {
            "access": [
                {
                    "type": "repository",
                    "name": "group/project/image",
                    "actions": ["pull", "push"],
                    "meta": {"project_path": "group/project", "project_id": 7, "root_namespace_id": 1},
                }
            ],
            "auth_type": "gitlab_or_ldap",
            "user": "eyJhbGciOiJIUzI1NiJ9.e30.AA",
            "jti": "31e4a1a5",
            "aud": "container_registry",
            "sub": "root",
            "iss": issuer,
            "iat": now,
            "nbf": now - 5,
            "exp": now + 300,
        }
        token = Issuer(RSA, "RS256", {"kid": libtrust_id(RSA)}).token(body)
        bundle = pem_bundle(tmp_path / "gitlab-registry.crt", [certificate(RSA, "gitlab-issuer")])
        parameters = {"service": "container_registry", "issuer": issuer, "rootcertbundle": bundle}
        assert self.admitted({**parameters, "autoredirect": False}, token, "group/project/image", "push")

    def test_libtrust_with_an_embedded_key(self, tmp_path: Path) -> None:
        embedded = jwk(P256, kid=libtrust_id(P256))
        token = Issuer(P256, "ES256", {"jwk": embedded}).token(claims())
        bundle = pem_bundle(tmp_path / "bundle.pem", [certificate(P256)])
        parameters = {"service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}
        assert self.admitted(parameters, token, "team/app", "push") == Grant("alice")

    def test_a_chain_with_a_root_of_the_companys_own(self, tmp_path: Path) -> None:
        root = certificate(RSA, "Acme Root CA", authority=True)
        leaf = certificate(P256, "registry-auth", signer=(root, RSA))
        token = Issuer(P256, "ES256", {"x5c": x5c(leaf, root)}).token(claims())
        bundle = pem_bundle(tmp_path / "root.pem", [root])
        parameters = {"service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}
        assert self.admitted(parameters, token, "team/app", "pull") == Grant("alice")


class TestParameters:
    @pytest.mark.parametrize("missing", ["realm", "service", "issuer"])
    def test_a_missing_one_is_named(self, jwks: str, missing: str) -> None:
        with pytest.raises(ParameterError, match=f"^{missing}: is missing"):
            build(jwks=jwks, **{missing: None})

    def test_there_must_be_keys(self) -> None:
        with pytest.raises(ParameterError, match=r"^rootcertbundle: is missing, and so is jwks"):
            build()

    def test_an_unknown_algorithm_is_named(self, jwks: str) -> None:
        with pytest.raises(ParameterError, match="'RS257'"):
            build(jwks=jwks, signingalgorithms=["RS257"])

    @pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"keys": []}', '{"keys": 1}', "[" * 100_000])
    def test_a_file_without_keys_stops_the_start(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "keys").write_text(content)
        for parameter in ("jwks", "rootcertbundle"):
            with pytest.raises(ParameterError, match=rf"^{parameter}: cannot be used: .*keys"):
                build(**{parameter: str(tmp_path / "keys")})
            with pytest.raises(ParameterError, match=rf"^{parameter}: cannot be used: .*absent"):
                build(**{parameter: str(tmp_path / "absent")})

    def test_unknown_ones_are_warned_of(self, jwks: str, caplog: pytest.LogCaptureFixture) -> None:
        load_access("token", {"realm": REALM, "service": SERVICE, "issuer": ISSUER, "jwks": jwks, "rootcertbundel": ""})
        assert caplog.messages == ["auth.token.rootcertbundel: unknown, ignored (is rootcertbundle meant?)"]


class TestRotation:
    def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(
        self, tmp_path: Path, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "jwks.json"
        controller = build(jwks=jwks_file(path, jwk(OTHER, kid="old")))
        assert not admits(controller, issuer.token(claims()))
        jwks_file(path, jwk(OTHER, kid="old"), jwk(P256, kid="p256"))
        assert admits(controller, issuer.token(claims()))
        path.write_text("half a fi")
        assert admits(controller, issuer.token(claims()))
        assert "cannot use" in caplog.text
        path.unlink()
        assert admits(controller, issuer.token(claims()))

    def test_a_token_that_was_verified_is_refused_once_its_key_is_gone(self, tmp_path: Path, issuer: Issuer) -> None:
        path = tmp_path / "jwks.json"
        controller = build(jwks=jwks_file(path, jwk(P256, kid="p256")))
        token = issuer.token(claims())
        assert admits(controller, token)
        assert admits(controller, token)
        jwks_file(path, jwk(OTHER, kid="p256"))
        assert not admits(controller, token)

    def test_a_token_that_was_verified_still_expires(self, jwks: str, issuer: Issuer) -> None:
        clock = [time.time()]
        expected = Expectations(ISSUER, SERVICE, frozenset(ALGORITHMS))
        verifier = TokenVerifier(expected, [FileKeys(WatchedFile(jwks, parse_jwks))], clock=lambda: clock[0])
        token = issuer.token(claims())
        assert verifier.verify(token)["sub"] == "alice"
        clock[0] += 300 + LEEWAY_SECONDS + 2
        with pytest.raises(TokenRefusedError, match="expired"):
            verifier.verify(token)

    @pytest.fixture
    def served(self) -> list[Any]:
        """What the address answers, one after the other; the last for ever."""
        return [json.dumps({"keys": [jwk(P256, kid="old")]}).encode()]

    @pytest.fixture
    def clock(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def remote(self, served: list[Any], clock: list[float]) -> RemoteKeys:
        self.fetches = 0

        def fetch(address: str) -> bytes:
            assert address == "https://keys.example"
            self.fetches += 1
            answer = served.pop(0) if len(served) > 1 else served[0]
            if isinstance(answer, Exception):
                raise answer
            return bytes(answer)

        return RemoteKeys(lambda: "https://keys.example", fetch, lambda: clock[0])

    def test_an_address_is_asked_when_first_needed_and_again_every_ten_minutes(
        self, remote: RemoteKeys, clock: list[float]
    ) -> None:
        assert self.fetches == 0
        for _ in range(5):
            assert remote.find("old")
        assert self.fetches == 1
        clock[0] += REFRESH_SECONDS + 1
        assert remote.find("old")
        assert self.fetches == 2

    def test_an_unknown_key_has_it_asked_again_but_not_at_every_request(
        self, remote: RemoteKeys, served: list[Any], clock: list[float]
    ) -> None:
        assert remote.find("old")
        served[:] = [json.dumps({"keys": [jwk(P256, kid="old"), jwk(P384, kid="new")]}).encode()]
        clock[0] += RETRY_SECONDS
        assert remote.find("new")
        for _ in range(100):
            assert not remote.find("stranger")
        assert self.fetches == 2

    @pytest.mark.parametrize("failure", [OSError("down"), b"", b"<html>", b'{"keys":[]}'])
    def test_known_keys_outlive_an_address_that_fails(
        self, remote: RemoteKeys, served: list[Any], clock: list[float], failure: Any
    ) -> None:
        assert remote.find("old")
        served[:] = [failure]
        clock[0] += REFRESH_SECONDS + 1
        assert remote.find("old")

    def test_an_address_that_fails_at_first_is_asked_again(
        self, remote: RemoteKeys, served: list[Any], clock: list[float]
    ) -> None:
        served.insert(0, OSError("down"))
        assert not remote.find("old")
        assert not remote.find("old")
        assert self.fetches == 1
        clock[0] += RETRY_SECONDS
        assert remote.find("old")


def test_the_log_level_of_a_refusal_is_warning(controller: TokenController, caplog: pytest.LogCaptureFixture) -> None:
    challenge(controller, request("Bearer x"))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
