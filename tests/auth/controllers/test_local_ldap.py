"""``auth: local`` with a directory: the whole controller, with a real slapd."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from auth.base import ControllerError, DeniedError, Grant, Key, ThrottledError, UnauthorizedError
from auth.controllers.local import LocalController
from registry.foundation.errors import ParameterError
from tests.auth.asking import basic, on, request
from tests.auth.directories import directory_server, needs_slapd
from tests.auth.keeping import RecordsInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.auth.directories import DirectoryServer

pytestmark = needs_slapd

RULES = [
    {"repositories": "team/**", "group:dev": ["pull", "push"]},
    {"repositories": "public/**", "authenticated": ["pull"]},
]
ALICE = basic("alice", "wonderland")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DirectoryServer]:
    (tmp_path / "slapd").mkdir()
    with directory_server(tmp_path / "slapd") as server:
        server.add_group("registry-devs", server.add_person("alice", "wonderland"))
        server.add_person("bob", "builder")
        yield server


@pytest.fixture
def parameters(tmp_path: Path, server: DirectoryServer) -> dict[str, Any]:
    hashed = bcrypt.hashpw(b"of the registry", bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"admin:{hashed}\n")
    return {
        "htpasswd": str(tmp_path / "htpasswd"),
        "apikeys": "storage",
        "rules": RULES,
        "ldap": [server.parameters(cache="1s")],
    }


def built(parameters: dict[str, Any], records: RecordsInMemory) -> LocalController:
    controller = LocalController.from_parameters(parameters)
    controller.keep(records)
    return controller


@pytest.fixture
def records() -> RecordsInMemory:
    return RecordsInMemory()


@pytest.fixture
def controller(parameters: dict[str, Any], records: RecordsInMemory) -> LocalController:
    return built(parameters, records)


def refused(controller: LocalController, authorization: str, *accesses: Any) -> bool:
    try:
        controller.authorize(request(authorization), list(accesses) or on("public/app", "pull"))
    except UnauthorizedError:
        return True
    return False


def forget(controller: LocalController) -> None:
    """Let time pass: what was found out of users is too old to be believed."""
    members = controller._accounts._members
    later = members._monotonic() + 60
    members._monotonic = lambda: later


def token_of(controller: LocalController, authorization: str) -> str:
    service = controller.token_service
    assert service is not None
    fields = {"scope": ["repository:public/app:pull"], "service": ["registry"]}
    return f"Bearer {service.issue(request(authorization), fields).members['token']}"


class TestLoggingIn:
    def test_groups_of_the_directory_are_groups_of_the_rules(self, controller: LocalController) -> None:
        assert controller.authorize(request(ALICE), on("team/app", "pull", "push")).user == "alice"
        with pytest.raises(DeniedError):
            controller.authorize(request(basic("bob", "builder")), on("team/app", "pull"))

    def test_a_name_is_spelt_as_the_directory_spells_it(self, controller: LocalController) -> None:
        grant = controller.authorize(request(basic("Alice", "wonderland")), on("team/app", "pull"))

        assert grant.user == "alice"
        assert controller.lists(grant, "team/app")

    def test_people_log_in_to_the_pages(self, controller: LocalController) -> None:
        sign_in = controller.sign_in
        assert sign_in is not None
        assert sign_in.takes_passwords

        grant = sign_in.log_in(request(), "alice", b"wonderland")

        assert grant.user == "alice"
        assert sign_in.stands(grant, 1)
        controller.judge(grant, on("team/app", "push"))

    @pytest.mark.parametrize("password", ["", "wrong", "of the registry"])
    def test_wrong_passwords_are_nobodys(self, controller: LocalController, password: str) -> None:
        assert refused(controller, basic("alice", password))

    def test_a_wrong_password_is_slowed_down_and_a_right_one_that_was_known_is_not(
        self, controller: LocalController
    ) -> None:
        assert controller.authorize(request(ALICE), on("team/app", "pull")).user == "alice"
        for _ in range(20):
            assert refused(controller, basic("alice", "guess"))

        with pytest.raises(ThrottledError):
            controller.authorize(request(basic("alice", "guess")), [])
        assert controller.authorize(request(ALICE), on("team/app", "pull")).user == "alice"


class TestNames:
    def test_a_user_of_the_registry_is_never_one_of_a_directory(
        self, controller: LocalController, server: DirectoryServer
    ) -> None:
        server.add_group("admins", server.add_person("admin", "of the directory"))

        assert refused(controller, basic("admin", "of the directory"))
        assert (
            controller.authorize(request(basic("admin", "of the registry")), on("public/app", "pull")).user == "admin"
        )

    def test_one_who_is_called_otherwise_at_the_login_is_not_either(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory
    ) -> None:
        server.add_person("admin", "of the directory", "zz-other")
        controller = built(parameters, records)

        assert refused(controller, basic("zz-other", "of the directory"))

    def test_a_name_belongs_to_the_first_directory_that_lets_somebody_in_under_it(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory, caplog: Any
    ) -> None:
        first = built(parameters, records)
        assert not refused(first, ALICE)
        parameters["ldap"] = [server.parameters(name="other")]
        second = built(parameters, records)

        with caplog.at_level(logging.WARNING):
            assert refused(second, ALICE)
        assert "the name is that of ldap:corp" in caplog.text

    def test_the_name_of_a_machine_with_an_api_key_is_not_one_of_a_directory(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory
    ) -> None:
        controller = built(parameters, records)
        store = controller._accounts._keys
        assert store is not None
        server.add_person("robot", "of the directory")
        own_keys = controller.keys
        assert own_keys is not None
        made, _ = own_keys.create(Grant("robot", "password:x"), Key("", "robot", "ci", 0, None))

        assert refused(controller, basic("robot", "of the directory"))
        own_keys.revoke("robot", made.id)
        assert not refused(controller, basic("robot", "of the directory"))


class TestAfterwards:
    def test_who_leaves_loses_tokens_sessions_and_keys(
        self, controller: LocalController, server: DirectoryServer
    ) -> None:
        sign_in, keys = controller.sign_in, controller.keys
        assert sign_in is not None
        assert keys is not None
        grant = sign_in.log_in(request(), "alice", b"wonderland")
        token = token_of(controller, ALICE)
        _, key = keys.create(grant, Key("", "alice", "laptop", 0, None))
        assert not refused(controller, token)
        assert not refused(controller, basic("alice", key))

        server.delete("uid=alice,ou=people,dc=example,dc=org")
        forget(controller)

        assert refused(controller, token)
        assert refused(controller, basic("alice", key))
        assert refused(controller, ALICE)
        assert not sign_in.stands(grant, 1)

    def test_who_leaves_a_group_loses_what_it_may(self, controller: LocalController, server: DirectoryServer) -> None:
        controller.authorize(request(ALICE), on("team/app", "push"))

        server.set_members("cn=registry-devs,ou=groups,dc=example,dc=org", "uid=bob,ou=people,dc=example,dc=org")
        forget(controller)

        with pytest.raises(DeniedError):
            controller.authorize(request(ALICE), on("team/app", "push"))

    def test_while_no_server_answers_those_already_in_go_on_and_nobody_new_comes_in(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory
    ) -> None:
        controller, other_host = built(parameters, records), built(parameters, records)
        token = token_of(controller, ALICE)
        server.stop()
        forget(controller)

        assert controller.authorize(request(token), on("public/app", "pull")).user == "alice"
        assert other_host.authorize(request(token), on("public/app", "pull")).user == "alice"
        controller.authorize(request(ALICE), on("team/app", "push"))
        with pytest.raises(ControllerError):
            controller.authorize(request(basic("bob", "builder")), on("public/app", "pull"))

    def test_without_grace_an_outage_ends_everything(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory
    ) -> None:
        parameters["ldap"] = [server.parameters(cache="1s", grace="0s")]
        controller = built(parameters, records)
        token = token_of(controller, ALICE)
        server.stop()
        forget(controller)

        with pytest.raises(ControllerError):
            controller.authorize(request(token), on("public/app", "pull"))

    def test_who_has_left_does_not_come_back_in_an_outage(
        self, parameters: dict[str, Any], server: DirectoryServer, records: RecordsInMemory
    ) -> None:
        controller, other_host = built(parameters, records), built(parameters, records)
        token = token_of(controller, ALICE)
        server.delete("uid=alice,ou=people,dc=example,dc=org")
        forget(controller)
        assert refused(controller, token)

        server.stop()

        with pytest.raises(ControllerError):
            other_host.authorize(request(token), on("public/app", "pull"))


class TestConfiguration:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"name": "Corp"}, r"ldap\[0\]\.name: must be 1 to 64 lower-case letters"),
            ({"servers": []}, r"ldap\[0\]\.servers: is missing"),
            ({"servers": ["http://dc1.example"]}, r"ldap\[0\]\.servers: must be ldaps://HOST"),
            ({"users": {"filter": "(uid={user})"}}, r"ldap\[0\]\.users\.base: is missing"),
            ({"users": {"base": "dc=x", "filter": "(uid=alice)"}}, r"users\.filter: must have \{user\} in it"),
            ({"users": {"base": "dc=x", "filter": "uid={user}"}}, r"users\.filter: must be a filter in parentheses"),
            ({"groups": {"base": "dc=x", "filter": "(memberUid={user})", "nested": True}}, r"must have \{dn\} in it"),
            ({"groups": None}, r"ldap\[0\]\.map: leads to nothing without groups"),
            ({"bindpasswordfile": ""}, r"ldap\[0\]\.bindpasswordfile: is missing"),
            ({"bindpasswordfile": "/nowhere"}, r"ldap\[0\]\.bindpasswordfile: /nowhere: No such file"),
            ({"cafile": "/nowhere"}, r"ldap\[0\]\.cafile: /nowhere: No such file"),
            ({"map": {"devs": 1}}, r"ldap\[0\]\.map: must lead from names to names"),
            ({"map": {"devs": "others"}}, r"group:dev: there is no such group"),
            ({"cache": "0s"}, r"ldap\[0\]\.cache: must be at least 1s"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, parameters: dict[str, Any], change: dict[str, Any], said: str) -> None:
        parameters["ldap"][0].update(change)

        with pytest.raises(ParameterError, match=said):
            LocalController.from_parameters(parameters)

    def test_two_directories_have_two_names(self, parameters: dict[str, Any], server: DirectoryServer) -> None:
        parameters["ldap"].append(server.parameters())

        with pytest.raises(ParameterError, match=r"ldap\[1\]\.name: corp is the name of another directory"):
            LocalController.from_parameters(parameters)

    def test_where_python_ldap_is_missing_the_line_says_what_to_install(
        self, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "auth.identities.ldap.directory", None)

        with pytest.raises(ParameterError, match=r"^ldap: .*; try: .*pip install .*\[ldap\]"):
            LocalController.from_parameters(parameters)
