from __future__ import annotations

import base64
import json
import logging
import os
import stat
import time
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auth.base import ControllerError, DeniedError, TokenRequestError, UnauthorizedError
from auth.controllers.local import LocalController
from auth.identities.apikeys import ApiKeyStore
from auth.identities.key_file import KeyFile
from auth.identities.workload import ClaimRule
from auth.tokens.jws import unverified
from auth.tokens.scopes import parse_scopes
from auth.tokens.signing import SigningKeys
from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError
from registry.plugins import load_access
from tests.auth.asking import BASE_URL, CATALOG, basic, challenge, on, request
from tests.auth.conformance import AccessConformance, Welcome
from tests.auth.issuing import Issuer, jwk, jwks_file
from tests.growth import grows_linearly

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from auth.base import TokenService

RULES = """
groups: {dev: [alice, bob]}
rules:
  - repositories: "public/**"
    anonymous: [pull]
    group:dev: [pull, push]
  - repositories: "team/**"
    user:alice: ["*"]
    user:ci: [pull, push, delete]
"""
ALICE, CI = basic("alice", "wonderland"), basic("ci", "machine")
CI_ISSUER = "https://ci.example"
CI_KEY = rsa.generate_private_key(65537, 2048)


def entry(user: str, password: str) -> str:
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "htpasswd").write_text(entry("alice", "wonderland") + entry("bob", "builder") + entry("ci", "machine"))
    (tmp_path / "rules.yml").write_text(RULES)
    jwks_file(tmp_path / "ci.json", jwk(CI_KEY, kid="ci-1"))
    return tmp_path


@pytest.fixture
def parameters(directory: Path) -> dict[str, Any]:
    oidc = {
        "issuer": CI_ISSUER,
        "audience": "registry.example",
        "jwks": str(directory / "ci.json"),
        "rules": [{"user": "ci", "claims": {"repository": "acme/*", "ref": "refs/heads/main"}}],
    }
    return {
        "htpasswd": str(directory / "htpasswd"),
        "key": str(directory / "key.pem"),
        "apikeys": str(directory / "keys.json"),
        "rules": str(directory / "rules.yml"),
        "oidc": [oidc],
    }


@pytest.fixture
def controller(parameters: dict[str, Any]) -> LocalController:
    return LocalController.from_parameters(parameters)


@pytest.fixture
def service(controller: LocalController) -> TokenService:
    assert controller.token_service
    return controller.token_service


def issued(controller: LocalController, authorization: str | None = None, *scopes: str, **fields: str) -> str:
    return str(answer(controller, authorization, *scopes, **fields)["token"])


def answer(
    controller: LocalController, authorization: str | None = None, *scopes: str, **fields: str
) -> Mapping[str, object]:
    assert controller.token_service
    asked = {"scope": scopes, **{name: [value] for name, value in fields.items()}}
    return controller.token_service.issue(request(authorization), asked).members


def bearer(controller: LocalController, authorization: str | None = None, *scopes: str) -> str:
    return f"Bearer {issued(controller, authorization, *scopes)}"


def scopes_of(token: object) -> list[str]:
    """The scopes inside of a token, read as a client could."""
    body = str(token).split(".")[1]
    access = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["access"]
    return [f"{each['type']}:{each['name']}:{','.join(each['actions'])}" for each in access]


def ci_token(**changes: Any) -> str:
    now = int(time.time())
    usual = {
        "iss": CI_ISSUER,
        "aud": "registry.example",
        "sub": "repo:acme/app:ref:refs/heads/main",
        "exp": now + 300,
        "iat": now,
        "repository": "acme/app",
        "ref": "refs/heads/main",
    }
    return Issuer(CI_KEY, "RS256", {"kid": "ci-1"}).token({**usual, **changes})


class TestLocalControllerWithTokens(AccessConformance):
    @pytest.fixture
    def controller(self, parameters: dict[str, Any]) -> LocalController:
        return LocalController.from_parameters(parameters)

    @pytest.fixture
    def welcome(self, controller: LocalController) -> Welcome:
        token = issued(controller, ALICE, "repository:team/app:pull,push")
        return Welcome(f"Bearer {token}", "alice", token.rpartition(".")[2])

    @pytest.fixture
    def wrong(self, controller: LocalController) -> str:
        header, body, signature = issued(controller, ALICE, "repository:team/app:pull,push").split(".")
        return f"Bearer {header}.{body}.{signature[::-1]}"


class TestLocalControllerWithPasswords(AccessConformance):
    @pytest.fixture
    def controller(self, parameters: dict[str, Any]) -> LocalController:
        return LocalController.from_parameters(parameters)

    @pytest.fixture
    def welcome(self) -> Welcome:
        return Welcome(ALICE, "alice", "wonderland")

    @pytest.fixture
    def wrong(self) -> str:
        return basic("alice", "looking glass")


