"""Logging in to the pages, and what a visitor may do there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from auth.base import MAINTENANCE, Access, DeniedError, Grant, ThrottledError, UnauthorizedError
from auth.controllers.anonymous import AnonymousController
from auth.controllers.htpasswd import HtpasswdController
from auth.controllers.local import LocalController
from auth.controllers.silly import SillyController
from auth.controllers.token import TokenController
from auth.identities.apikeys import ApiKeyStore
from auth.identities.key_file import KeyFile
from tests.auth.asking import CATALOG, on, request
from tests.auth.files import line

if TYPE_CHECKING:
    from pathlib import Path

    from auth.base import AccessController, SignIn

RULES = [
    {"repositories": "public/**", "anonymous": ["pull"], "authenticated": ["pull", "push"]},
    {"repositories": "team/**", "user:alice": ["*"], "user:bob": ["pull", "push", "delete"]},
]
MAINTAINING = [Access("registry", MAINTENANCE, "*")]


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(line("alice", "wonderland") + line("bob", "builder"))
    return path


@pytest.fixture
def local(htpasswd: Path) -> LocalController:
    return LocalController.from_parameters({"htpasswd": str(htpasswd), "rules": RULES, "maintainers": ["user:alice"]})


@pytest.fixture(params=["htpasswd", "local"])
def controller(request: pytest.FixtureRequest, htpasswd: Path, local: LocalController) -> AccessController:
    if request.param == "local":
        return local
    return HtpasswdController.from_parameters({"realm": "r", "path": str(htpasswd)})


@pytest.fixture
def sign_in(controller: AccessController) -> SignIn:
    assert controller.sign_in
    return controller.sign_in


class TestLoggingIn:
    def test_a_password_logs_in(self, sign_in: SignIn) -> None:
        assert sign_in.takes_passwords
        assert sign_in.log_in(request(), "alice", b"wonderland").user == "alice"

    @pytest.mark.parametrize(("user", "password"), [("alice", b"builder"), ("alice", b""), ("eve", b"x"), ("", b"")])
    def test_a_wrong_one_does_not_and_a_line_in_the_log_says_so(
        self, sign_in: SignIn, caplog: pytest.LogCaptureFixture, user: str, password: bytes
    ) -> None:
        with caplog.at_level(logging.WARNING), pytest.raises(UnauthorizedError):
            sign_in.log_in(request(), user, password)
        assert "wrong user or password from 192.0.2.1" in caplog.text

    def test_guesses_count_together_with_those_of_the_api(self, controller: AccessController, sign_in: SignIn) -> None:
        for _ in range(20):
            with pytest.raises(UnauthorizedError):
                sign_in.log_in(request(), "alice", b"guess")
        with pytest.raises(ThrottledError):
            sign_in.log_in(request(), "alice", b"wonderland")
        assert sign_in.log_in(request(), "bob", b"builder").user == "bob"
        assert controller.sign_in is sign_in

    def test_other_requests_are_attended_to_while_a_password_is_checked(self, sign_in: SignIn) -> None:
        waited = []

        class Waiting:
            authorization = None
            base_url = host = ""
            forwarded_scheme = None
            remote_address = "192.0.2.1"

            def before_waiting(self) -> None:
                waited.append(self)

        sign_in.log_in(Waiting(), "alice", b"wonderland")
        assert waited

    def test_a_session_ends_when_the_password_is_set_anew(self, sign_in: SignIn, htpasswd: Path) -> None:
        alice, bob = (sign_in.log_in(request(), *each) for each in (("alice", b"wonderland"), ("bob", b"builder")))
        assert sign_in.stands(alice, 0.0)
        htpasswd.write_text(line("alice", "another one") + htpasswd.read_text().splitlines()[1])
        assert not sign_in.stands(alice, 0.0)
        assert sign_in.stands(bob, 0.0)

    def test_a_session_ends_with_its_user(self, sign_in: SignIn, htpasswd: Path) -> None:
        alice = sign_in.log_in(request(), "alice", b"wonderland")
        htpasswd.write_text(line("bob", "builder"))
        assert not sign_in.stands(alice, 0.0)

    @pytest.mark.parametrize("grant", [Grant("alice"), Grant("alice", "password:"), Grant("alice", "key:abc")])
    def test_what_proves_nothing_is_no_session(self, sign_in: SignIn, grant: Grant) -> None:
        assert not sign_in.stands(grant, 0.0)


def test_keys_of_machines_do_not_log_in_people(tmp_path: Path, htpasswd: Path) -> None:
    _, text = ApiKeyStore(KeyFile(str(tmp_path / "keys"))).create("alice", None)
    parameters = {"htpasswd": str(htpasswd), "rules": RULES, "apikeys": str(tmp_path / "keys")}
    controller = LocalController.from_parameters(parameters)
    assert controller.sign_in
    with pytest.raises(UnauthorizedError):
        controller.sign_in.log_in(request(), "alice", text.encode())


def test_without_passwords_nobody_can_log_in(tmp_path: Path) -> None:
    parameters = {"key": str(tmp_path / "key.pem"), "rules": RULES}
    assert LocalController.from_parameters(parameters).sign_in is None


class TestRights:
    def test_the_rules_decide_about_visitors_as_about_any_caller(self, local: LocalController) -> None:
        alice, bob, anonymous = Grant("alice"), Grant("bob"), Grant()
        local.judge(alice, on("team/a", "pull", "push", "overwrite", "delete", "untag"))
        local.judge(bob, on("team/a", "pull", "push", "delete"))
        local.judge(anonymous, [*on("public/a", "pull"), *CATALOG])
        for grant, accesses, text in (
            (
                bob,
                on("team/a", "pull", "overwrite"),
                "bob may not overwrite team/a: rule 2 (team/**) does not grant it",
            ),
            (bob, on("team/a", "untag"), "bob may not overwrite team/a: rule 2 (team/**) does not grant it"),
            (anonymous, on("team/a", "pull"), "anonymous may not pull team/a: rule 2 (team/**) does not grant it"),
            (alice, on("other", "pull"), "alice may not pull other: no rule is for this repository"),
            (bob, MAINTAINING, "bob is not one of the maintainers of this registry"),
            (anonymous, MAINTAINING, "anonymous is not one of the maintainers of this registry"),
        ):
            with pytest.raises(DeniedError) as caught:
                local.judge(grant, accesses)
            assert (str(caught.value), caught.value.user) == (text, grant.user)
        local.judge(alice, MAINTAINING)

    def test_what_is_asked_about_is_explained(self, local: LocalController) -> None:
        explained = local.explain(Grant("bob"), *on("public/a", "push"))
        assert explained == "bob may push public/a: rule 1 (public/**) grants it to authenticated"
        assert local.explain(Grant("bob"), *MAINTAINING) == "bob is not one of the maintainers of this registry"
        assert local.explain(Grant("alice"), *MAINTAINING) == "alice is one of the maintainers of this registry"

    def test_with_htpasswd_who_has_logged_in_may_do_everything_and_others_nothing(self, htpasswd: Path) -> None:
        controller = HtpasswdController.from_parameters({"realm": "r", "path": str(htpasswd)})
        controller.judge(Grant("alice", "password:x"), [*on("a", "pull", "delete"), *MAINTAINING])
        assert controller.lists(Grant("alice", "password:x"), "a")
        with pytest.raises(DeniedError, match="anonymous may not pull a: log in first"):
            controller.judge(Grant(), on("a", "pull"))
        assert not controller.lists(Grant(), "a")

    def test_without_access_control_everybody_may_do_everything(self) -> None:
        controller = AnonymousController.from_parameters({})
        controller.judge(Grant(), [*on("a", "pull", "delete"), *MAINTAINING])
        assert controller.lists(Grant(), "a")
        assert controller.sign_in is None
        assert controller.explain(Grant(), *on("a", "pull")) == "anonymous may pull a"

    @pytest.mark.parametrize("kind", [SillyController, TokenController])
    def test_a_controller_without_pages_says_what_to_do(self, kind: type[AccessController]) -> None:
        assert "use local or htpasswd" in kind.no_pages or "use htpasswd or local" in kind.no_pages
        assert kind.sign_in is None

    def test_a_controller_that_knows_no_pages_lets_no_visitor_do_anything(self) -> None:
        controller = SillyController.from_parameters({"realm": "r", "service": "s"})
        with pytest.raises(DeniedError):
            controller.judge(Grant("silly"), on("a", "pull"))
