"""What is served below /v2/_registry/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from registry.config.values import Extensions, Plugin
from registry.lifecycle.reports import Report, write_report
from registry.publishing import publishing
from registry.storage import paths
from registry.storage.runs import Closed, Phase, Run, Runs
from tests.auth.asking import basic
from tests.content import image
from tests.handlers.pushing import push_blob, push_image
from tests.handlers.test_access import ALICE, CI, application, ask, error, push

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Serve

REPOSITORIES = "/v2/_registry/repositories"
HEX = "ab" * 32
UPLOAD_ID = "12345678-1234-4234-8234-123456789abc"
COLLECTIONS = "/v2/_registry/gc"
ON: dict[str, Any] = {"secret": "a secret", "extensions": {"enabled": True}}
RULES = [
    {"repositories": "team/**", "user:alice": ["*"], "user:ci": ["pull", "push", "delete"]},
    {"repositories": "team/kept", "user:alice": ["pull"]},
]


@pytest.fixture(autouse=True)
def nobody_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deletion wait for no push."""
    monkeypatch.setattr(publishing, "_PUSH_SECONDS", 0)


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    return serve(http=ON)


def catalog(client: FlaskClient, who: str | None = None) -> list[str]:
    answer = ask(client, "GET", "/v2/_catalog", who).get_json()
    listed: list[str] = answer["repositories"]
    return listed


class TestDeletingARepository:
    @pytest.fixture
    def client(self, client: FlaskClient) -> FlaskClient:
        for name in ("team/app", "team/app/nested", "team/app/nested/deep", "team/app-2", "a/manifests/v1"):
            push_image(client, name, "v1")
        return client

    def test_all_of_it_goes_and_what_is_nested_stays(self, client: FlaskClient) -> None:
        assert client.delete(f"{REPOSITORIES}/team/app").status_code == 202
        assert client.get("/v2/team/app/tags/list").status_code == 404
        assert catalog(client) == ["a/manifests/v1", "team/app/nested", "team/app/nested/deep", "team/app-2"]

    def test_a_second_time_there_is_none(self, client: FlaskClient) -> None:
        client.delete(f"{REPOSITORIES}/team/app")
        response = client.delete(f"{REPOSITORIES}/team/app")
        assert error(response)[:2] == (404, "NAME_UNKNOWN")

    def test_what_is_nested_goes_where_that_is_asked_for(self, client: FlaskClient) -> None:
        assert client.delete(f"{REPOSITORIES}/team/app?recursive=true").status_code == 202
        assert catalog(client) == ["a/manifests/v1", "team/app-2"]

    def test_what_is_nested_in_nothing_goes_too(self, client: FlaskClient) -> None:
        assert client.delete(f"{REPOSITORIES}/team?recursive=true").status_code == 202
        assert catalog(client) == ["a/manifests/v1"]

    @pytest.mark.parametrize("part", ["_layers", "_manifests", "_referrers", "_condemned", "_uploads"])
    def test_what_a_deletion_that_broke_off_has_left_of_what_is_nested_goes(
        self, client: FlaskClient, driver: StorageDriver, part: str
    ) -> None:
        left = f"{paths.repository('team/app/nested/left')}/{part}"
        below = {
            "_layers": f"sha256/{HEX}/link",
            "_manifests": f"revisions/sha256/{HEX}/link",
            "_referrers": f"subjects/sha256/{HEX}/sha256/{HEX}/link",
            "_condemned": f"_layers/sha256/{HEX}/link",
            "_uploads": f"{UPLOAD_ID}/startedat",
        }
        driver.put(f"{left}/{below[part]}", b"x")
        client.delete(f"{REPOSITORIES}/team/app/nested")

        assert client.delete(f"{REPOSITORIES}/team/app?recursive=true").status_code == 202

        assert not driver.list(left, limit=1)
        assert client.delete(f"{REPOSITORIES}/team/app?recursive=true").status_code == 404

    def test_a_blob_that_was_only_pushed_is_not_served_when_all_was_deleted(self, client: FlaskClient) -> None:
        digest = push_blob(client, "team/blobs", b"only pushed")

        assert client.delete(f"{REPOSITORIES}/team?recursive=true").status_code == 202

        assert client.get(f"/v2/team/blobs/blobs/{digest}").status_code == 404

    @pytest.mark.parametrize("query", ["recursive=1", "recursive=TRUE", "recursive", "recursive=false&recursive=true"])
    def test_what_is_neither_true_nor_false_is_refused_and_nothing_goes(self, client: FlaskClient, query: str) -> None:
        told = error(client.delete(f"{REPOSITORIES}/team/app?{query}"))
        assert told == (400, "UNSUPPORTED", "recursive has to be true or false")
        assert "team/app" in catalog(client)

    def test_what_is_nested_stays_where_that_is_said(self, client: FlaskClient) -> None:
        assert client.delete(f"{REPOSITORIES}/team/app?recursive=false").status_code == 202
        assert "team/app/nested" in catalog(client)

    def test_a_name_that_looks_like_a_route_is_a_name(self, client: FlaskClient) -> None:
        assert client.delete(f"{REPOSITORIES}/a/manifests/v1").status_code == 202
        assert "a/manifests/v1" not in catalog(client)

    @pytest.mark.parametrize("name", ["Team", "_layers", "a//b", "a/_uploads"])
    def test_what_is_no_name_is_refused(self, client: FlaskClient, name: str) -> None:
        assert error(client.delete(f"{REPOSITORIES}/{name}"))[:2] == (400, "NAME_INVALID")

    @pytest.mark.parametrize(
        "storage", [{"delete": {"enabled": False}}, {"maintenance": {"readonly": {"enabled": True}}}]
    )
    def test_nothing_goes_where_nothing_is_deleted(self, serve: Serve, client: FlaskClient, storage: Any) -> None:
        other = serve(http=ON, storage=storage)
        assert error(other.delete(f"{REPOSITORIES}/team/app"))[:2] == (405, "UNSUPPORTED")
        assert "team/app" in catalog(client)