class TestTheDoor:
    def test_it_sends_strangers_to_the_token_service_of_this_very_server(self, controller: LocalController) -> None:
        assert challenge(controller, request()) == f'Bearer realm="{BASE_URL}/auth/token",service="registry"'
        assert challenge(controller, request(), on("team/app", "pull", "push")) == (
            f'Bearer realm="{BASE_URL}/auth/token",service="registry",scope="repository:team/app:pull,push"'
        )

    def test_it_opens_to_a_password_and_to_a_token_even_an_anonymous_one(self, controller: LocalController) -> None:
        assert controller.authorize(request(ALICE), []).user == "alice"
        assert controller.authorize(request(bearer(controller, ALICE)), []).user == "alice"
        assert controller.authorize(request(bearer(controller)), []).user == ""

    def test_strangers_pull_at_once_what_everybody_may_pull(self, controller: LocalController) -> None:
        assert controller.authorize(request(), on("public/app", "pull")).user == ""
        assert "Bearer" in challenge(controller, request(), on("public/app", "pull", "push"))

    def test_strangers_are_challenged_for_the_catalog_so_that_clients_log_in_first(
        self, controller: LocalController
    ) -> None:
        assert "registry:catalog:*" in challenge(controller, request(), CATALOG)

    def test_realm_service_and_path_can_be_set(self, parameters: dict[str, Any]) -> None:
        controller = LocalController.from_parameters({**parameters, "service": "acme", "tokenpath": "/token"})
        assert challenge(controller, request()) == f'Bearer realm="{BASE_URL}/token",service="acme"'
        controller = LocalController.from_parameters({**parameters, "realm": "https://elsewhere/t"})
        assert challenge(controller, request()).startswith('Bearer realm="https://elsewhere/t"')


class TestRights:
    @pytest.mark.parametrize("with_token", [False, True])
    def test_who_is_known_and_may_not_is_told_which_rule_says_so(
        self, controller: LocalController, *, with_token: bool
    ) -> None:
        who = bearer(controller, CI, "repository:public/app:push") if with_token else CI
        with pytest.raises(DeniedError, match=r"ci may not push public/app: rule 1 \(public/\*\*\)"):
            controller.authorize(request(who), on("public/app", "pull", "push"))

    def test_who_is_anonymous_and_may_not_is_asked_to_log_in(self, controller: LocalController) -> None:
        anonymous = bearer(controller, None, "repository:public/app:pull,push")
        assert controller.authorize(request(anonymous), on("public/app", "pull")).user == ""
        told = challenge(controller, request(anonymous), on("public/app", "pull", "push"))
        assert told.endswith(',error="insufficient_scope"')

    def test_a_token_gives_no_more_than_it_was_asked_for(self, controller: LocalController) -> None:
        narrow = request(bearer(controller, ALICE, "repository:team/app:pull"))
        assert controller.authorize(narrow, on("team/app", "pull"))
        assert "insufficient_scope" in challenge(controller, narrow, on("team/app", "pull", "push"))
        assert "insufficient_scope" in challenge(controller, narrow, on("team/other", "pull"))
        assert "insufficient_scope" in challenge(controller, narrow, CATALOG)

    def test_a_push_overwrites_only_where_the_rules_say_so(self, controller: LocalController) -> None:
        wanted = on("team/app", "pull", "push", "overwrite")
        scope = "repository:team/app:pull,push"
        assert controller.authorize(request(bearer(controller, ALICE, scope)), wanted).user == "alice"
        for who in (CI, bearer(controller, CI, scope)):
            with pytest.raises(DeniedError, match=r"ci may not overwrite team/app: rule 2 \(team/\*\*\)"):
                controller.authorize(request(who), wanted)

    def test_a_catalog_lists_what_the_caller_may_pull(self, controller: LocalController) -> None:
        names = ["public/app", "team/app", "other"]
        listed = {}
        for who in (None, ALICE, basic("bob", "builder")):
            grant = controller.authorize(request(bearer(controller, who, "registry:catalog:*")), CATALOG)
            listed[grant.user] = [name for name in names if controller.lists(grant, name)]
        assert listed == {"": names[:1], "alice": names[:2], "bob": names[:1]}
        assert controller.authorize(request(ALICE), CATALOG).user == "alice"

    def test_a_decision_says_which_rule_decides(self, controller: LocalController) -> None:
        decision = controller._policy().decide("bob", "public/x", "push")
        assert str(decision).endswith("rule 1 (public/**) grants it to group:dev")


