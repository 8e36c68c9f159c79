"""A registry that caches others, as clients see it, but for what is fetched: see tests/proxy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.oci.errors import UpstreamBusyError, UpstreamFailedError, UpstreamLimitedError, UpstreamSilentError
from registry.proxy.repositories import Proxied
from registry.services import build_services
from registry.storage.repository import Repositories
from tests.auth.asking import basic
from tests.auth.issuing import ISSUER, SERVICE, Issuer, claims, jwk, jwks_file
from tests.config.forms import configure

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from registry import ports
    from registry.config import Configuration
    from registry.proxy.routing import Place

BASE = "version: 0.1\nstorage: {inmemory: , delete: {enabled: true}}\n"
CLASSIC = "proxy: {remoteurl: 'http://127.0.0.1:1'}\n"
ENTRIES = """
http: {secret: a secret for the tests}
proxies:
- name: hub
  remoteurl: http://127.0.0.1:1
  prefix: hub.example
  namespaces: [hub.example]
  hosts: [mirror.example]
  deny: [secret/**]
- name: over
  remoteurl: http://127.0.0.1:1
  hosts: [over.example]
  namespaces: [over.example]
  push: allow
- name: rest
  remoteurl: http://127.0.0.1:1
  default: true
"""
CONFIG = b"{}"
DIGEST = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
TYPE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": DIGEST, "size": len(CONFIG)},
        "layers": [],
    }
).encode()
MANIFEST_DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()


def client_of(configuration: Configuration, driver: InMemoryDriver) -> FlaskClient:
    app = create_app(build_services(configuration, driver=driver))
    app.testing = False
    return app.test_client()


@pytest.fixture
def memory() -> InMemoryDriver:
    return InMemoryDriver()


@pytest.fixture
def client(memory: InMemoryDriver) -> FlaskClient:
    return client_of(configure(ENTRIES, base=BASE), memory)


@pytest.fixture
def classic(memory: InMemoryDriver) -> FlaskClient:
    return client_of(configure(CLASSIC, base=BASE), memory)


def keep(memory: InMemoryDriver, name: str) -> None:
    """Have an image in the repository `name`, tagged v1."""
    plain = client_of(configure("http: {secret: a secret for the tests}", base=BASE), memory)
    push(plain, name, {})


def push(client: FlaskClient, name: str, headers: dict[str, str], query: str = "") -> str:
    """Push an image, and return where its blob was sent to."""
    begun = client.post(f"/v2/{name}/blobs/uploads/?{query}", headers=headers)
    assert begun.status_code == 202, begun.text
    location = begun.headers["Location"]
    appended = client.patch(location, headers=headers, data=CONFIG)
    assert appended.status_code == 202, appended.text
    done = client.put(f"{appended.headers['Location']}&digest={DIGEST}", headers=headers)
    assert done.status_code == 201, done.text
    path = f"/v2/{name}/manifests/v1?{query}"
    stored = client.put(path, headers=headers, data=MANIFEST, content_type=TYPE)
    assert stored.status_code == 201, stored.text
    return location


def get(client: FlaskClient, path: str, host: str = "localhost", **headers: str) -> TestResponse:
    return client.get(f"/v2/{path}", headers={"Host": host, **headers})


def error(response: TestResponse) -> tuple[int, str]:
    (entry,) = json.loads(response.text)["errors"]
    return response.status_code, entry["code"]


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("hub.example/a/b/manifests/v1", "localhost"),
        ("a/b/manifests/v1", "mirror.example"),
        ("a/b/manifests/v1", "mirror.example:5000"),
        ("a/b/manifests/v1?ns=hub.example", "localhost"),
        ("a/b/manifests/v1?ns=HUB.example", "localhost"),
    ],
)
def test_a_host_a_namespace_and_a_prefix_lead_to_one_repository(
    client: FlaskClient, memory: InMemoryDriver, path: str, host: str
) -> None:
    keep(memory, "hub.example/a/b")
    assert get(client, path, host).data == MANIFEST
    blob = path.replace("manifests/v1", f"blobs/{DIGEST}")
    assert get(client, blob, host).data == CONFIG


def test_the_host_that_a_proxy_in_front_tells_counts(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/a/b")
    forwarded = {"X-Forwarded-Host": "mirror.example"}
    assert get(client, "a/b/manifests/v1", "10.0.0.1", **forwarded).data == MANIFEST


@pytest.mark.parametrize("header", [{"X-Forwarded-Host": "mirror.example"}, {"Forwarded": "host=mirror.example"}])
def test_the_host_that_a_stranger_tells_in_a_forwarded_header_chooses_no_upstream(
    client: FlaskClient, memory: InMemoryDriver, header: dict[str, str]
) -> None:
    keep(memory, "hub.example/a/b")
    push(client, "a/b", {})
    assert client.delete("/v2/a/b/manifests/v1").status_code == 202
    path, headers = "/v2/a/b/manifests/v1", {"Host": "10.0.0.1", **header}
    assert client.get(path, headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"}).data == MANIFEST
    assert client.get(path, headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 404


def test_what_a_namespace_has_led_to_is_told(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/a/b")
    assert get(client, "a/b/manifests/v1?ns=hub.example").headers["OCI-Namespace"] == "hub.example"
    assert "OCI-Namespace" not in get(client, "hub.example/a/b/manifests/v1").headers
    # Of a list, too, whose next page has to be that of the same repository.
    page = get(client, "a/b/tags/list?ns=hub.example&n=0")
    assert page.headers["OCI-Namespace"] == "hub.example"
    push_tag(memory, "hub.example/a/b", "v2")
    link = get(client, "a/b/tags/list?ns=hub.example&n=1").headers["Link"]
    assert link == '</v2/a/b/tags/list?last=v1&n=1&ns=hub.example>; rel="next"'


def push_tag(memory: InMemoryDriver, name: str, tag: str) -> None:
    plain = client_of(configure(base=BASE), memory)
    assert plain.put(f"/v2/{name}/manifests/{tag}", data=MANIFEST, content_type=TYPE).status_code == 201


@pytest.mark.parametrize(
    "namespace", ["unknown.example", "169.254.169.254", "hub.example:x", "hub.example%0d%0aX:%20y"]
)
def test_an_unknown_namespace_is_an_unknown_name(client: FlaskClient, memory: InMemoryDriver, namespace: str) -> None:
    keep(memory, "a/b")
    assert error(get(client, f"a/b/manifests/v1?ns={namespace}")) == (404, "NAME_UNKNOWN")


def test_the_namespace_of_this_registry_itself_says_nothing(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "a/b")
    assert get(client, "a/b/manifests/v1?ns=own.example:5000", "own.example:5000").data == MANIFEST


def test_a_classic_proxy_takes_no_notice_of_namespaces(classic: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "a/b")
    answer = get(classic, "a/b/manifests/v1?ns=unknown.example")
    assert answer.data == MANIFEST
    assert "OCI-Namespace" not in answer.headers


def test_a_local_repository_wins_over_the_default(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "rest/a/b")
    assert get(client, "a/b/manifests/v1").data == MANIFEST
    push(client, "c/d", {})
    assert get(client, "c/d/manifests/v1").data == MANIFEST
    assert get(client, "_catalog").json == {"repositories": ["c/d", "rest/a/b"]}


PUSHES = [
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?digest={DIGEST}"),
    ("POST", f"blobs/uploads/?mount={DIGEST}&from=c/d"),
    ("PATCH", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000?_state=x"),
    ("PUT", f"blobs/uploads/0192a1b2-0000-4000-8000-000000000000?_state=x&digest={DIGEST}"),
    ("PUT", "manifests/v1"),
]


@pytest.mark.parametrize(("method", "path"), PUSHES)
@pytest.mark.parametrize(("name", "host"), [("hub.example/a/b", "localhost"), ("a/b", "mirror.example")])
def test_a_cache_takes_no_pushes(client: FlaskClient, method: str, path: str, name: str, host: str) -> None:
    answer = client.open(f"/v2/{name}/{path}", method=method, headers={"Host": host}, data=MANIFEST, content_type=TYPE)
    assert error(answer) == (405, "UNSUPPORTED")


@pytest.mark.parametrize(("method", "path"), PUSHES)
def test_who_may_not_push_is_told_so_first(htpasswd: Path, memory: InMemoryDriver, method: str, path: str) -> None:
    client = client_of(configure(f"{ENTRIES}auth: {{htpasswd: {{realm: r, path: {htpasswd}}}}}", base=BASE), memory)
    answer = client.open(f"/v2/hub.example/a/b/{path}", method=method)
    assert error(answer) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("name", "headers", "query", "located"),
    [
        ("a/b", {"Host": "over.example"}, "", "a/b"),
        ("over/a/b", {}, "", "over/a/b"),
        ("a/b", {}, "ns=over.example", "over/a/b"),
    ],
)
def test_a_push_goes_on_where_it_has_begun(
    client: FlaskClient, name: str, headers: dict[str, str], query: str, located: str
) -> None:
    location = push(client, name, headers, query)
    assert f"/v2/{located}/blobs/uploads/" in location
    assert get(client, "over/a/b/manifests/v1").data == MANIFEST


def test_an_upload_that_does_not_stand_where_it_should_is_found_under_the_name_that_was_typed(
    client: FlaskClient,
) -> None:
    headers = {"Host": "over.example"}
    location = client.post("/v2/a/b/blobs/uploads/", headers=headers).headers["Location"]
    wrong = client.patch(location, headers=headers | {"Content-Range": "5-6"}, data=CONFIG)
    assert wrong.status_code == 416
    for answer in (wrong, client.get(location.partition("?")[0], headers=headers)):
        assert answer.headers["Location"].startswith("http://over.example/v2/a/b/blobs/uploads/")
    assert client.patch(wrong.headers["Location"], headers=headers, data=CONFIG).status_code == 202


def test_what_is_cached_can_be_deleted_and_mounted(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/a/b")
    mounted = client.post(f"/v2/c/d/blobs/uploads/?mount={DIGEST}&from=hub.example/a/b")
    assert mounted.status_code == 201
    assert client.post(f"/v2/c/d/blobs/uploads/?mount={DIGEST}&from=hub.example/not/there").status_code == 202
    mirror = {"Host": "mirror.example"}
    assert client.delete(f"/v2/a/b/manifests/{MANIFEST_DIGEST}", headers=mirror).status_code == 202
    assert client.delete(f"/v2/a/b/blobs/{DIGEST}", headers=mirror).status_code == 202
    plain = client_of(configure(base=BASE), memory)
    assert get(plain, f"hub.example/a/b/manifests/{MANIFEST_DIGEST}").status_code == 404
    assert get(plain, f"hub.example/a/b/blobs/{DIGEST}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "blobs/uploads/", b"", (405, "UNSUPPORTED")),
        ("POST", f"blobs/uploads/?digest={DIGEST}", CONFIG, (405, "UNSUPPORTED")),
        ("POST", f"blobs/uploads/?mount={DIGEST}&from=a/b", b"", (405, "UNSUPPORTED")),
        ("PUT", "manifests/v1", MANIFEST, (405, "UNSUPPORTED")),
        ("PUT", "manifests/v1", b"{", (400, "MANIFEST_INVALID")),
        ("DELETE", f"manifests/{MANIFEST_DIGEST}", b"", (405, "UNSUPPORTED")),
        ("DELETE", "manifests/v1", b"", (405, "UNSUPPORTED")),
        ("DELETE", f"blobs/{DIGEST}", b"", (405, "UNSUPPORTED")),
        ("PATCH", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000?_state=x", b"x", (404, "BLOB_UPLOAD_INVALID")),
        ("PUT", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000?_state=x", b"x", (404, "BLOB_UPLOAD_INVALID")),
        ("PATCH", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000", b"x", (404, "BLOB_UPLOAD_INVALID")),
        (
            "PUT",
            f"blobs/uploads/0192a1b2-0000-4000-8000-000000000000?digest={DIGEST}",
            b"",
            (404, "BLOB_UPLOAD_INVALID"),
        ),
        ("DELETE", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000", b"", (404, "BLOB_UPLOAD_INVALID")),
        ("PATCH", "blobs/uploads/no-id", b"x", (404, "BLOB_UPLOAD_INVALID")),
        ("GET", "blobs/uploads/0192a1b2-0000-4000-8000-000000000000", b"", (404, "BLOB_UPLOAD_UNKNOWN")),
    ],
)
def test_a_classic_proxy_refuses_what_the_go_registry_refuses(
    classic: FlaskClient, memory: InMemoryDriver, method: str, path: str, body: bytes, expected: tuple[int, str]
) -> None:
    keep(memory, "a/b")
    assert error(classic.open(f"/v2/a/b/{path}", method=method, data=body, content_type=TYPE)) == expected
    assert get(classic, "a/b/manifests/v1").data == MANIFEST


def test_an_upload_from_before_the_registry_was_a_cache_does_not_go_on(memory: InMemoryDriver) -> None:
    secret = "http: {secret: a secret for the tests}\n"
    plain = client_of(configure(secret, base=BASE), memory)
    location = plain.post("/v2/a/b/blobs/uploads/").headers["Location"]
    classic = client_of(configure(secret + CLASSIC, base=BASE), memory)
    assert error(classic.patch(location, data=CONFIG)) == (405, "UNSUPPORTED")
    assert error(classic.put(f"{location}&digest={DIGEST}", data=CONFIG)) == (405, "UNSUPPORTED")


def test_what_the_configuration_denies_is_403_though_it_is_cached(client: FlaskClient, memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/secret/a")
    assert error(get(client, "hub.example/secret/a/manifests/v1")) == (403, "DENIED")


def test_rules_are_about_the_canonical_name(htpasswd: Path, memory: InMemoryDriver) -> None:
    rules = "[{repositories: 'hub.example/**', 'user:alice': [pull]}, {repositories: 'a/**', 'user:ci': ['*']}]"
    auth = f"auth: {{local: {{htpasswd: {htpasswd}, rules: {rules}}}}}"
    client = client_of(configure(ENTRIES + auth, base=BASE), memory)
    keep(memory, "hub.example/a/b")
    alice, other = basic("alice", "wonderland"), basic("ci", "machine")
    for path, host in (("a/b", "mirror.example"), ("hub.example/a/b", "localhost")):
        assert get(client, f"{path}/manifests/v1", host, Authorization=alice).status_code == 200
        assert get(client, f"{path}/manifests/v1", host, Authorization=other).status_code == 403
    assert get(client, "a/b/manifests/v1?ns=hub.example", Authorization=other).status_code == 403


@pytest.mark.parametrize(
    ("name", "path", "host", "status"),
    [
        ("hub.example/a/b", "hub.example/a/b", "localhost", 200),
        ("hub.example/a/b", "a/b", "mirror.example", 200),
        ("a/b", "a/b", "mirror.example", 200),
        ("hub.example/a/b", "a/b?ns=hub.example", "localhost", 200),
        # Whoever may pull a local repository chooses the namespace freely.
        ("a/b", "a/b?ns=hub.example", "localhost", 401),
        ("a/b", "hub.example/a/b", "localhost", 401),
        ("other", "a/b", "mirror.example", 401),
    ],
)
def test_a_token_is_for_the_canonical_name_or_for_what_was_typed_at_a_host(
    memory: InMemoryDriver, tmp_path: Path, name: str, path: str, host: str, status: int
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwks = jwks_file(tmp_path / "jwks.json", jwk(key, kid="k"))
    auth = f"auth: {{token: {{realm: 'https://t.example', issuer: {ISSUER}, service: {SERVICE}, jwks: {jwks}}}}}"
    client = client_of(configure(ENTRIES + auth, base=BASE), memory)
    keep(memory, "hub.example/a/b")
    access = [{"type": "repository", "name": name, "actions": ["pull"]}]
    token = Issuer(key, "ES256", {"kid": "k"}).token(claims(access=access))
    repository, _, query = path.partition("?")
    answer = get(client, f"{repository}/manifests/v1?{query}", host, Authorization=f"Bearer {token}")
    assert answer.status_code == status
    if status != 200:
        assert 'scope="repository:hub.example/a/b:pull"' in answer.headers["Www-Authenticate"]


@pytest.mark.parametrize(("name", "accepted"), [("a/b", False), ("over/a/b", True)])
def test_a_token_for_what_was_typed_at_a_host_lets_nothing_but_a_pull(
    memory: InMemoryDriver, tmp_path: Path, name: str, accepted: bool
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwks = jwks_file(tmp_path / "jwks.json", jwk(key, kid="k"))
    auth = f"auth: {{token: {{realm: 'https://t.example', issuer: {ISSUER}, service: {SERVICE}, jwks: {jwks}}}}}"
    client = client_of(configure(ENTRIES + auth, base=BASE), memory)
    keep(memory, "over/a/b")
    access = [{"type": "repository", "name": name, "actions": ["pull", "push", "delete", "*"]}]
    token = Issuer(key, "ES256", {"kid": "k"}).token(claims(access=access))
    headers = {"Host": "over.example", "Authorization": f"Bearer {token}"}

    assert get(client, "a/b/manifests/v1", "over.example", Authorization=f"Bearer {token}").data == MANIFEST
    answers = [
        client.post("/v2/a/b/blobs/uploads/", headers=headers),
        client.post(f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=a/b", headers=headers),
        client.put("/v2/a/b/manifests/v1", headers=headers, data=MANIFEST, content_type=TYPE),
        client.delete("/v2/a/b/manifests/v1", headers=headers),
        client.delete(f"/v2/a/b/blobs/{DIGEST}", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == ([202, 201, 201, 202, 202] if accepted else [401] * 5)


class Troubled(Proxied):
    """Upstreams of which opening a repository fails with `error`, or warns."""

    error: Exception | None = None

    def open(self, place: Place, visitor: ports.Visitor) -> ports.Repository:
        if self.error:
            raise self.error
        visitor.warn('it is "old"\r\nX: y')
        visitor.warn('it is "old"\r\nX: y')
        with visitor.waiting():
            return super().open(place, visitor)


def troubled(memory: InMemoryDriver, error: Exception | None = None) -> FlaskClient:
    configuration = configure(ENTRIES, base=BASE)
    services = build_services(configuration, driver=memory)
    proxied = Troubled(configuration, memory, Repositories(memory), services.passage, pseudonym="pseudonym")
    proxied.error = error
    return create_app(replace(services, proxied=proxied)).test_client()


@pytest.mark.parametrize(
    ("raised", "status", "code", "retry"),
    [
        (UpstreamLimitedError("slow down", retry_seconds=17), 429, "TOOMANYREQUESTS", "17"),
        (UpstreamBusyError("later", retry_seconds=3), 503, "UNAVAILABLE", "3"),
        (UpstreamFailedError("nonsense"), 502, "UNAVAILABLE", None),
        (UpstreamSilentError("nothing"), 504, "UNAVAILABLE", None),
    ],
)
def test_what_is_amiss_with_an_upstream_is_told_with_when_to_come_back(
    memory: InMemoryDriver, raised: Exception, status: int, code: str, retry: str | None
) -> None:
    answer = get(troubled(memory, raised), "hub.example/a/b/manifests/v1")
    assert error(answer) == (status, code)
    assert answer.headers.get("Retry-After") == retry


def test_a_warning_is_one_header_that_holds_nothing_but_text(memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/a/b")
    answer = get(troubled(memory), "hub.example/a/b/manifests/v1")
    assert answer.headers.getlist("Warning")[0] == r'299 - "it is \"old\"??X: y"'
    assert len(answer.headers.getlist("Warning")) == 2, "the upstream is not there"
    assert "X" not in answer.headers


def test_a_registry_that_asks_itself_through_others_is_told_so(memory: InMemoryDriver) -> None:
    keep(memory, "hub.example/a/b")
    client = troubled(memory)
    assert get(client, "hub.example/a/b/manifests/v1", Via="1.1 other, 1.1 front").status_code == 200
    answer = get(client, "hub.example/a/b/manifests/v1", Via="1.1 other, 1.1 pseudonym")
    assert error(answer) == (502, "UNAVAILABLE")
    keep(memory, "c/d")
    assert get(client, "c/d/manifests/v1", Via="1.1 pseudonym").status_code == 200


class TestExtension:
    """What is told below ``_registry/`` is what is kept here: the upstreams, which do not answer, are not asked."""

    @pytest.fixture
    def client(self, memory: InMemoryDriver) -> FlaskClient:
        keep(memory, "hub.example/team/app")
        entries = ENTRIES.replace("tests}", "tests, extensions: {enabled: true}}", 1)
        return client_of(configure(entries, base=BASE), memory)

    def test_what_is_kept_is_told_by_each_of_its_names(self, client: FlaskClient) -> None:
        for path, host in (("hub.example/team/app", "localhost"), ("team/app", "mirror.example")):
            answer = client.get(f"/v2/{path}/_registry/tags/list", headers={"Host": host})
            assert answer.json is not None
            assert [each["name"] for each in answer.json["tags"]] == ["v1"]
            details = f"/v2/{path}/_registry/manifests/details?reference=v1"
            assert client.get(details, headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("hub.example/team/other/_registry/tags/list", 404),
            ("hub.example/team/app/_registry/manifests/details?reference=v2", 404),
            ("hub.example/team/other/_registry/compare?from=v1&to=v2", 404),
            (f"hub.example/team/other/_registry/referrers/tree?digest={MANIFEST_DIGEST}", 404),
        ],
    )
    def test_what_is_not_kept_is_not_fetched(self, client: FlaskClient, path: str, status: int) -> None:
        assert client.get(f"/v2/{path}").status_code == status

    def test_what_is_kept_is_copied_and_what_is_not_kept_is_unknown(self, client: FlaskClient) -> None:
        for reference, status in (("v1", 201), ("v2", 404)):
            body = {"from": f"hub.example/team/app:{reference}", "tag": "v1"}
            copied = client.post("/v2/own/app/_registry/tags/copy?ns=over.example", json=body)
            assert copied.status_code == status
        refused = client.post("/v2/hub.example/team/app/_registry/tags/copy", json=body)
        assert error(refused) == (405, "UNSUPPORTED")
