"""Every route, with every outcome, leaves what the table of docs/audit.md says: one line or none."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bcrypt
import pytest

from auth.base import DeniedError, Grant, Key
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.audit.consumer import NAME
from registry.audit.record import record_of
from registry.config import Configuration
from registry.config.events import Audit
from registry.config.values import HTTP, Delete, Extensions, Plugin, Storage
from registry.journal.entry import Entry, Origin
from registry.journal.reader import Reader
from registry.services import build_services
from registry.storage import paths
from tests.auth.asking import basic
from tests.drivers.failing import FailingDriver
from tests.handlers.test_access import ALICE, CI, CONFIG, CONFIG_DIGEST, OPEN_ROUTES, ask, error, manifest, push, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from auth.base import Access, Request
    from registry.services import Services

RULES = [{"repositories": "team/**", "user:alice": ["*"]}]
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ROW: Final = re.compile(r"\| `(?P<methods>[A-Z, ]+) (?P<path>/\S*)` \| (?P<cells>.*) \|")


def table() -> dict[tuple[str, str], list[str]]:
    """Return what docs/audit.md says of each method and path: a cell for each outcome."""
    text = (Path(__file__).parents[2] / "docs/audit.md").read_text()
    return {
        (method, row["path"]): row["cells"].split(" | ")
        for row in ROW.finditer(text)
        for method in row["methods"].split(", ")
    }


TABLE: Final = table()


class Audited:
    """A registry with an audit log, some content and two users, one of whom may do nothing."""

    def __init__(self, htpasswd: Path, *, enabled: bool = True, pulls: bool = False, deletes: bool = True) -> None:
        self.storage = FailingDriver(InMemoryDriver(), fail_at=0)
        storage = Storage("inmemory", {}, delete=Delete(enabled=deletes))
        auth = Plugin(
            "local", {"htpasswd": str(htpasswd), "rules": RULES, "maintainers": ["user:alice"], "apikeys": "storage"}
        )
        http = HTTP(extensions=Extensions(enabled=True))
        audit = Audit(enabled=enabled, pulls=pulls)
        configuration = Configuration("0.1", storage, auth=auth, http=http, audit=audit)
        self.services: Services = build_services(configuration, driver=self.storage)
        self.app: Flask = create_app(self.services)
        self.app.testing = False
        self.client: FlaskClient = self.app.test_client()
        assert push(self.client, "team/app", "v1", ALICE).status_code == 201
        assert self.services.access.keys
        self.key, _ = self.services.access.keys.create(Grant("alice", "password:x"), Key("", "", "", 0, None))
        self.entries()

    def entries(self) -> list[Entry]:
        """Return what was recorded since this was called before."""
        if self.services.trail:
            self.services.trail.add(all_of_it=True)
        reader = Reader(self.storage.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0)
        position = getattr(self, "_position", "")
        page = reader.page(position, limit=1000)
        self._position = page.position
        return [each.entry for each in page.entries]

    def upload(self) -> str:
        started = ask(self.client, "POST", "/v2/team/app/blobs/uploads/", ALICE)
        location: str = started.headers["Location"]
        return location.partition("localhost")[2]


@pytest.fixture(scope="module")
def htpasswd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auth") / "htpasswd"
    users = {"alice": "wonderland", "ci": "machine"}
    hashed = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode() for user, word in users.items()}
    path.write_text("".join(f"{user}:{each}\n" for user, each in hashed.items()))
    return path


@pytest.fixture
def audited(htpasswd: Path) -> Audited:
    return Audited(htpasswd)


def told(entry: Entry) -> str:
    outcome = entry.details.get("outcome", "ok")
    return f"`{entry.action} {entry.kind}`" + ("" if outcome == "ok" else f" {outcome}")


def test_the_table_has_every_route_that_is_not_open_to_everybody(audited: Audited) -> None:
    served = {
        (method, route.rule.replace("<path:name>", "<name>"))
        for route in audited.app.url_map.iter_rules()
        if route.endpoint not in OPEN_ROUTES
        for method in (route.methods or set()) - {"OPTIONS"}
    }
    assert served == TABLE.keys()


def request_of(audited: Audited, method: str, rule: str, who: str | None, *, bad: bool = False) -> TestResponse:
    """Send a request that is answered with success where `who` may do all, unless it is to be a `bad` one."""
    path = rule.replace("<name>", "team/app")
    more: dict[str, Any] = {}
    if path == "/auth/token":
        return _token_request(audited, method, who, bad=bad)
    if path.endswith("/<upload_id>"):
        path = path.replace("<upload_id>", "0" * 8) if bad else audited.upload()
        more["data"] = CONFIG if method in {"PATCH", "PUT"} else b""
        path += f"{'&' if '?' in path else '?'}digest={CONFIG_DIGEST}"
    elif method == "PUT":
        path = path.replace("<reference>", "v2")
        more = {"data": b"{}" if bad else manifest(), "content_type": MANIFEST_TYPE}
    elif rule.endswith("/_registry/tags/copy"):
        more["json"] = {"from": "team/app:nothing" if bad else "team/app:v1", "tag": "v3"}
    elif (method, rule) == ("POST", "/v2/_registry/keys"):
        more["json"] = {"name": 7 if bad else "laptop"}
    path = path.replace("<key_id>", "0" * 12 if bad else audited.key.id)
    if bad and rule.startswith("/v2/_registry/repositories/"):
        path += "/nothing"
    path = path.replace("<reference>", "nothing" if bad else "v1")
    path = path.replace("<digest>", "sha256:bad" if bad else CONFIG_DIGEST)
    return ask(audited.client, method, path + _query(rule, bad=bad), who, **more)


def _query(rule: str, *, bad: bool) -> str:
    """Return the query of a request."""
    if rule.endswith("/access/explain"):
        return f"?repository=team/app&action={'fly' if bad else 'pull'}"
    if rule.endswith("/search/repositories"):
        return f"?q=app&n={-1 if bad else 1}"
    if rule.startswith("/v2/<name>/_registry/"):
        return "?reference=:&digest=bad&sort=bad" if bad else f"?reference=v1&from=v1&to=v1&digest={CONFIG_DIGEST}"
    bad = bad and rule.endswith(("/_catalog", "/list", "/uploads/", "/usage", "/_registry/tree"))
    return "?n=-1&digest=bad" if bad else ""


def _token_request(audited: Audited, method: str, who: str | None, *, bad: bool) -> TestResponse:
    if method != "POST":
        return ask(audited.client, method, "/auth/token" + ("?service=other" if bad else ""), who)
    user, password = {ALICE: ("alice", "wonderland"), WRONG: ("alice", "guess")}.get(who or "", ("", ""))
    form = {"grant_type": "none" if bad else "password", "username": user, "password": password}
    return ask(audited.client, method, "/auth/token", data=form)


WRONG: Final = basic("alice", "guess")


@pytest.mark.parametrize(("method", "rule"), TABLE)
class TestEveryRoute:
    def expect(self, audited: Audited, method: str, rule: str, column: int) -> None:
        cell = TABLE[method, rule][column]
        assert [told(entry) for entry in audited.entries()] == ([] if cell == "-" else [cell])

    def expect_never(self, method: str, rule: str, column: int) -> None:
        """Assert that the table has nothing where a request is never answered so."""
        assert TABLE[method, rule][column] == "-"

    def test_done(self, audited: Audited, method: str, rule: str) -> None:
        assert request_of(audited, method, rule, ALICE).status_code < 300
        self.expect(audited, method, rule, 0)

    def test_401_without_credentials(self, audited: Audited, method: str, rule: str) -> None:
        anonymous_token = rule == "/auth/token" and method != "POST"
        assert request_of(audited, method, rule, None).status_code == (200 if anonymous_token else 401)
        self.expect(audited, method, rule, 1)

    def test_401_with_wrong_credentials(self, audited: Audited, method: str, rule: str) -> None:
        assert request_of(audited, method, rule, WRONG).status_code == 401
        self.expect(audited, method, rule, 2)

    def test_403(self, htpasswd: Path, method: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if rule == "/auth/token":
            self.expect_never(method, rule, 3)
            return
        audited = Audited(htpasswd)
        authorize = audited.services.access.authorize

        def deny(request: Request, accesses: Sequence[Access]) -> Grant:
            del accesses
            raise DeniedError("by rule 7", authorize(request, ()).user)

        path = audited.upload() if rule.endswith("/<upload_id>") else None
        monkeypatch.setattr(audited.services.access, "authorize", deny)
        monkeypatch.setattr(audited, "upload", lambda: path)
        assert request_of(audited, method, rule, CI).status_code == 403
        self.expect(audited, method, rule, 3)

    def test_429(self, audited: Audited, method: str, rule: str) -> None:
        for _ in range(20):
            ask(audited.client, "GET", "/v2/", WRONG)
        audited.entries()
        assert request_of(audited, method, rule, WRONG).status_code == 429
        self.expect(audited, method, rule, 4)

    def test_another_4xx(self, audited: Audited, method: str, rule: str) -> None:
        listing_keys = rule == "/v2/_registry/keys" and method != "POST"
        if rule in {"/v2/", "/v2/_registry/gc"} or rule.endswith("/_oci/ext/discover") or listing_keys:
            self.expect_never(method, rule, 5)
            return
        assert 400 <= request_of(audited, method, rule, ALICE, bad=True).status_code < 500
        self.expect(audited, method, rule, 5)

    def test_5xx(self, audited: Audited, method: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if rule in {"/v2/", "/auth/token", "/v2/_registry/access/explain"} or rule.endswith("/_oci/ext/discover"):
            self.expect_never(method, rule, 6)
            return
        path = audited.upload() if rule.endswith("/<upload_id>") else None
        monkeypatch.setattr(audited, "upload", lambda: path)
        audited.storage.fail_from_now_on()
        assert request_of(audited, method, rule, ALICE).status_code >= 500
        audited.storage.work_again()
        self.expect(audited, method, rule, 6)

    def test_a_method_that_it_does_not_have_leaves_nothing(self, audited: Audited, method: str, rule: str) -> None:
        del method
        path = rule.replace("<name>", "team/app").replace("<", "").replace(">", "")
        assert ask(audited.client, "PROPFIND", path, ALICE).status_code == 405
        assert audited.entries() == []


def test_a_push_a_mount_and_deletions_say_where_tags_pointed(audited: Audited) -> None:
    digest = ask(audited.client, "HEAD", "/v2/team/app/manifests/v1", ALICE).headers["Docker-Content-Digest"]
    moved = put(audited.client, "team/app", "v1", ALICE, "moved").headers["Docker-Content-Digest"]
    mount = f"/v2/team/other/blobs/uploads/?mount={CONFIG_DIGEST}&from=team/app"
    assert ask(audited.client, "POST", mount, ALICE).status_code == 201
    assert ask(audited.client, "DELETE", f"/v2/team/app/manifests/{moved}", ALICE).status_code == 202
    records = [record_of(0, entry) for entry in audited.entries()]
    assert [(each["action"], each["kind"], each["repository"], each["actor"]) for each in records] == [
        ("push", "manifest", "team/app", "alice"),
        ("mount", "blob", "team/other", "alice"),
        ("delete", "manifest", "team/app", "alice"),
    ]
    assert (records[0]["digest"], records[0]["previous"]) == (moved, {"v1": digest})
    assert records[1]["source"] == "team/app"
    assert (records[2]["digest"], records[2]["previous"]) == (moved, {"v1": moved})


def test_a_denial_names_user_address_rule_and_request(audited: Audited) -> None:
    headers = {"Authorization": CI, "User-Agent": "curl/8"}
    put = audited.client.put("/v2/team/app/manifests/v9", headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert put.status_code == 403
    (entry,) = audited.entries()
    record = record_of(0, entry)
    assert (record["actor"], record["client"], record["user_agent"]) == ("ci", "192.0.2.7", "curl/8")
    assert (record["code"], record["status"], record["method"]) == ("DENIED", 403, "PUT")
    assert record["rule"] == error(put)[2]
    assert record["tags"] == ["v9"]


@pytest.mark.parametrize(
    ("client", "claimed", "told"),
    [
        ("127.0.0.1", "127.0.0.1:56642", None),
        ("::1", "[::1]:56642", None),
        ("::1", "::1", None),
        ("127.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("2001:db8::1", "[2001:db8::2]:80", "[2001:db8::2]:80"),
    ],
)
def test_what_headers_say_of_the_client_is_told_where_it_is_something_else(
    client: str, claimed: str, told: str | None
) -> None:
    origin = Origin(client=client, claimed=claimed)
    assert record_of(0, Entry("id", "push", "manifest", [NAME], origin=origin)).get("claimed_client") == told


def test_a_wrong_password_names_the_user_as_a_claim_and_never_the_password(audited: Audited) -> None:
    ask(audited.client, "GET", "/v2/", WRONG)
    form = {"grant_type": "password", "username": "alice", "password": "guess"}
    ask(audited.client, "POST", "/auth/token?account=alice&password=guess", data=form)
    (entry,) = audited.entries()
    assert (entry.origin.actor, entry.origin.claimed_user, entry.details["count"]) == ("", "alice", "2")
    assert b"guess" not in entry.encode()


@pytest.mark.parametrize(
    ("header", "claimed"),
    [
        ("Basic " + base64.b64encode(b"k3y-without-a-colon").decode(), ""),
        ("Basic " + base64.b64encode(b"k3y:").decode(), ""),
        ("Basic " + base64.b64encode(b"regkey_0123abcd_k3y:x").decode(), "regkey_0123abcd_..."),
        ("Basic k3y-that-is-not-base64", ""),
        ('Digest username="k3y"', ""),
        ("Bearer k3y", ""),
        ("k3y", ""),
        ("Basic " + base64.b64encode("zoë:k3y".encode()).decode(), "zoë"),
    ],
)
def test_what_is_no_name_of_a_user_is_not_recorded_as_one(audited: Audited, header: str, claimed: str) -> None:
    assert audited.client.get("/v2/", headers={"Authorization": header}).status_code == 401
    found = audited.entries()
    assert {entry.origin.claimed_user for entry in found} <= {claimed}
    assert b"k3y" not in b"".join(entry.encode() for entry in found)


def test_a_token_that_does_not_cover_the_request_is_a_denial_and_an_anonymous_one_is_nothing(audited: Audited) -> None:
    for who in (ALICE, None):
        token = ask(audited.client, "GET", "/auth/token?scope=repository:team/app:pull", who).get_json()["token"]
        audited.entries()
        refused = ask(audited.client, "DELETE", "/v2/team/app/manifests/v1", f"Bearer {token}")
        assert refused.status_code == 401
        found = [(told(entry), entry.origin.actor, entry.details["rule"]) for entry in audited.entries()]
        assert found == ([("`delete tag` denied", "alice", "the token does not grant it")] if who else [])


def test_what_a_registry_that_deletes_nothing_refuses_is_a_failure(htpasswd: Path) -> None:
    audited = Audited(htpasswd, deletes=False)
    assert ask(audited.client, "DELETE", "/v2/team/app/manifests/v1", ALICE).status_code == 405
    (entry,) = audited.entries()
    assert (told(entry), entry.details["code"]) == ("`delete tag` failed", "UNSUPPORTED")


def test_pulls_are_recorded_where_that_is_asked_for(htpasswd: Path) -> None:
    audited = Audited(htpasswd, pulls=True)
    for method, path in (
        ("HEAD", "manifests/v1"),
        ("GET", "manifests/v1"),
        ("GET", "manifests/v1"),
        ("GET", f"blobs/{CONFIG_DIGEST}"),
        ("GET", "manifests/nothing"),
    ):
        ask(audited.client, method, f"/v2/team/app/{path}", ALICE)
    found = {(told(entry), *entry.tags, entry.details["count"]) for entry in audited.entries()}
    assert found == {("`pull manifest`", "v1", "2"), ("`pull blob`", "1")}


def test_long_text_of_a_client_is_cut_off(audited: Audited) -> None:
    headers = {"Authorization": basic("x" * 5000, "y"), "User-Agent": "z" * 5000}
    audited.client.get("/v2/", headers=headers)
    (entry,) = audited.entries()
    assert len(entry.encode()) < 3000


def test_without_an_audit_log_nothing_is_recorded(htpasswd: Path) -> None:
    audited = Audited(htpasswd, enabled=False)
    ask(audited.client, "GET", "/v2/", WRONG)
    assert audited.services.trail is None
    assert audited.services.recorder is None