class TestTheTokenService:
    def test_its_answer_has_what_clients_read(self, controller: LocalController) -> None:
        got = answer(controller, ALICE, "repository:team/app:pull", service="registry", account="alice")
        assert got.keys() == {"token", "access_token", "expires_in", "issued_at"}
        assert got["token"] == got["access_token"]
        assert got["expires_in"] == 300
        issued_at = time.strptime(str(got["issued_at"]), "%Y-%m-%dT%H:%M:%SZ")
        assert abs(time.mktime(issued_at) - time.mktime(time.gmtime())) < 60

    @pytest.mark.parametrize(
        ("who", "asked", "granted"),
        [
            (None, ["repository:public/a:pull,push"], ["repository:public/a:pull"]),
            (None, ["repository:team/a:pull"], []),
            (ALICE, ["repository:team/a:pull,push,delete,overwrite"], ["repository:team/a:pull,push,delete"]),
            (ALICE, ["repository:team/a:*"], ["repository:team/a:pull,push,delete"]),
            (ALICE, ["repository:public/a:*"], ["repository:public/a:pull,push"]),
            (
                CI,
                ["repository:team/a:delete repository:public/b:push,pull"],
                ["repository:team/a:delete", "repository:public/b:pull"],
            ),
            (
                CI,
                ["repository:team/a:pull", "repository:team/b:pull"],
                ["repository:team/a:pull", "repository:team/b:pull"],
            ),
            (CI, ["repository(plugin):team/a:pull"], ["repository:team/a:pull"]),
            (ALICE, ["registry:catalog:*"], ["registry:catalog:*"]),
            (ALICE, ["registry:catalog:pull", "registry:other:*", "admin:x:*"], []),
            (ALICE, ["repository:team/../other:pull", "repository:/team/a:pull", "repository:team//a:pull"], []),
            (ALICE, ["repository:team/a/:pull", "repository:team/./a:pull", "repository:TEAM/a/../b:pull"], []),
            (ALICE, ["repository:team/%2e%2e/a:pull", "repository:team/a\x00:pull", "repository:team/ä:pull"], []),
            (
                ALICE,
                ["", " ", ":", "::", ":::", "repository", "repository:", "repository::pull", "repository:team/a"],
                [],
            ),
            (ALICE, ["repository:team/a:", "repository:team/a:,", "repository:team/a:Pull"], []),
            (ALICE, [], []),
        ],
    )
    def test_a_token_has_exactly_the_scopes_that_the_rules_grant(
        self, controller: LocalController, who: str | None, asked: list[str], granted: list[str]
    ) -> None:
        assert scopes_of(issued(controller, who, *asked)) == granted

    @pytest.mark.parametrize("name", ["host.example:5000/a/b", "a.-b/c", "a/" * 150 + "b", "a/B", "host.example:5000"])
    def test_a_name_that_the_registry_refuses_is_in_no_token(self, parameters: dict[str, Any], name: str) -> None:
        rules = [{"repositories": glob, "anonymous": ["pull"]} for glob in ("**", "host.example:5000/**")]
        controller = LocalController.from_parameters({**parameters, "rules": rules})
        assert scopes_of(issued(controller, None, f"repository:{name}:pull", "repository:Host/a:pull")) == [
            "repository:Host/a:pull"
        ]

    @pytest.mark.parametrize(
        "scopes",
        [
            ["repository:a:pull"] * 101,
            [" ".join(["repository:a:pull"] * 10_000)],
            ["x" * 20_000],
            ["repository:a:" + ",".join(["pull"] * 21)],
            ["registry:catalog:" + "," * 1000],
        ],
    )
    def test_thousands_of_scopes_or_actions_are_refused(self, controller: LocalController, scopes: list[str]) -> None:
        with pytest.raises(TokenRequestError) as caught:
            issued(controller, ALICE, *scopes)
        assert caught.value.code == "invalid_scope"

    def test_as_many_actions_as_there_may_be_are_granted(self, controller: LocalController) -> None:
        asked = "repository:team/app:" + ",".join(["pull"] * 20)
        assert scopes_of(issued(controller, ALICE, asked)) == ["repository:team/app:pull"]

    def test_no_resource_has_a_name_of_more_than_255_characters(self, controller: LocalController) -> None:
        assert parse_scopes(["x:" + "a" * 255 + ":pull"])
        assert not parse_scopes(["x:" + "a" * 256 + ":pull"])
        longest = "team/" + "a" * 250
        assert scopes_of(issued(controller, ALICE, f"repository:{longest}:pull", f"repository:{longest}a:pull")) == [
            f"repository:{longest}:pull"
        ]

    def test_wrong_credentials_get_no_token(self, controller: LocalController) -> None:
        for who in (basic("alice", "wrong"), basic("nobody", "x"), "Basic !", "Bearer x", "", "Basic " + "A" * 100_000):
            with pytest.raises(UnauthorizedError) as caught:
                issued(controller, who)
            assert caught.value.challenge == 'Basic realm="registry"'

    def test_another_services_name_is_refused(self, controller: LocalController) -> None:
        with pytest.raises(TokenRequestError):
            answer(controller, ALICE, service="registry.example")

    def test_a_parameter_given_twice_is_refused(self, service: TokenService) -> None:
        with pytest.raises(TokenRequestError):
            service.exchange(request(), {"grant_type": ["password", "refresh_token"]})

    @pytest.mark.parametrize("fields", [{}, {"grant_type": ["authorization_code"]}, {"grant_type": [""]}])
    def test_other_grants_are_not_supported(self, service: TokenService, fields: dict[str, list[str]]) -> None:
        with pytest.raises(TokenRequestError) as caught:
            service.exchange(request(), fields)
        assert caught.value.code == "unsupported_grant_type"


