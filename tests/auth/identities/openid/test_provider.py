from __future__ import annotations

import base64
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from auth.base import ControllerError, DeniedError, Departure, Grant, Key, UnauthorizedError
from auth.controllers.local import LocalController
from registry.foundation.errors import ParameterError
from tests.auth.asking import basic, on, request
from tests.auth.identity_provider import CLIENT, SECRET, identity_provider
from tests.auth.keeping import RecordsInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.auth.identity_provider import IdentityProvider

CALLBACK = "https://registry.example/ui/_oidc/corp"
RULES = [{"repositories": "team/**", "group:dev": ["pull", "push"]}]


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def records() -> RecordsInMemory:
    return RecordsInMemory()


class Registry:
    """A host of a registry that has `idp` as its only provider."""

    def __init__(self, directory: Path, idp: IdentityProvider, records: RecordsInMemory, **more: object) -> None:
        (directory / "secret").write_text(f"{SECRET}\n")
        section = idp.parameters(**{"map": {"registry-devs": "dev"}, **more})
        self.parameters: dict[str, Any] = {
            "key": str(directory / "key.pem"),
            "apikeys": "storage",
            "rules": RULES,
            "login": {"oidc": [section]},
        }
        self.controller = LocalController.from_parameters(self.parameters)
        self.controller.keep(records)
        self._idp = idp

    @property
    def sign_in(self) -> Any:
        return self.controller.sign_in

    def log_in(self, **changes: str | None) -> Grant:
        """Log in as a browser does that comes back with `changes` of what it should bring."""
        (provider,) = self.sign_in.providers
        departure: Departure = provider.begin(request(), CALLBACK)
        fields = {**self._idp.visited(departure.url), **changes}
        brought = {name: value for name, value in fields.items() if value is not None}
        grant: Grant = provider.complete(request(), departure, CALLBACK, brought)
        return grant


class RecordsReadBefore(RecordsInMemory):
    """Those of `records`, where something is done `afterwards` each time that one of a user has been read."""

    def __init__(self, records: RecordsInMemory, afterwards: Callable[[], object]) -> None:
        self.contents_by_name = records.contents_by_name
        self.written: list[str] = []
        self._afterwards = afterwards

    def get(self, name: str) -> bytes | None:
        content = super().get(name)
        if name.startswith("users/"):
            self._afterwards()
        return content

    def put(self, name: str, content: bytes) -> None:
        self.written.append(name)
        super().put(name, content)


@pytest.fixture
def host(tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory) -> Registry:
    return Registry(tmp_path, idp, records)