def test_it_is_not_there_unless_it_is_asked_for(serve: Serve) -> None:
    client = serve()
    push_image(client, "team/app", "v1")
    assert client.delete(f"{REPOSITORIES}/team/app").status_code == 404
    assert catalog(client) == ["team/app"]


class TestGarbageCollections:
    def test_before_there_was_one_none_is_told(self, client: FlaskClient) -> None:
        assert client.get(COLLECTIONS).get_json() == {"run": None, "reports": []}

    def test_the_last_one_comes_first_and_times_are_as_scripts_read_them(
        self, serve: Serve, driver: StorageDriver
    ) -> None:
        for run in (2, 4):
            write_report(driver, Report(run, "here", began=1000.0 * run, ended=1000.0 * run + 60))

        told = serve(driver, http=ON).get(COLLECTIONS).get_json()["reports"]

        assert [(report["run"], report["ended"]) for report in told] == [
            (4, "1970-01-01T01:07:40Z"),
            (2, "1970-01-01T00:34:20Z"),
        ]
        assert told[0] | {"host": "here", "result": "done", "next_deletion": None} == told[0]

    def test_one_that_is_on_is_told_with_what_it_has_closed(self, serve: Serve, driver: StorageDriver) -> None:
        Runs(driver).write(Run(7, Phase.CONDEMNING, host="here", closed=Closed("team/app")))

        told = serve(driver, http=ON).get(COLLECTIONS).get_json()["run"]

        closed = {"repository": "team/app", "digests": []}
        assert told == {"number": 7, "phase": "condemning", "host": "here", "closed": closed}

    def test_it_is_not_there_unless_it_is_asked_for(self, serve: Serve) -> None:
        assert serve().get(COLLECTIONS).status_code == 404


