"""POST /v2/<name>/_registry/tags/copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.config.values import Extensions, Plugin
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import runs
from registry.storage.runs import Pace, Phase, Run, Runs
from tests.content import descriptor, image, index
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest
from tests.handlers.test_access import ALICE, CI, application, ask, error, push

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from drivers.base import StorageDriver
    from tests.conftest import Serve

ON: dict[str, Any] = {"secret": "a secret", "extensions": {"enabled": True}}
RULES = [
    {"repositories": "team/**", "user:alice": ["*"], "user:ci": ["pull", "push"]},
    {"repositories": "private/**", "user:alice": ["*"]},
    {"repositories": "public/**", "user:alice": ["*"], "user:ci": ["pull"]},
]


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers wait for nothing and remember nothing."""
    monkeypatch.setattr(runs, "PACE", Pace(cached=0, closed=0))


@pytest.fixture
def client(serve: Serve) -> FlaskClient:
    return serve(http=ON)


def copy(client: FlaskClient, target: str, source: str, tag: str, who: str | None = None, **more: Any) -> TestResponse:
    body = {"from": source, "tag": tag, **more}
    return ask(client, "POST", f"/v2/{target}/_registry/tags/copy", who, json=body)


def test_an_index_is_copied_with_its_images_and_pulled_from_there(client: FlaskClient) -> None:
    images = [image(b"{}", b"layer"), image(b"{}", b"other")]
    for content in (b"{}", b"layer", b"other"):
        push_blob(client, "a/b", content)
    for each in images:
        push_manifest(client, "a/b", str(Digest.of(each)), each, content_type=media_types.OCI_MANIFEST)
    whole = index(*images)
    digest = push_manifest(client, "a/b", "v1", whole, content_type=media_types.OCI_INDEX)

    answer = copy(client, "c/d", "a/b:v1", "stable")

    assert answer.status_code == 201
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert answer.headers["Location"].endswith(f"/v2/c/d/manifests/{digest}")
    assert answer.json == {"name": "c/d", "tag": "stable", "digest": str(digest), "manifests": 3, "blobs": 3}
    assert client.get("/v2/c/d/manifests/stable").data == whole
    for each in images:
        assert client.get(f"/v2/c/d/manifests/{Digest.of(each)}").data == each
    for content in (b"{}", b"layer", b"other"):
        assert client.get(f"/v2/c/d/blobs/{Digest.of(content)}").data == content


def test_a_manifest_is_copied_by_its_digest_within_a_repository(client: FlaskClient) -> None:
    digest = push_image(client, "a/b", "v1")

    answer = copy(client, "a/b", f"a/b@{digest}", "stable")

    assert (answer.status_code, answer.json["manifests"]) == (201, 0)  # type: ignore[index]
    assert client.head("/v2/a/b/manifests/stable").headers["Docker-Content-Digest"] == str(digest)


def test_what_refers_to_it_is_copied_where_that_is_asked_for(client: FlaskClient) -> None:
    push_image(client, "a/b", "v1")
    signature = push_image(client, "a/b", subject=descriptor(image(), media_types.OCI_MANIFEST))

    assert copy(client, "c/without", "a/b:v1", "v1").status_code == 201
    assert copy(client, "c/with", "a/b:v1", "v1", referrers=True).status_code == 201

    assert client.get(f"/v2/c/without/manifests/{signature}").status_code == 404
    assert client.get(f"/v2/c/with/manifests/{signature}").status_code == 200


def test_a_tag_that_is_there_moves_only_where_that_is_asked_for(client: FlaskClient) -> None:
    push_image(client, "a/b", "v1")
    there = push_image(client, "c/d", "v1", annotations={"other": "one"})

    assert copy(client, "c/d", "a/b:v1", "v1").status_code == 412
    assert client.head("/v2/c/d/manifests/v1").headers["Docker-Content-Digest"] == str(there)
    assert copy(client, "c/d", "a/b:v1", "v1", overwrite=True).status_code == 201
    assert copy(client, "c/d", "a/b:v1", "v1").status_code == 201
    assert client.head("/v2/c/d/manifests/v1").headers["Docker-Content-Digest"] == str(Digest.of(image()))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "UNSUPPORTED")),
        (b"[]", (400, "UNSUPPORTED")),
        (b"{}", (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1"}', (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1", "tag": 1}', (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1", "tag": "v2", "overwrite": "yes"}', (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1", "tag": "v2", "tag": "v3"}', (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1", "tag": "v2", "else": true}', (400, "UNSUPPORTED")),
        (b'{"from": "a/b:v1", "tag": "v 2"}', (400, "TAG_INVALID")),
        (b'{"from": "a//b:v1", "tag": "v2"}', (400, "NAME_INVALID")),
        (b'{"from": "v1", "tag": "v2"}', (400, "NAME_INVALID")),
        (b'{"from": "a/b@sha256:1", "tag": "v2"}', (400, "DIGEST_INVALID")),
        (b'{"from": "a/b:nothing", "tag": "v2"}', (404, "MANIFEST_UNKNOWN")),
        (b'{"from": "nothing/here:v1", "tag": "v2"}', (404, "MANIFEST_UNKNOWN")),
        (b"[" * 65_000, (400, "UNSUPPORTED")),
        (b" " * 70_000, (413, "MANIFEST_INVALID")),
    ],
)
def test_what_cannot_be_copied_is_refused_in_the_specifications_json(
    client: FlaskClient, body: bytes, expected: tuple[int, str]
) -> None:
    push_image(client, "a/b", "v1")

    assert error_of(client.post("/v2/c/d/_registry/tags/copy", data=body, content_type=media_types.JSON)) == expected
    assert client.get("/v2/_catalog").json == {"repositories": ["a/b"]}