class TestLoggingIn:
    def test_the_browser_is_sent_with_a_challenge_and_nothing_secret(self, host: Registry) -> None:
        (provider,) = host.sign_in.providers
        departure = provider.begin(request(), CALLBACK)

        query = {name: value for name, (value,) in parse_qs(urlsplit(departure.url).query).items()}
        assert query.keys() == {
            *("response_type", "client_id", "redirect_uri", "scope"),
            *("state", "nonce", "code_challenge", "code_challenge_method"),
        }
        assert query["code_challenge_method"] == "S256"
        assert query["state"] == departure.state
        assert departure.memory["verifier"] not in departure.url

    def test_who_comes_back_is_who_the_token_says_in_the_groups_of_the_map(
        self, host: Registry, idp: IdentityProvider
    ) -> None:
        idp.claims["groups"] = ["registry-devs", "others", 7]

        grant = host.log_in()

        assert grant.user == "alice@corp.example"
        assert host.sign_in.stands(grant, 1)
        host.controller.judge(grant, on("team/app", "push"))

    def test_what_the_token_does_not_say_is_asked_for(self, host: Registry, idp: IdentityProvider) -> None:
        del idp.claims["email"]
        idp.in_userinfo = {"email": "alice@corp.example", "groups": ["registry-devs"]}

        grant = host.log_in()

        assert grant.user == "alice@corp.example"
        host.controller.judge(grant, on("team/app", "push"))

    @pytest.mark.parametrize("said", [True, "true", "True"])
    def test_whether_an_email_is_verified_is_asked_for_where_the_token_does_not_say(
        self, host: Registry, idp: IdentityProvider, said: object
    ) -> None:
        del idp.claims["email_verified"]
        with pytest.raises(UnauthorizedError):
            host.log_in()

        idp.in_userinfo = {"email": "another@corp.example", "email_verified": said}
        with pytest.raises(UnauthorizedError):
            host.log_in()

        idp.in_userinfo["email"] = idp.claims["email"]
        assert host.log_in().user == "alice@corp.example"

    def test_an_email_of_which_nothing_is_said_is_taken_where_that_is_configured(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        host = Registry(tmp_path, idp, records, unverifiedemail=True)
        del idp.claims["email_verified"]
        assert host.log_in().user == "alice@corp.example"

        for said in (False, "false"):
            idp.claims["email_verified"] = said
            with pytest.raises(UnauthorizedError):
                host.log_in()

    def test_another_name_than_the_email_need_not_be_verified(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        idp.claims = {"sub": "1234", "preferred_username": "alice", "email": "a@b.example", "email_verified": False}
        assert Registry(tmp_path, idp, records, claims={"user": "preferred_username"}).log_in().user == "alice"

    @pytest.mark.parametrize("methods", [None, ["client_secret_basic", "client_secret_post"], ["client_secret_post"]])
    def test_the_secret_goes_where_the_provider_takes_it(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory, methods: list[str] | None
    ) -> None:
        if methods:
            idp.metadata["token_endpoint_auth_methods_supported"] = methods
        Registry(tmp_path, idp, records, clientsecretfile=str(tmp_path / "secret")).log_in()

        ((headers, form),) = idp.sent
        if methods == ["client_secret_post"]:
            assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
            assert "Authorization" not in headers
        else:
            encoded = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
            assert encoded == "registry+of+tests:a+secret%3A+with%2Bsigns%25"
            assert "client_secret" not in form

    def test_two_providers_may_be_asked_and_each_has_its_own_path(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        host = Registry(tmp_path, idp, records)
        host.parameters["login"]["oidc"].append(idp.parameters(name="other"))
        controller = LocalController.from_parameters(host.parameters)

        assert controller.sign_in is not None
        assert [each.name for each in controller.sign_in.providers] == ["corp", "other"]
        assert not controller.sign_in.takes_passwords


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"state": "made up"}, "does not come back from where it was sent"),
            ({"state": None}, "does not come back from where it was sent"),
            ({"iss": "https://evil.example"}, "the answer is that of 'https://evil.example'"),
            ({"code": None}, "the answer has no code"),
            ({"code": "made up"}, "invalid_grant"),
            ({"error": "access_denied", "error_description": "no\nway"}, r"access_denied' 'no\nway"),
        ],
    )
    def test_what_the_browser_brings_has_to_be_what_the_provider_gave_it(
        self, host: Registry, caplog: pytest.LogCaptureFixture, changes: dict[str, str | None], said: str
    ) -> None:
        with pytest.raises(UnauthorizedError):
            host.log_in(**changes)
        assert said in caplog.text

    def test_a_provider_that_says_it_names_itself_has_to(self, host: Registry, idp: IdentityProvider) -> None:
        idp.metadata["authorization_response_iss_parameter_supported"] = True

        assert host.log_in().user == "alice@corp.example"
        with pytest.raises(UnauthorizedError):
            host.log_in(iss=None)

    @pytest.mark.parametrize(
        ("in_token", "said"),
        [
            ({"nonce": "another"}, "answers another request"),
            ({"iss": "https://evil.example"}, "from another issuer"),
            ({"aud": "another client"}, "for another audience"),
            ({"aud": [CLIENT, "another"], "azp": "another"}, "given to another client"),
            ({"exp": int(time.time()) - 86400}, "has expired"),
            ({"nbf": int(time.time()) + 86400}, "not valid yet"),
            ({"email": ""}, "it tells no email"),
            ({"email_verified": False}, "is not verified"),
            ({"email_verified": "false"}, "is not verified"),
            ({"email_verified": "yes"}, "is not verified"),
            ({"email_verified": None}, "verified is not told"),
            ({"sub": "", "groups": []}, "does not say whose"),
        ],
    )
    def test_a_token_that_is_not_for_this_login_is_refused(
        self,
        host: Registry,
        idp: IdentityProvider,
        caplog: pytest.LogCaptureFixture,
        in_token: dict[str, object],
        said: str,
    ) -> None:
        idp.in_token = in_token

        with pytest.raises(UnauthorizedError):
            host.log_in()
        assert said in caplog.text

    def test_a_token_may_be_signed_by_a_clock_that_is_a_little_off(self, host: Registry, idp: IdentityProvider) -> None:
        idp.in_token = {"exp": int(time.time()) - 20, "nbf": int(time.time()) + 20}

        assert host.log_in().user == "alice@corp.example"

    def test_a_token_that_another_key_signed_is_refused(self, host: Registry, idp: IdentityProvider) -> None:
        idp.signs_with = ec.generate_private_key(ec.SECP256R1())

        with pytest.raises(UnauthorizedError):
            host.log_in()

    def test_userinfo_of_somebody_else_is_refused(self, host: Registry, idp: IdentityProvider) -> None:
        del idp.claims["email"]
        idp.in_userinfo = {"sub": "somebody else", "email": "admin@corp.example"}

        with pytest.raises(UnauthorizedError):
            host.log_in()

    def test_a_code_is_good_with_the_verifier_of_its_own_login_only(
        self, host: Registry, idp: IdentityProvider
    ) -> None:
        (provider,) = host.sign_in.providers
        victim, attacker = (provider.begin(request(), CALLBACK) for _ in range(2))
        stolen = idp.visited(victim.url)["code"]

        with pytest.raises(UnauthorizedError):
            provider.complete(request(), attacker, CALLBACK, {"code": stolen, "state": attacker.state})