class TestWhoMay:
    @pytest.fixture
    def client(self, htpasswd: Path) -> FlaskClient:
        parameters = {"htpasswd": str(htpasswd), "rules": RULES, "maintainers": ["user:ci"]}
        app = application(Plugin("local", parameters), extensions=Extensions(enabled=True))
        client = app.test_client()
        assert push(client, "team/app", "v1", ALICE).status_code == 201
        return client

    def test_who_may_delete_and_untag_may_delete_a_repository(self, client: FlaskClient) -> None:
        assert ask(client, "DELETE", f"{REPOSITORIES}/team/app", ALICE).status_code == 202

    def test_who_may_not_untag_may_not(self, client: FlaskClient) -> None:
        # He may push and not overwrite: a tag that goes could be pushed again.
        assert error(ask(client, "DELETE", f"{REPOSITORIES}/team/app", CI))[:2] == (403, "DENIED")
        assert catalog(client, ALICE) == ["team/app"]

    def test_only_maintainers_delete_what_is_nested(self, client: FlaskClient) -> None:
        told = error(ask(client, "DELETE", f"{REPOSITORIES}/team/app?recursive=true", ALICE))
        assert told == (403, "DENIED", "alice is not one of the maintainers of this registry")

    def test_only_maintainers_see_garbage_collections(self, client: FlaskClient) -> None:
        assert error(ask(client, "GET", COLLECTIONS, ALICE))[:2] == (403, "DENIED")
        assert ask(client, "GET", COLLECTIONS, CI).status_code == 200

    def test_strangers_are_asked_who_they_are(self, client: FlaskClient) -> None:
        refused = ask(client, "DELETE", f"{REPOSITORIES}/team/app?recursive=true")
        assert refused.status_code == 401
        challenge = refused.headers["WWW-Authenticate"]
        assert "repository:team/app:delete" in challenge
        assert "registry:maintenance:*" in challenge

    def test_a_token_gives_a_maintainer_and_nobody_else_the_right(self, client: FlaskClient) -> None:
        scopes = {}
        for who in (ALICE, CI):
            asked = "/auth/token?scope=registry:maintenance:*&scope=repository:team/app:delete"
            token = ask(client, "GET", asked, who).get_json()["token"]
            answer = ask(client, "DELETE", f"{REPOSITORIES}/team/app?recursive=true", f"Bearer {token}")
            scopes[who] = error(answer)[0]
        assert scopes == {ALICE: 403, CI: 403}


class TestUsage:
    USAGE = "/v2/_registry/usage"
    QUOTAS: ClassVar[dict[str, Any]] = {
        "inmemory": {},
        "maintenance": {"quotas": [{"repositories": "team/**", "limit": 10_000}, {"repositories": "**", "limit": 1}]},
    }

    @pytest.fixture
    def client(self, serve: Serve) -> FlaskClient:
        for name in ("other", "team", "team/app", "team/app/nested", "team-2"):
            push_image(serve(http=ON), name, "v1", "v2")
        return serve(http=ON, storage=self.QUOTAS)

    def names(self, client: FlaskClient, query: str = "") -> list[str]:
        answer = client.get(f"{self.USAGE}{query}").get_json()
        return [each["name"] for each in answer["repositories"]]

    def test_it_tells_what_repositories_have_and_how_their_quotas_stand(self, client: FlaskClient) -> None:
        push_blob(client, "team/app", b"twelve bytes")
        size = len(image(b"{}")) + len(b"{}")

        answer = client.get(f"{self.USAGE}?prefix=team/app&n=1").get_json()

        assert answer["repositories"] == [{"name": "team/app", "tags": 2, "manifests": 1, "logical": size + 12}]
        (quota,) = answer["quotas"]
        assert quota == {"quota": "team/**", "limit": 10_000, "used": quota["used"], "percent": 0, "counted": None}

    def test_it_has_pages(self, client: FlaskClient) -> None:
        assert self.names(client) == ["other", "team", "team/app", "team/app/nested", "team-2"]
        assert self.names(client, "?prefix=team/") == ["team", "team/app", "team/app/nested"]
        assert self.names(client, "?prefix=tea") == []
        first = client.get(f"{self.USAGE}?prefix=team&n=2")
        assert first.headers["Link"] == f'<{self.USAGE}?last=team%2Fapp&n=2&prefix=team>; rel="next"'
        second = client.get(f"{self.USAGE}?last=team%2Fapp&n=2&prefix=team")
        assert [each["name"] for each in second.get_json()["repositories"]] == ["team/app/nested"]
        assert "Link" not in second.headers
        assert self.names(client, "?n=0") == []

    def test_a_prefix_that_is_no_name_is_refused(self, client: FlaskClient) -> None:
        assert error(client.get(f"{self.USAGE}?prefix=Team:v1"))[:2] == (400, "NAME_INVALID")

    def test_it_is_not_there_where_extensions_are_off(self, serve: Serve) -> None:
        assert serve().get(self.USAGE).status_code == 404

    def test_users_are_told_of_what_is_listed_for_them(self, htpasswd: Path) -> None:
        auth = Plugin("local", {"htpasswd": str(htpasswd), "rules": RULES})
        client = application(auth, extensions=Extensions(enabled=True)).test_client()
        assert push(client, "team/app", "v1", ALICE).status_code == 201

        seen, unseen = (ask(client, "GET", self.USAGE, who).get_json() for who in (ALICE, basic("cleaner", "broom")))
        assert [each["name"] for each in seen["repositories"]] == ["team/app"]
        assert unseen["repositories"] == []
        assert ask(client, "GET", self.USAGE).status_code == 401
