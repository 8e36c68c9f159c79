"""Who may do what, as clients see it."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from auth.base import Access, AccessController, Grant, Request, UnauthorizedError
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.config import Configuration
from registry.config.values import HTTP, Delete, Extensions, Plugin, Storage
from registry.handlers.current import EXTENSION
from registry.services import build_services
from tests.auth.asking import basic
from tests.auth.issuing import jwk, jwks_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

RULES = [
    {"repositories": "public/**", "anonymous": ["pull"], "user:alice": ["*"]},
    {"repositories": "team/**", "user:alice": ["*"], "user:ci": ["pull", "push"]},
    {"repositories": "secret/**", "user:alice": ["*"]},
    {
        "repositories": "kept/**",
        "user:alice": ["*"],
        "user:ci": ["pull", "push", "delete"],
        "user:cleaner": ["pull", "delete"],
    },
]
ALICE, CI = basic("alice", "wonderland"), basic("ci", "machine")
CONFIG = b"{}"
CONFIG_DIGEST = "sha256:" + hashlib.sha256(CONFIG).hexdigest()


def application(auth: Plugin | None, **http: Any) -> Flask:
    storage = Storage("inmemory", {}, delete=Delete(enabled=True))
    app = create_app(
        build_services(Configuration("0.1", storage, auth=auth, http=HTTP(**http)), driver=InMemoryDriver())
    )
    app.testing = False
    return app


@pytest.fixture
def local(htpasswd: Path) -> Flask:
    return application(Plugin("local", {"htpasswd": str(htpasswd), "rules": RULES}))


@pytest.fixture
def client(local: Flask) -> FlaskClient:
    return local.test_client()


def ask(client: FlaskClient, method: str, path: str, who: str | None = None, **more: Any) -> TestResponse:
    headers = {"Authorization": who} if who else {}
    return client.open(path, method=method, headers=headers, **more)


def manifest(note: str = "") -> bytes:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": CONFIG_DIGEST, "size": len(CONFIG)}
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config}
    return json.dumps({**document, "layers": [], "annotations": {"note": note}}).encode()


def push(client: FlaskClient, name: str, tag: str, who: str, note: str = "") -> TestResponse:
    uploaded = ask(client, "POST", f"/v2/{name}/blobs/uploads/?digest={CONFIG_DIGEST}", who, data=CONFIG)
    assert uploaded.status_code == 201, uploaded.text
    return put(client, name, tag, who, note)


def put(client: FlaskClient, name: str, tag: str, who: str, note: str = "") -> TestResponse:
    kind = "application/vnd.oci.image.manifest.v1+json"
    return ask(client, "PUT", f"/v2/{name}/manifests/{tag}", who, data=manifest(note), content_type=kind)


def error(response: TestResponse) -> tuple[int, str, str]:
    (entry,) = json.loads(response.text)["errors"]
    return response.status_code, entry["code"], entry["message"]


class _NobodyController(AccessController):
    """Lets nobody in, and keeps what it was asked for."""

    name = "nobody"

    def __init__(self) -> None:
        self.asked: list[tuple[Access, ...]] = []

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        del parameters
        return cls()

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        del request
        self.asked.append(tuple(accesses))
        raise UnauthorizedError("Nobody", accesses)


OPEN_ROUTES = {"operations.get_root", "operations.get_liveness", "operations.get_readiness"}
"""Routes that need no credentials, each by decision."""


class TestEveryRoute:
    @pytest.fixture
    def nobody(self, monkeypatch: pytest.MonkeyPatch) -> _NobodyController:
        controller = _NobodyController()
        monkeypatch.setattr("registry.services.load_access", lambda *_: controller)
        return controller

    def test_every_route_and_method_asks_whether_it_may(self, nobody: _NobodyController) -> None:
        app = application(None, extensions=Extensions(enabled=True))
        values = {
            "name": "team/app",
            "reference": "v1",
            "digest": CONFIG_DIGEST,
            "upload_id": "0" * 8,
            "key_id": "0" * 12,
        }
        walked = 0
        for route in app.url_map.iter_rules():
            if route.endpoint in OPEN_ROUTES:
                continue
            path = route.rule
            for name, value in values.items():
                path = path.replace(f"<path:{name}>", value).replace(f"<{name}>", value)
            assert "<" not in path, f"teach this test a value for {path}"
            for method in (route.methods or set()) - {"OPTIONS"}:
                nobody.asked.clear()
                response = ask(app.test_client(), method, path)
                assert response.status_code == 401, f"{method} {path} decides nothing about access"
                assert len(nobody.asked) == 1
                needed = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}.get(method, {"pull", "push"})
                if path.startswith("/v2/_registry/repositories/"):
                    needed = {"delete", "untag"}
                asked = {access.action for access in nobody.asked[0] if access.type == "repository"}
                assert asked == (needed if "team/app" in path else set()), f"{method} {path}"
                walked += 1
        assert walked > 15

    @pytest.mark.parametrize("path", ["/", "/v3/", "/v2/nonsense", "/auth/token"])
    def test_what_is_no_route_needs_no_credentials(self, nobody: _NobodyController, path: str) -> None:
        assert ask(application(None).test_client(), "GET", path).status_code in {200, 404}
        assert nobody.asked == []

    def test_a_refusal_is_the_specifications_json(self, nobody: _NobodyController) -> None:
        assert nobody.asked == []
        response = ask(application(None).test_client(), "POST", "/v2/team/app/blobs/uploads/")
        assert response.headers["WWW-Authenticate"] == "Nobody"
        assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        wanted = [
            {"Type": "repository", "Class": "", "Name": "team/app", "Action": action} for action in ("pull", "push")
        ]
        entry = {"code": "UNAUTHORIZED", "message": "authentication required", "detail": wanted}
        assert json.loads(response.text) == {"errors": [entry]}


class TestHtpasswd:
    @pytest.fixture
    def client(self, htpasswd: Path) -> FlaskClient:
        return application(Plugin("htpasswd", {"realm": "Ours", "path": str(htpasswd)})).test_client()

    def test_a_user_pushes_and_pulls_and_a_stranger_does_nothing(self, client: FlaskClient) -> None:
        assert push(client, "team/app", "v1", ALICE).status_code == 201
        assert put(client, "team/app", "v1", CI, "moved").status_code == 201
        assert ask(client, "GET", "/v2/team/app/manifests/v1", CI).status_code == 200
        for path in ("/v2/", "/v2/_catalog", "/v2/team/app/manifests/v1"):
            response = ask(client, "GET", path)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == 'Basic realm="Ours"'

    def test_a_broken_file_is_400_for_everybody_and_says_nothing_of_itself(
        self, client: FlaskClient, htpasswd: Path
    ) -> None:
        htpasswd.write_text("broken")
        status, code, message = error(ask(client, "GET", "/v2/", ALICE))
        assert (status, code) == (400, "UNAVAILABLE")
        assert str(htpasswd) not in message

    def test_failures_are_slowed_down_with_429(self, client: FlaskClient) -> None:
        statuses = [ask(client, "GET", "/v2/", basic("alice", "guess")).status_code for _ in range(21)]
        assert statuses == [401] * 20 + [429]
        response = ask(client, "GET", "/v2/", basic("alice", "guess"))
        assert error(response)[:2] == (429, "TOOMANYREQUESTS")
        assert int(response.headers["Retry-After"]) in {1, 2}

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip", "Forwarded"])
    @pytest.mark.parametrize("peer", ["8.8.8.8", "10.0.0.9", "172.17.0.1", "fd00::9"])
    def test_who_is_not_a_trusted_proxy_cannot_choose_the_address_that_is_slowed_down(
        self, client: FlaskClient, header: str, peer: str
    ) -> None:
        statuses = []
        for number in range(21):
            told = f"for=192.0.2.{number}" if header == "Forwarded" else f"192.0.2.{number}"
            headers = {"Authorization": basic("alice", "guess"), header: told}
            asked = client.get("/v2/", headers=headers, environ_base={"REMOTE_ADDR": peer})
            statuses.append(asked.status_code)
        assert statuses[-1] == 429

    def test_behind_a_proxy_each_client_has_its_own_address(self, client: FlaskClient) -> None:
        for number in range(30):
            headers = {"Authorization": basic("alice", "guess"), "X-Forwarded-For": f"1.2.3.4, 203.0.113.{number}"}
            assert client.get("/v2/", headers=headers).status_code == 401


class TestLocal:
    def test_everybody_pulls_what_is_public_and_nobody_else_pushes(self, client: FlaskClient) -> None:
        assert push(client, "public/app", "v1", ALICE).status_code == 201
        assert ask(client, "GET", "/v2/public/app/manifests/v1").status_code == 200
        assert ask(client, "POST", "/v2/public/app/blobs/uploads/").status_code == 401
        status, code, message = error(ask(client, "POST", "/v2/public/app/blobs/uploads/", CI))
        assert (status, code) == (403, "DENIED")
        assert "rule 1 (public/**)" in message

    def test_the_catalog_shows_each_caller_what_it_may_pull_a_page_at_a_time(self, client: FlaskClient) -> None:
        for name in ("public/a", "secret/a", "secret/b", "team/a", "team/b"):
            push(client, name, "v1", ALICE)

        def listed(who: str | None) -> list[str]:
            names: list[str] = []
            path = "/v2/_catalog?n=1"
            while path:
                response = ask(client, "GET", path, who)
                names += json.loads(response.text)["repositories"]
                path = response.headers.get("Link", "").partition(">")[0].lstrip("<")
            return names

        anonymous = json.loads(ask(client, "GET", "/auth/token?scope=registry:catalog:*").text)["token"]
        assert listed(ALICE) == ["public/a", "secret/a", "secret/b", "team/a", "team/b"]
        assert listed(CI) == ["public/a", "team/a", "team/b"]
        assert listed(f"Bearer {anonymous}") == ["public/a"]

    def test_a_mount_needs_pull_on_its_source(self, client: FlaskClient) -> None:
        push(client, "secret/app", "v1", ALICE)
        push(client, "public/app", "v1", ALICE)
        path = f"/v2/team/app/blobs/uploads/?mount={CONFIG_DIGEST}&from="
        assert ask(client, "POST", path + "secret/app", CI).status_code == 202
        assert ask(client, "HEAD", f"/v2/team/app/blobs/{CONFIG_DIGEST}", CI).status_code == 404
        assert ask(client, "POST", f"/v2/team/app/blobs/uploads/?mount={CONFIG_DIGEST}", CI).status_code == 202
        assert ask(client, "POST", path + "public/app", CI).status_code == 201

    def test_a_mount_whose_source_the_token_leaves_out_is_challenged_for_it(self, client: FlaskClient) -> None:
        push(client, "public/app", "v1", ALICE)
        token = json.loads(ask(client, "GET", "/auth/token?scope=repository:team/app:pull,push", CI).text)["token"]
        path = f"/v2/team/app/blobs/uploads/?mount={CONFIG_DIGEST}&from=public/app"
        response = ask(client, "POST", path, f"Bearer {token}")
        assert response.status_code == 401
        scope = "repository:team/app:pull,push repository:public/app:pull"
        assert f'scope="{scope}"' in response.headers["WWW-Authenticate"]
        wider = json.loads(ask(client, "GET", f"/auth/token?scope={scope}", CI).text)["token"]
        assert ask(client, "POST", path, f"Bearer {wider}").status_code == 201

    def test_without_overwrite_a_tag_stays_where_it_points(self, client: FlaskClient) -> None:
        first = push(client, "team/app", "v1", CI)
        assert first.status_code == 201
        assert put(client, "team/app", "v1", CI).status_code == 201
        digest = first.headers["Docker-Content-Digest"]
        status, code, message = error(put(client, "team/app", "v1", CI, "other"))
        assert (status, code) == (403, "DENIED")
        assert f"tag v1 points to {digest} and stays there: ci may not overwrite team/app: rule 2" in message
        assert put(client, "team/app", "v2", CI, "other").status_code == 201
        assert put(client, "team/app", "v1", ALICE, "other").status_code == 201

    @pytest.mark.parametrize("with_token", [False, True])
    def test_without_overwrite_a_tag_is_not_deleted_and_pushed_again_either(
        self, client: FlaskClient, *, with_token: bool
    ) -> None:
        digest = push(client, "kept/app", "v1", CI).headers["Docker-Content-Digest"]
        untagged = put(client, "kept/app", "v2", ALICE, "other").headers["Docker-Content-Digest"]
        assert ask(client, "DELETE", "/v2/kept/app/manifests/v2", ALICE).status_code == 202
        who = CI
        if with_token:
            asked = ask(client, "GET", "/auth/token?scope=repository:kept/app:delete", CI)
            who = f"Bearer {json.loads(asked.text)['token']}"

        for reference in ("v1", digest):
            status, code, message = error(ask(client, "DELETE", f"/v2/kept/app/manifests/{reference}", who))
            assert (status, code) == (403, "DENIED")
            assert f"tag v1 points to {digest} and stays: ci may not overwrite kept/app: rule 4" in message
        assert ask(client, "DELETE", f"/v2/kept/app/manifests/{untagged}", who).status_code == 202
        assert ask(client, "DELETE", "/v2/kept/app/manifests/v9", who).status_code == 404
        assert ask(client, "HEAD", "/v2/kept/app/manifests/v1", CI).headers["Docker-Content-Digest"] == digest

    @pytest.mark.parametrize("who", [ALICE, basic("cleaner", "broom")], ids=["may overwrite", "may not push"])
    def test_who_may_overwrite_or_may_not_push_deletes_tags(self, client: FlaskClient, who: str) -> None:
        digest = push(client, "kept/app", "v1", ALICE).headers["Docker-Content-Digest"]
        assert put(client, "kept/app", "v2", ALICE).status_code == 201
        assert ask(client, "DELETE", "/v2/kept/app/manifests/v1", who).status_code == 202
        assert ask(client, "DELETE", f"/v2/kept/app/manifests/{digest}", who).status_code == 202
        assert ask(client, "GET", "/v2/kept/app/manifests/v2", who).status_code == 404

    def test_tags_in_the_query_are_judged_one_by_one_before_anything_is_stored(self, client: FlaskClient) -> None:
        push(client, "team/app", "v1", CI)
        other = "sha256:" + hashlib.sha256(manifest("other")).hexdigest()
        assert error(put(client, "team/app", f"{other}?tag=v2&tag=v1", CI, "other"))[:2] == (403, "DENIED")
        assert ask(client, "GET", "/v2/team/app/manifests/v2", CI).status_code == 404
        assert ask(client, "GET", f"/v2/team/app/manifests/{other}", CI).status_code == 404
        assert put(client, "team/app", f"{other}?tag=v2&tag=v3", CI, "other").status_code == 201

    def test_the_challenge_leads_back_here_also_behind_a_proxy_and_a_prefix(self, htpasswd: Path) -> None:
        auth = Plugin("local", {"htpasswd": str(htpasswd), "rules": RULES})
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "registry.example"}
        told = application(auth, prefix="/sub/").test_client().get("/sub/v2/", headers=headers)
        assert 'realm="https://registry.example/sub/auth/token"' in told.headers["WWW-Authenticate"]
        prefixed = application(auth, prefix="/sub/").test_client()
        assert prefixed.get("/sub/auth/token").status_code == 200
        told = application(auth, host="https://told.example/").test_client().get("/v2/")
        assert 'realm="https://told.example/auth/token"' in told.headers["WWW-Authenticate"]
        told = application(auth, relativeurls=True).test_client().get("/v2/")
        assert 'realm="http://localhost/auth/token"' in told.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [(None, "https"), ("http", "http"), ("https,http", "https"), ("HTTP", "http"), ('x" y', "https")],
)
def test_a_realm_of_this_host_has_the_scheme_that_the_outermost_proxy_tells(
    tmp_path: Path, forwarded: str | None, scheme: str
) -> None:
    parameters = {
        "realm": "r",
        "issuer": "i",
        "service": "s",
        "autoredirect": True,
        "jwks": jwks_file(tmp_path / "keys.json", jwk(b"k" * 32)),
    }
    client = application(Plugin("token", parameters)).test_client()

    told = client.get("/v2/", headers={"X-Forwarded-Proto": forwarded} if forwarded else {})

    assert f'realm="{scheme}://localhost/auth/token"' in told.headers["WWW-Authenticate"]


class TestTheTokenEndpoint:
    def test_get_and_post_answer_json_that_nobody_stores(self, client: FlaskClient) -> None:
        form = {"grant_type": "password", "username": "ci", "password": "machine", "service": "registry"}
        answers = [
            ask(client, "GET", "/auth/token?service=registry&scope=repository:team/app:pull", CI),
            ask(client, "POST", "/auth/token", data={**form, "scope": "repository:team/app:pull"}),
            ask(client, "GET", "/auth/token/", CI),
        ]
        for answer in answers:
            assert answer.status_code == 200, answer.text
            assert answer.content_type == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            token = json.loads(answer.text)["access_token"]
            assert ask(client, "GET", "/v2/", f"Bearer {token}").status_code == 200

    def test_wrong_credentials_are_401(self, client: FlaskClient) -> None:
        form = {"grant_type": "password", "username": "ci", "password": "wrong"}
        for answer in (
            ask(client, "GET", "/auth/token", basic("ci", "wrong")),
            ask(client, "GET", "/auth/token", "Basic !"),
            ask(client, "POST", "/auth/token", data=form),
            ask(client, "POST", "/auth/token", data={"grant_type": "refresh_token", "refresh_token": "x"}),
        ):
            assert error(answer) == (401, "UNAUTHORIZED", "authentication required")
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="registry"'

    def test_a_request_that_is_none_is_400_in_both_vocabularies(self, client: FlaskClient) -> None:
        for answer in (
            ask(client, "POST", "/auth/token"),
            ask(client, "POST", "/auth/token", data=b"\xff" * 100, content_type="application/x-www-form-urlencoded"),
            ask(client, "POST", "/auth/token", data="{}", content_type="application/json"),
            ask(client, "POST", "/auth/token", data={"grant_type": "x"}),
        ):
            assert error(answer)[:2] == (400, "UNSUPPORTED")
            assert json.loads(answer.text)["error"] == "unsupported_grant_type"
        scopes = "&".join(["scope=repository:team/app:pull"] * 10_000)
        assert json.loads(ask(client, "GET", f"/auth/token?{scopes}").text)["error"] == "invalid_scope"

    def test_a_form_that_is_too_large_is_413(self, client: FlaskClient) -> None:
        answer = ask(client, "POST", "/auth/token", data={"grant_type": "password", "password": "x" * 100_000})
        assert answer.status_code == 413
        assert json.loads(answer.text)["errors"]

    def test_other_methods_are_405(self, client: FlaskClient) -> None:
        for method in ("PUT", "PATCH", "DELETE"):
            assert error(ask(client, method, "/auth/token"))[:2] == (405, "UNSUPPORTED")

    def test_a_controller_without_a_token_service_has_no_such_route(self, htpasswd: Path) -> None:
        app = application(Plugin("htpasswd", {"realm": "Ours", "path": str(htpasswd)}))
        assert ask(app.test_client(), "GET", "/auth/token").status_code == 404
        assert app.extensions[EXTENSION].access.token_service is None


_PATHS = ["/v2/", "/v2/_catalog", "/v2/team/app/manifests/v1", "/auth/token"]


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("controller", ["htpasswd", "local"])
def test_no_header_leads_to_a_5xx(local: Flask, htpasswd: Path, path: str, controller: str) -> None:
    from tests.auth.conformance import MALFORMED  # noqa: PLC0415

    app = local if controller == "local" else application(Plugin("htpasswd", {"realm": "x", "path": str(htpasswd)}))
    client = app.test_client()
    for authorization in MALFORMED:
        header = authorization.encode().decode("latin-1").replace("\n", "").replace("\r", "")
        response = ask(client, "GET", path, header)
        assert response.status_code in {200, 401, 404, 429}, header[:100]
        assert response.status_code == 401 or not authorization.strip() or controller == "htpasswd"
        if response.status_code == 401:
            assert json.loads(response.text)["errors"][0]["code"] == "UNAUTHORIZED"


def test_a_pull_and_a_push_log_no_secret(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = json.loads(ask(client, "GET", "/auth/token?scope=repository:team/app:pull,push", CI).text)["token"]
    for who in (CI, f"Bearer {token}", basic("ci", "wrong-secret"), f"Bearer {token[:-9]}"):
        push_path = "/v2/team/app/blobs/uploads/"
        ask(client, "POST", push_path, who)
        ask(client, "GET", "/auth/token?offline_token=true", who)
    shown = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for secret in ("machine", "wrong-secret", token.rpartition(".")[2][:-9], CI.partition(" ")[2]):
        assert secret not in shown