class TestNames:
    def test_a_name_is_that_of_the_account_which_had_it_first(
        self, host: Registry, idp: IdentityProvider, caplog: pytest.LogCaptureFixture
    ) -> None:
        host.log_in()
        idp.claims["sub"] = "somebody else"

        with caplog.at_level(logging.WARNING), pytest.raises(UnauthorizedError):
            host.log_in()
        assert "the name is that of oidc:corp" in caplog.text

    @pytest.mark.parametrize("name", ["a:b", " alice", "a\nb", "x" * 256, "\ud800"])
    def test_what_cannot_be_a_name_is_refused(self, host: Registry, idp: IdentityProvider, name: str) -> None:
        idp.claims["email"] = name

        with pytest.raises(UnauthorizedError):
            host.log_in()


class TestAfterwards:
    def test_api_keys_work_until_the_last_login_is_too_long_ago(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        idp.claims["groups"] = ["registry-devs"]
        host = Registry(tmp_path, idp, records, keys="30d")
        grant = host.log_in()
        keys = host.controller.keys
        assert keys is not None
        _, text = keys.create(grant, Key("", grant.user, "laptop", 0, None))
        docker = request(basic(grant.user, text))
        assert host.controller.authorize(docker, on("team/app", "push")).user == grant.user

        later = Registry(tmp_path, idp, records, keys="30d")
        members = later.controller._accounts._members
        in_31_days = time.time() + 31 * 86400
        for source in members._sources:
            source._clock = lambda: in_31_days  # type: ignore[attr-defined]

        with pytest.raises(UnauthorizedError):
            later.controller.authorize(docker, on("team/app", "push"))
        assert not later.sign_in.stands(grant, 1)

    def test_groups_are_those_of_the_last_login_at_every_host(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        idp.claims["groups"] = ["registry-devs"]
        one, other = (Registry(tmp_path, idp, records) for _ in range(2))
        grant = one.log_in()
        other.controller.judge(grant, on("team/app", "push"))

        idp.claims["groups"] = []
        third = Registry(tmp_path, idp, records)
        assert one.log_in() == grant

        for each in (one, third):
            with pytest.raises(DeniedError):
                each.controller.judge(grant, on("team/app", "push"))

    @pytest.mark.parametrize("lapsed", [False, True])
    def test_a_look_undoes_nothing_of_a_login_at_another_host(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory, *, lapsed: bool
    ) -> None:
        idp.claims["groups"] = ["registry-devs"]
        one = Registry(tmp_path, idp, records)
        grant = one.log_in()
        looks = RecordsReadBefore(records, one.log_in)
        other = Registry(tmp_path, idp, looks)
        if lapsed:
            for source in other.controller._accounts._members._sources:
                source._clock = lambda: time.time() + 91 * 86400  # type: ignore[attr-defined]

        idp.claims["groups"] = []
        assert other.sign_in.stands(grant, 1) != lapsed

        assert looks.written == []
        third = Registry(tmp_path, idp, records)
        assert third.sign_in.stands(grant, 1)
        with pytest.raises(DeniedError):
            third.controller.judge(grant, on("team/app", "push"))

    def test_a_provider_that_is_configured_no_more_lets_nobody_go_on(
        self, tmp_path: Path, idp: IdentityProvider, records: RecordsInMemory
    ) -> None:
        grant = Registry(tmp_path, idp, records).log_in()

        other = Registry(tmp_path, idp, records, name="other")

        assert not other.sign_in.stands(grant, 1)

    def test_one_may_log_out_at_the_provider_too(self, host: Registry, idp: IdentityProvider) -> None:
        (provider,) = host.sign_in.providers

        url = provider.farewell(host.log_in(), "https://registry.example/ui/")

        assert provider.farewell(Grant("alice", "password:x"), "https://registry.example/ui/") == ""
        assert url.startswith(f"{idp.issuer}/bye?")
        assert parse_qs(urlsplit(url).query)["post_logout_redirect_uri"] == ["https://registry.example/ui/"]


class TestOutOfOrder:
    @pytest.mark.parametrize(
        ("metadata", "said"),
        [
            ({"issuer": "https://evil.example"}, "is that of 'https://evil.example'"),
            ({"token_endpoint": None}, "has no token_endpoint"),
            ({"authorization_endpoint": "javascript:alert(1)"}, "has no authorization_endpoint that begins with"),
        ],
    )
    def test_a_provider_that_describes_itself_wrongly_is_named(
        self, host: Registry, idp: IdentityProvider, metadata: dict[str, object], said: str
    ) -> None:
        idp.metadata = metadata

        with pytest.raises(ControllerError, match=f"identity provider corp: .*{said}"):
            host.log_in()

    def test_one_that_does_not_answer_is_an_error_that_says_so(self, tmp_path: Path, records: RecordsInMemory) -> None:
        with identity_provider() as idp:
            host = Registry(tmp_path, idp, records)

        with pytest.raises(ControllerError, match="identity provider corp: http://127"):
            host.log_in()

    def test_one_that_does_not_know_this_client_is_an_error_and_not_the_users_fault(
        self, host: Registry, idp: IdentityProvider
    ) -> None:
        idp.answer = 401, {"error": "invalid_client"}

        with pytest.raises(ControllerError, match="answers 401: 'invalid_client'"):
            host.log_in()


class TestConfiguration:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"name": "a/b"}, r"login\.oidc\[0\]\.name: must be 1 to 64 lower-case letters"),
            ({"issuer": ""}, r"login\.oidc\[0\]\.issuer: is missing"),
            ({"issuer": "http://idp.example"}, r"login\.oidc\[0\]\.issuer: must be https://"),
            ({"clientid": ""}, r"login\.oidc\[0\]\.clientid: is missing"),
            ({"clientsecretfile": "/nowhere"}, r"login\.oidc\[0\]\.clientsecretfile: /nowhere: No such file"),
            ({"scopes": ["email"]}, r"login\.oidc\[0\]\.scopes: must have openid"),
            ({"keys": "1s"}, r"login\.oidc\[0\]\.keys: must be at least 60s"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, host: Registry, change: dict[str, object], said: str) -> None:
        host.parameters["login"]["oidc"][0].update(change)

        with pytest.raises(ParameterError, match=said):
            LocalController.from_parameters(host.parameters)