def test_it_is_not_there_where_extensions_are_off(serve: Serve) -> None:
    client = serve()
    push_image(client, "a/b", "v1")

    assert copy(client, "a/b", "a/b:v1", "v2").status_code in {404, 405}
    assert client.get("/v2/_oci/ext/discover").status_code == 404


def test_a_registry_that_is_read_only_copies_nothing(serve: Serve) -> None:
    read_only = {"readonly": {"enabled": True}}
    client = serve(http=ON, storage={"inmemory": {}, "maintenance": read_only})

    assert error_of(copy(client, "a/b", "a/b:v1", "v2")) == (405, "UNSUPPORTED")


def test_a_copy_that_a_quota_has_no_room_for_is_denied_and_cannot_be_seen(serve: Serve) -> None:
    quotas = [{"repositories": "team/**", "limit": 1000}]
    client = serve(http=ON, storage={"inmemory": {}, "maintenance": {"quotas": quotas}})
    config = b'{"x":"' + b"x" * 2000 + b'"}'
    push_image(client, "free/app", "v1", config=config)

    assert error_of(copy(client, "team/app", "free/app:v1", "v1")) == (403, "DENIED")
    assert client.get("/v2/team/app/manifests/v1").status_code == 404
    assert copy(client, "free/other", "free/app:v1", "v1").status_code == 201


def test_a_garbage_collection_that_is_on_is_told_of_all_that_is_copied(
    client: FlaskClient, driver: StorageDriver
) -> None:
    push_image(client, "a/b", config=b"{}")
    whole = index(image(b"{}"))
    push_manifest(client, "a/b", "v1", whole, content_type=media_types.OCI_INDEX)
    Runs(driver).write(Run(1, Phase.MARKING))

    assert copy(client, "c/d", "a/b:v1", "v1").status_code == 201

    notices = [notice for each in Runs(driver).notice_ids() if (notice := Runs(driver).notice(each))]
    told = {digest for notice in notices if notice.repository == "c/d" for digest in notice.digests}
    assert told == {str(Digest.of(each)) for each in (whole, image(b"{}"), b"{}")}


class TestRights:
    @pytest.fixture
    def client(self, htpasswd: Path) -> FlaskClient:
        auth = Plugin("local", {"htpasswd": str(htpasswd), "rules": RULES})
        client = application(auth, extensions=Extensions(enabled=True)).test_client()
        for name in ("private/app", "public/app", "team/app"):
            assert push(client, name, "v1", ALICE).status_code == 201
        return client

    def test_who_may_pull_the_source_and_push_to_the_target_copies(self, client: FlaskClient) -> None:
        assert copy(client, "team/copy", "public/app:v1", "v1", CI).status_code == 201
        assert ask(client, "GET", "/v2/team/copy/manifests/v1", CI).status_code == 200

    @pytest.mark.parametrize(
        ("target", "source"),
        [("team/copy", "private/app:v1"), ("team/copy", "private/nothing:v1"), ("public/copy", "team/app:v1")],
    )
    def test_who_may_not_is_denied_whether_it_is_there_or_not(
        self, client: FlaskClient, target: str, source: str
    ) -> None:
        assert error(copy(client, target, source, "v1", CI))[:2] == (403, "DENIED")

    def test_a_tag_is_not_moved_by_who_may_not_overwrite(self, client: FlaskClient) -> None:
        assert push(client, "team/other", "v1", CI, "another").status_code == 201

        assert error(copy(client, "team/app", "team/other:v1", "v1", CI, overwrite=True))[:2] == (403, "DENIED")
        assert copy(client, "team/app", "team/other:v1", "v1", ALICE, overwrite=True).status_code == 201

    def test_strangers_are_asked_who_they_are(self, client: FlaskClient) -> None:
        assert copy(client, "team/copy", "public/app:v1", "v1").status_code == 401
