"""/v2/_registry/keys and /v2/_registry/access/explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.oci.media_types import JSON
from tests.auth.asking import basic
from tests.handlers.test_access import ALICE, CI, ask, error, push, put

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Serve

KEYS = "/v2/_registry/keys"
EXPLAIN = "/v2/_registry/access/explain"
ON: dict[str, Any] = {"secret": "a secret", "extensions": {"enabled": True}}
RULES = [
    {"repositories": "team/**", "user:alice": ["*"], "user:ci": ["pull"]},
    {"repositories": "public/**", "anonymous": ["pull"]},
]


@pytest.fixture(params=["storage", "file"])
def auth(request: pytest.FixtureRequest, htpasswd: Path, tmp_path: Path) -> dict[str, Any]:
    place = "storage" if request.param == "storage" else str(tmp_path / "keys.json")
    parameters = {"htpasswd": str(htpasswd), "rules": RULES, "apikeys": place, "apikeylifetime": "365d"}
    return {"local": parameters}


@pytest.fixture
def client(serve: Serve, auth: dict[str, Any]) -> FlaskClient:
    return serve(http=ON, auth=auth)


def made(client: FlaskClient, who: str = ALICE, **wished: object) -> dict[str, Any]:
    answer = ask(client, "POST", KEYS, who, json={"lifetime": "90d", **wished})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = answer.get_json()
    return told


def listed(client: FlaskClient, who: str = ALICE) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = ask(client, "GET", KEYS, who).get_json()["keys"]
    return keys


def test_a_key_is_made_used_listed_and_revoked(client: FlaskClient) -> None:
    assert listed(client) == []
    key = made(client, name="laptop")
    text = key.pop("key")
    assert push(client, "team/app", "v1", basic("alice", text)).status_code == 201
    (told,) = listed(client)
    assert {**told, "used": None} == key
    assert (told["name"], told["repositories"], told["actions"]) == ("laptop", [], [])
    assert listed(client, CI) == []
    assert ask(client, "DELETE", f"{KEYS}/{key['id']}", CI).status_code == 404
    assert ask(client, "DELETE", f"{KEYS}/{key['id']}", ALICE).status_code == 202
    assert ask(client, "DELETE", f"{KEYS}/{key['id']}", ALICE).status_code == 404
    assert ask(client, "GET", "/v2/", basic("alice", text)).status_code == 401
    assert listed(client) == []


def test_a_limited_key_is_limited(client: FlaskClient) -> None:
    assert push(client, "team/app", "v1", ALICE).status_code == 201
    assert push(client, "team/other", "v1", ALICE).status_code == 201
    who = basic("alice", made(client, repositories=["team/app"], actions=["pull"])["key"])
    assert ask(client, "GET", "/v2/team/app/manifests/v1", who).status_code == 200
    assert ask(client, "GET", "/v2/team/other/manifests/v1", who).status_code == 403
    refused = put(client, "team/app", "v2", who)
    assert (refused.status_code, error(refused)[2]) == (
        403,
        "alice may not push team/app with this API key, which is limited",
    )
    assert ask(client, "GET", "/v2/_catalog", who).get_json() == {"repositories": ["team/app"]}


@pytest.mark.parametrize("scope", ["", "?scope=repository:team/app:pull", "?scope=registry:catalog:*"])
def test_neither_keys_nor_tokens_look_after_keys(client: FlaskClient, scope: str) -> None:
    key = made(client)
    who = basic("alice", key["key"])
    tokens = [ask(client, "GET", f"/auth/token{scope}", each).get_json()["token"] for each in (ALICE, who)]
    for each in (who, *(f"Bearer {token}" for token in tokens)):
        for method, path in (("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/{key['id']}")):
            refused = ask(client, method, path, each, **({"json": {}} if method == "POST" else {}))
            assert (refused.status_code, error(refused)[1]) == (403, "DENIED")
    assert len(listed(client)) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"7", b"{", b'{"name": 7}', b'{"lifetime": 90}', b'{"expires": "90d"}'),
        *(b'{"repositories": "a"}', b'{"repositories": [7]}', b'{"repositories": ["a b"]}', b'{"actions": ["fly"]}'),
        *(b'{"actions": ["push"]}', b'{"lifetime": "soon"}', b'{"lifetime": "-1d"}', b'{"lifetime": "0s"}'),
        *(b'{"name": "a\\nb"}', b'{"name": "a", "name": "b"}', b'{"name": "%s"}' % (b"x" * 101)),
    ],
)
def test_what_is_malformed_makes_no_key(client: FlaskClient, body: bytes) -> None:
    assert ask(client, "POST", KEYS, ALICE, data=body, content_type=JSON).status_code == 400
    assert listed(client) == []


@pytest.mark.parametrize("said", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/plain, " + JSON])
def test_a_body_that_is_not_said_to_be_json_makes_no_key(client: FlaskClient, said: str | None) -> None:
    refused = ask(client, "POST", KEYS, ALICE, data=b'{"lifetime": "90d"}', content_type=said)
    assert (refused.status_code, error(refused)[1]) == (415, "UNSUPPORTED")
    assert listed(client) == []
    assert ask(client, "POST", KEYS, ALICE, data=b'{"lifetime": "90d"}', content_type=f"{JSON}; charset=utf-8").json


def test_a_key_that_lasts_too_long_is_refused(client: FlaskClient) -> None:
    for wished in ({"lifetime": "366d"}, {}):
        refused = ask(client, "POST", KEYS, ALICE, json=wished)
        assert (refused.status_code, error(refused)[2]) == (403, "an API key may last for 365 days at most")


def test_an_anonymous_token_has_no_keys(client: FlaskClient) -> None:
    token = ask(client, "GET", "/auth/token").get_json()["token"]
    assert ask(client, "GET", KEYS, f"Bearer {token}").status_code == 403


def test_a_read_only_registry_makes_and_revokes_none(serve: Serve, auth: dict[str, Any]) -> None:
    client = serve(http=ON, auth=auth, storage={"maintenance": {"readonly": {"enabled": True}}})
    assert ask(client, "GET", KEYS, ALICE).status_code == 200
    for method, path in (("POST", KEYS), ("DELETE", f"{KEYS}/{'0' * 12}")):
        refused = ask(client, method, path, ALICE, **({"json": {}} if method == "POST" else {}))
        assert (refused.status_code, error(refused)[1]) == (405, "UNSUPPORTED")


def test_without_keys_there_are_none(serve: Serve, htpasswd: Path) -> None:
    client = serve(http=ON, auth={"htpasswd": {"realm": "r", "path": str(htpasswd)}})
    assert error(ask(client, "GET", KEYS, ALICE))[:2] == (405, "UNSUPPORTED")


def test_without_extensions_there_is_none_of_this(serve: Serve, auth: dict[str, Any]) -> None:
    client = serve(http={"secret": "a secret"}, auth=auth)
    for path in (KEYS, EXPLAIN):
        assert ask(client, "GET", path, ALICE).status_code == 404


class TestExplaining:
    def explained(self, client: FlaskClient, who: str | None, repository: str, action: str) -> dict[str, Any]:
        answer = ask(client, "GET", f"{EXPLAIN}?repository={repository}&action={action}", who)
        assert answer.status_code == 200
        told: dict[str, Any] = answer.get_json()
        return told

    def test_the_rule_that_decides_is_named(self, client: FlaskClient) -> None:
        assert self.explained(client, CI, "team/app", "push") == {
            "user": "ci",
            "repository": "team/app",
            "action": "push",
            "allowed": False,
            "reason": "ci may not push team/app: rule 1 (team/**) does not grant it",
        }
        told = self.explained(client, ALICE, "team/app", "untag")
        assert told["allowed"]
        assert told["reason"] == "alice may overwrite team/app: rule 1 (team/**) grants it to user:alice"

    def test_a_key_is_told_what_it_may_do(self, client: FlaskClient) -> None:
        who = basic("alice", made(client, actions=["pull"])["key"])
        assert self.explained(client, who, "team/app", "pull")["allowed"]
        assert not self.explained(client, who, "team/app", "push")["allowed"]

    def test_with_htpasswd_everything_is_allowed(self, serve: Serve, htpasswd: Path) -> None:
        client = serve(http=ON, auth={"htpasswd": {"realm": "r", "path": str(htpasswd)}})
        assert self.explained(client, ALICE, "a", "delete")["allowed"]

    def test_where_it_is_not_known_that_is_said(self, serve: Serve) -> None:
        client = serve(http=ON, auth={"silly": {"realm": "r", "service": "s"}})
        assert error(ask(client, "GET", f"{EXPLAIN}?repository=a&action=pull", "x"))[:2] == (405, "UNSUPPORTED")

    @pytest.mark.parametrize("query", ["", "?repository=A&action=pull", "?repository=a", "?repository=a&action=fly"])
    def test_what_is_malformed_is_400(self, client: FlaskClient, query: str) -> None:
        assert ask(client, "GET", EXPLAIN + query, ALICE).status_code == 400