def form(**fields: str) -> dict[str, list[str]]:
    return {name: [value] for name, value in {"service": "registry", "client_id": "docker", **fields}.items()}


class TestOAuth2:
    def test_a_password_is_exchanged_for_a_token(self, controller: LocalController, service: TokenService) -> None:
        fields = form(grant_type="password", username="alice", password="wonderland", scope="repository:team/a:pull")
        got = service.exchange(request(), fields).members
        assert got.keys() == {"access_token", "expires_in", "issued_at", "scope"}
        assert got["scope"] == "repository:team/a:pull"
        assert controller.authorize(request(f"Bearer {got['access_token']}"), on("team/a", "pull")).user == "alice"

    def test_a_wrong_password_is_not(self, service: TokenService) -> None:
        for user, password in (("alice", "x"), ("nobody", "x"), ("", ""), ("alice", "\x00"), ("ü\ud800", "\udcff")):
            with pytest.raises(UnauthorizedError):
                service.exchange(request(), form(grant_type="password", username=user, password=password))

    def test_a_login_that_asks_for_it_gets_a_refresh_token(
        self, controller: LocalController, service: TokenService
    ) -> None:
        by_get = answer(controller, ALICE, offline_token="true")["refresh_token"]
        fields = form(grant_type="password", username="alice", password="wonderland", access_type="offline")
        for refresh in (by_get, service.exchange(request(), fields).members["refresh_token"]):
            again = form(grant_type="refresh_token", refresh_token=str(refresh), scope="repository:team/a:pull,push")
            got = service.exchange(request(), again).members
            assert got["refresh_token"] == refresh
            allowed = controller.authorize(request(f"Bearer {got['access_token']}"), on("team/a", "pull", "push"))
            assert allowed.user == "alice"

    def test_an_anonymous_caller_gets_none(self, controller: LocalController) -> None:
        assert "refresh_token" not in answer(controller, None, offline_token="true")

    def test_neither_kind_of_token_passes_for_the_other(
        self, controller: LocalController, service: TokenService
    ) -> None:
        got = answer(controller, ALICE, "repository:team/a:pull", offline_token="true")
        assert "invalid_token" in challenge(controller, request(f"Bearer {got['refresh_token']}"))
        with pytest.raises(UnauthorizedError):
            service.exchange(request(), form(grant_type="refresh_token", refresh_token=str(got["token"])))

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "💥", "\x00", "A" * 100_000, "e30.e30.AA"])
    def test_what_is_no_refresh_token_is_refused(self, service: TokenService, token: str) -> None:
        with pytest.raises(UnauthorizedError):
            service.exchange(request(), form(grant_type="refresh_token", refresh_token=token))


class TestWhatHoldsAtOnce:
    def test_a_changed_rule(self, controller: LocalController, directory: Path) -> None:
        token = request(bearer(controller, ALICE, "repository:team/a:pull"))
        assert controller.authorize(token, on("team/a", "pull"))
        (directory / "rules.yml").write_text('rules: [{repositories: "**", "user:alice": []}]')
        with pytest.raises(DeniedError):
            controller.authorize(token, on("team/a", "pull"))

    def test_what_a_merge_brings_into_a_rule_may_be_given_anew(
        self, controller: LocalController, directory: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (directory / "rules.yml").write_text(
            'rules: [{<<: {<<: &b {<<: &a {"user:alice": []}, "user:alice": [pull]}}, repositories: "team/*"}]'
        )
        assert controller.authorize(request(ALICE), on("team/a", "pull")).user == "alice"
        assert "cannot use" not in caplog.text

    def test_a_broken_rules_file_changes_nothing_and_is_logged(
        self, controller: LocalController, directory: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        twice = '{rules: [{repositories: "a", "user:bob": [pull], "user:bob": [push]}]}'
        for broken in ("rules: [", "rules: 7", "[]", twice, '{rules: [{repositories: "a", everybody: [pull]}]}'):
            (directory / "rules.yml").write_text(broken)
            assert controller.authorize(request(ALICE), on("team/a", "pull")).user == "alice"
        (directory / "rules.yml").unlink()
        assert controller.authorize(request(ALICE), on("team/a", "pull")).user == "alice"
        assert caplog.text.count("cannot use") == 6
        assert "user:bob is given twice" in caplog.text

    @pytest.mark.parametrize(
        "left", [entry("alice", "changed"), entry("bob", "builder"), ""], ids=["changed", "removed", "empty"]
    )
    def test_a_changed_password_and_a_removed_user(
        self, controller: LocalController, service: TokenService, directory: Path, left: str
    ) -> None:
        got = answer(controller, ALICE, "repository:team/a:pull", offline_token="true")
        (directory / "htpasswd").write_text(left)
        assert "invalid_token" in challenge(controller, request(f"Bearer {got['token']}"))
        with pytest.raises(UnauthorizedError):
            service.exchange(request(), form(grant_type="refresh_token", refresh_token=str(got["refresh_token"])))

    def test_a_broken_htpasswd_file_lets_nobody_in(self, controller: LocalController, directory: Path) -> None:
        token = bearer(controller, ALICE)
        (directory / "htpasswd").write_text("broken")
        for who in (ALICE, token):
            with pytest.raises(ControllerError):
                controller.authorize(request(who), [])


class TestTheSigningKey:
    def test_it_is_made_at_the_first_start_and_shared_by_all(self, parameters: dict[str, Any], directory: Path) -> None:
        one, two = (LocalController.from_parameters(parameters) for _ in range(2))
        assert stat.S_IMODE((directory / "key.pem").stat().st_mode) == 0o600
        assert two.authorize(request(bearer(one, ALICE)), []).user == "alice"

    def test_it_lies_beside_the_htpasswd_file_unless_told(self, parameters: dict[str, Any], directory: Path) -> None:
        LocalController.from_parameters({**parameters, "key": None})
        assert (directory / "token-key.pem").exists()

    def test_another_registrys_token_is_refused(
        self, controller: LocalController, parameters: dict[str, Any], directory: Path
    ) -> None:
        stranger = LocalController.from_parameters({**parameters, "key": str(directory / "other.pem")})
        assert "invalid_token" in challenge(controller, request(bearer(stranger, ALICE)))

    def test_another_services_token_of_the_same_key_is_refused(
        self, controller: LocalController, parameters: dict[str, Any]
    ) -> None:
        neighbour = LocalController.from_parameters({**parameters, "service": "neighbour"})
        assert "invalid_token" in challenge(controller, request(bearer(neighbour, ALICE)))

    def test_an_appended_key_signs_and_the_old_one_still_verifies(
        self, controller: LocalController, directory: Path
    ) -> None:
        path, old = directory / "key.pem", bearer(controller, ALICE)
        new = ec.generate_private_key(ec.SECP256R1())
        before = path.read_bytes()
        path.write_bytes(before + new.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        rotated = bearer(controller, ALICE)
        assert controller.authorize(request(old), [])
        path.write_bytes(path.read_bytes().removeprefix(before))
        assert controller.authorize(request(rotated), [])
        assert "invalid_token" in challenge(controller, request(old))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            CI_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ],
        ids=["empty", "nonsense", "rsa", "p384"],
    )
    def test_a_file_without_such_a_key_stops_the_start(
        self, parameters: dict[str, Any], directory: Path, content: bytes
    ) -> None:
        (directory / "key.pem").write_bytes(content)
        with pytest.raises(ParameterError, match=r"^key: .*key\.pem"):
            LocalController.from_parameters(parameters)

    def test_a_file_of_many_beginnings_and_no_end_is_read_in_linear_time(self, directory: Path) -> None:
        path = directory / "key.pem"

        def read(content: bytes) -> None:
            path.write_bytes(content)
            with pytest.raises(FileError, match="holds no PEM private key"):
                SigningKeys.open(str(path))

        assert grows_linearly(read, lambda size: b"-----BEGIN PRIVATE KEY-----\n" * size, 500)

    def test_a_place_where_none_can_be_made_stops_the_start(self, parameters: dict[str, Any], directory: Path) -> None:
        with pytest.raises(ParameterError, match=r"^key: .*cannot be used, nor created"):
            LocalController.from_parameters({**parameters, "key": str(directory / "htpasswd" / "key.pem")})


class TestApiKeys:
    def test_a_key_is_a_password_until_it_is_revoked(
        self, controller: LocalController, service: TokenService, directory: Path
    ) -> None:
        store = ApiKeyStore(KeyFile(str(directory / "keys.json")))
        key, text = store.create("ci", None)
        who = basic("ci", text)
        assert controller.authorize(request(who), on("team/a", "pull", "push")).user == "ci"
        got = answer(controller, who, "repository:team/a:push", offline_token="true")
        assert controller.authorize(request(f"Bearer {got['token']}"), on("team/a", "push")).user == "ci"
        assert store.revoke(key.id)
        assert not store.revoke(key.id)
        challenge(controller, request(who))
        assert "invalid_token" in challenge(controller, request(f"Bearer {got['token']}"))
        with pytest.raises(UnauthorizedError):
            service.exchange(request(), form(grant_type="refresh_token", refresh_token=str(got["refresh_token"])))

    @pytest.mark.parametrize("ended", ["", "#ci:x\n", "ci:!disabled\n", "ci:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"])
    def test_one_of_a_user_with_a_password_ends_with_it_and_so_do_its_tokens(
        self, controller: LocalController, service: TokenService, directory: Path, ended: str
    ) -> None:
        _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None, bound=True)
        who = basic("ci", text)
        got = answer(controller, who, "repository:team/a:push", offline_token="true")
        (directory / "htpasswd").write_text(entry("alice", "wonderland") + ended)
        challenge(controller, request(who))
        assert "invalid_token" in challenge(controller, request(f"Bearer {got['token']}"))
        with pytest.raises(UnauthorizedError):
            service.exchange(request(), form(grant_type="refresh_token", refresh_token=str(got["refresh_token"])))

    @pytest.mark.parametrize("when", ["at the start", "when it is used"])
    def test_one_that_an_older_registry_made_ends_with_its_user_too_also_after_a_restart(
        self, parameters: dict[str, Any], directory: Path, when: str
    ) -> None:
        early = LocalController.from_parameters(parameters)
        _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None)
        if when == "at the start":
            LocalController.from_parameters(parameters)
        else:
            assert early.authorize(request(basic("ci", text)), []).user == "ci"
        (directory / "htpasswd").write_text(entry("alice", "wonderland"))
        for controller in (early, LocalController.from_parameters(parameters)):
            challenge(controller, request(basic("ci", text)))

    def test_one_of_a_user_without_a_password_is_good_until_it_is_revoked(
        self, parameters: dict[str, Any], directory: Path
    ) -> None:
        store = ApiKeyStore(KeyFile(str(directory / "keys.json")))
        key, text = store.create("robot", None)
        for _ in range(2):
            controller = LocalController.from_parameters(parameters)
            assert controller.authorize(request(basic("robot", text)), []).user == "robot"
        (directory / "htpasswd").unlink()
        assert controller.authorize(request(basic("robot", text)), []).user == "robot"
        store.revoke(key.id)
        challenge(controller, request(basic("robot", text)))

    def test_where_the_file_cannot_be_written_it_ends_while_the_server_runs(
        self, controller: LocalController, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None)

        def refuse(*_: object) -> None:
            raise OSError(30, "Read-only file system")  # the tests may run as root, who may write everywhere

        monkeypatch.setattr("auth.identities.key_file.replace_file", refuse)
        assert controller.authorize(request(basic("ci", text)), []).user == "ci"
        (directory / "htpasswd").write_text(entry("alice", "wonderland"))
        challenge(controller, request(basic("ci", text)))

    def test_what_is_written_an_older_registry_reads(self, directory: Path) -> None:
        key, _ = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None, bound=True)
        (listed,) = json.loads((directory / "keys.json").read_text())["keys"]
        assert listed.keys() == {"id", "user", "sha256", "created", "expires"}
        assert listed["id"] == key.id

    def test_it_is_one_users_alone(self, controller: LocalController, directory: Path) -> None:
        _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None)
        for wrong in (basic("alice", text), basic("ci", text[:-1]), basic("ci", text + "x"), basic("", text)):
            challenge(controller, request(wrong))

    def test_an_expired_one_is_none(self, controller: LocalController, directory: Path) -> None:
        past = ApiKeyStore(KeyFile(str(directory / "keys.json")), clock=lambda: time.time() - 100)
        _, text = past.create("ci", 50)
        challenge(controller, request(basic("ci", text)))
        _, text = past.create("ci", 500)
        assert controller.authorize(request(basic("ci", text)), []).user == "ci"

    def test_the_file_holds_no_secret_and_is_for_its_owner(self, directory: Path) -> None:
        path = directory / "keys.json"
        store = ApiKeyStore(KeyFile(str(path)))
        keys = [store.create(user, None) for user in ("ci", "alice")]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not any(text.rpartition("_")[2] in path.read_text() for _, text in keys)
        assert {key.id for key in store.list()} == {key.id for key, _ in keys}
        assert all(text.startswith("regkey_") for _, text in keys)

    @pytest.mark.parametrize(
        "content",
        [
            *("", "{}", "[]", '{"keys": 7}', '{"keys": [{}]}', '{"keys": [7]}'),
            '{"keys": [{"id": "a", "user": "ci", "sha256": 7, "created": 0, "expires": null}]}',
            '{"keys": [], "end_with_password": 7}',
            '{"keys": [], "end_with_password": [7]}',
        ],
    )
    def test_while_the_file_is_broken_no_key_is_valid_and_passwords_are(
        self, controller: LocalController, directory: Path, content: str
    ) -> None:
        _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None)
        (directory / "keys.json").write_text(content)
        challenge(controller, request(basic("ci", text)))
        assert controller.authorize(request(CI), []).user == "ci"

    @pytest.mark.parametrize(
        "text", ["regkey_", "regkey__", "regkey_a", "regkey_a_", "regkey_ü_💥", "regkey_" + "_" * 9000]
    )
    def test_what_only_looks_like_a_key_is_none(self, controller: LocalController, text: str) -> None:
        challenge(controller, request(basic("ci", text)))


class TestCIJobs:
    def test_a_jobs_token_is_a_password_whatever_name_comes_along(self, controller: LocalController) -> None:
        for name in ("ci", "oauth2", "$CI_USER", "alice"):
            assert controller.authorize(request(basic(name, ci_token())), on("team/a", "push")).user == "ci"

    def test_a_login_outlives_the_jobs_token_by_a_refresh_token_of_an_hour(
        self, controller: LocalController, service: TokenService
    ) -> None:
        refresh = str(answer(controller, basic("x", ci_token()), offline_token="true")["refresh_token"])
        got = service.exchange(
            request(), form(grant_type="refresh_token", refresh_token=refresh, scope="repository:team/a:push")
        ).members
        assert got["scope"] == "repository:team/a:push"
        _, body = unverified(refresh)
        # A second may begin between the login and its first token.
        assert int(str(body["exp"])) - int(str(body["iat"])) in {3599, 3600}

    @pytest.mark.parametrize(
        "changes",
        [
            {"repository": "evil/app"},
            {"repository": "xacme/app"},
            {"repository": None},
            {"ref": "refs/heads/main2"},
            {"ref": "refs/pull/1/merge"},
            {"aud": "other"},
            {"iss": "https://evil.example"},
            {"exp": 1000},
            {"exp": None},
        ],
    )
    def test_other_jobs_stay_out(self, controller: LocalController, changes: dict[str, Any]) -> None:
        challenge(controller, request(basic("ci", ci_token(**changes))))

    @pytest.mark.parametrize("pattern", ["*a*a*a*a*b", "a*a*a*", "*"])
    def test_a_claim_of_any_length_is_matched_in_linear_time(self, pattern: str) -> None:
        rule = ClaimRule("ci", {"ref": pattern})
        assert grows_linearly(rule.matches, lambda size: {"ref": "a" * size})
        assert rule.matches({"ref": "a" * 9 + "b"})

    def test_a_login_ends_when_no_rule_leads_to_its_user_any_more(
        self, controller: LocalController, parameters: dict[str, Any]
    ) -> None:
        got = answer(controller, basic("x", ci_token()), "repository:team/a:push", offline_token="true")
        (provider,) = parameters["oidc"]
        rules = [{**rule, "user": "other"} for rule in provider["rules"]]
        changed = LocalController.from_parameters({**parameters, "oidc": [{**provider, "rules": rules}]})
        assert "invalid_token" in challenge(changed, request(f"Bearer {got['token']}"))
        assert changed.token_service
        refresh = str(got["refresh_token"])
        with pytest.raises(UnauthorizedError):
            changed.token_service.exchange(request(), form(grant_type="refresh_token", refresh_token=refresh))

    def test_a_forged_one_stays_out(self, controller: LocalController) -> None:
        other = rsa.generate_private_key(65537, 2048)
        body = {"iss": CI_ISSUER, "aud": "registry.example", "exp": int(time.time()) + 60}
        for key, kid in ((other, "ci-1"), (other, "x")):
            challenge(controller, request(basic("ci", Issuer(key, "RS256", {"kid": kid}).token(body))))

    def test_a_refusal_says_which_claims_were_considered_and_shows_no_token(
        self, controller: LocalController, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        token = ci_token(repository="evil/app")
        challenge(controller, request(basic("ci", token)))
        assert "'repository': \"'evil/app'\"" in caplog.text
        assert token.rpartition(".")[2] not in caplog.text

    @pytest.mark.parametrize(
        ("entry", "text"),
        [
            ("x", "oidc: must be a list"),
            (["x"], "oidc: must be a list"),
            ([{}], r"^oidc\[0\]\.issuer: is missing"),
            ([{"issuer": CI_ISSUER}], r"^oidc\[0\]\.audience: is missing"),
            ([{"issuer": CI_ISSUER, "audience": "a"}], r"^oidc\[0\]\.rules: must be a list of rules"),
            ([{"issuer": CI_ISSUER, "audience": "a", "rules": [{"user": "ci"}]}], "the claims that a token must have"),
            ([{"issuer": CI_ISSUER, "audience": "a", "rules": [{"user": "ci", "claims": {}}]}], "the claims"),
            ([{"issuer": CI_ISSUER, "audience": "a", "rules": [{"claims": {"a": "b"}}]}], "must each have a user"),
            ([{"issuer": CI_ISSUER, "audience": "a", "rules": [{"user": "c", "claims": {"a": 1}}]}], "as a string"),
            ([{"issuer": CI_ISSUER, "audience": "a", "rules": [], "jwks": "/nowhere"}], "jwks: cannot be used"),
        ],
    )
    def test_a_wrong_section_is_refused(self, parameters: dict[str, Any], entry: Any, text: str) -> None:
        with pytest.raises(ParameterError, match=text):
            LocalController.from_parameters({**parameters, "oidc": entry})


class TestParameters:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"rules": None}, "^rules: cannot be used: rules must be a list"),
            ({"rules": [{"repositories": "a", "x": []}]}, "^rules: cannot be used: rule 1: x"),
            ({"rules": "/nowhere.yml"}, "^rules: cannot be used: /nowhere.yml"),
            ({"groups": {"a": ["b"]}}, "^groups: must be in"),
            ({"htpasswd": "/nowhere"}, "^htpasswd: /nowhere does not exist or is not a file; create it"),
            ({"htpasswd": None, "key": None}, "^key: is missing"),
            ({"tokenpath": "/v2/token"}, "^tokenpath: must"),
            ({"tokenpath": "token"}, "^tokenpath: must"),
            ({"tokenpath": "/a/<x:y>"}, "^tokenpath: must"),
            ({"htpasswd": "/"}, "^htpasswd: / does not exist or is not a file"),
            ({"tokenlifetime": 0}, "^tokenlifetime: must be at least 1s, not 0"),
            ({"tokenlifetime": "999999d"}, "^tokenlifetime: must be a duration"),
            ({"refreshlifetime": 9_999_999_999}, "^refreshlifetime: must be a duration"),
            ({"refreshlifetime": "soon"}, "^refreshlifetime: must be a duration"),
        ],
    )
    def test_a_wrong_one_is_named(self, parameters: dict[str, Any], changes: dict[str, Any], text: str) -> None:
        with pytest.raises(ParameterError, match=text):
            LocalController.from_parameters({**parameters, **changes})

    def test_lifetimes_are_durations(self, parameters: dict[str, Any]) -> None:
        for given, seconds in (("2m", 120), (90, 90), ("90", 90), ("1h30m", 5400), ("1d", 86400), ("", 300)):
            controller = LocalController.from_parameters({**parameters, "tokenlifetime": given})
            assert answer(controller)["expires_in"] == seconds

    def test_a_lifetime_without_a_unit_is_warned_of(
        self, parameters: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        load_access("local", {**parameters, "tokenlifetime": 90, "refreshlifetime": "90d"})
        assert caplog.messages == ["auth.local.tokenlifetime: 90 means 90s, since it has no unit; write 90s"]

    def test_unknown_ones_are_warned_of_wherever_they_are(
        self, parameters: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = {"user": "ci", "claims": {"repository": "team/app"}, "claim": "typo"}
        provider = {"issuer": CI_ISSUER, "audience": "a", "rules": [jobs], "jwsk": "typo"}
        load_access("local", {**parameters, "tokenlifetme": 1, "oidc": [provider]})
        assert sorted(caplog.messages) == [
            "auth.local.oidc[0].jwsk: unknown, ignored (is jwks meant?)",
            "auth.local.oidc[0].rules[0].claim: unknown, ignored",
            "auth.local.tokenlifetme: unknown, ignored (is tokenlifetime meant?)",
        ]


def test_no_secret_of_the_token_service_is_logged(
    controller: LocalController, service: TokenService, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _, text = ApiKeyStore(KeyFile(str(directory / "keys.json"))).create("ci", None)
    got = answer(controller, ALICE, "repository:team/a:pull", offline_token="true")
    job = ci_token()
    secrets = ["wonderland", "wrong-one", text, job, str(got["token"]), str(got["refresh_token"])]
    for secret in secrets:
        for user in ("alice", "ci"):
            for changed in (secret, f"{secret}x", secret[:-8]):
                for fields in (
                    form(grant_type="password", username=user, password=changed),
                    form(grant_type="refresh_token", refresh_token=changed),
                ):
                    try:
                        service.exchange(request(), fields)
                    except UnauthorizedError as error:
                        assert changed not in str(vars(error))  # noqa: PT017 - most of these are refused
    shown = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert shown
    for secret in secrets:
        assert secret not in shown
        assert secret.rpartition(".")[2] not in shown


def test_many_processes_making_one_key_agree(directory: Path, parameters: dict[str, Any]) -> None:
    pids = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                token = issued(LocalController.from_parameters(parameters), ALICE)
                (directory / f"token-{os.getpid()}").write_text(token)
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    controller = LocalController.from_parameters(parameters)
    for pid in pids:
        token = (directory / f"token-{pid}").read_text()
        assert controller.authorize(request(f"Bearer {token}"), []).user == "alice"
