from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from tests.content import ABSENT, LAYER_TYPE, descriptor, docker_image, image, index
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Serve

CONTENT = image(b"{}")
DIGEST = Digest.of(CONTENT)
MANIFESTS = "/v2/team/app/manifests"
BY_DIGEST = f"{MANIFESTS}/{DIGEST}"
ETAG = f'"{DIGEST}"'


@pytest.fixture
def pushed(client: FlaskClient) -> FlaskClient:
    """A client of a registry that has CONTENT as `latest`."""
    push_image(client, "team/app", "latest")
    return client


def take_over(driver: StorageDriver, content: bytes) -> Digest:
    """Store a manifest as another registry does that does not refuse it."""
    digest = Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    driver.put(paths.revision_link("team/app", digest), str(digest).encode())
    return digest


@pytest.mark.parametrize("reference", ["latest", str(DIGEST)])
@pytest.mark.parametrize("accept", [None, "*/*", media_types.DOCKER_MANIFEST, "text/html", ""])
def test_a_manifest_is_served_as_it_was_pushed_whatever_is_accepted(
    pushed: FlaskClient,
    reference: str,
    accept: str | None,
) -> None:
    headers = {} if accept is None else {"Accept": accept}

    response = pushed.get(f"{MANIFESTS}/{reference}", headers=headers)

    assert (response.status_code, response.data) == (200, CONTENT)
    assert response.headers["Content-Type"] == media_types.OCI_MANIFEST
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["Docker-Content-Digest"] == str(DIGEST)
    assert response.headers["ETag"] == ETAG
    head = pushed.head(f"{MANIFESTS}/{reference}", headers=headers)
    assert (head.status_code, head.data, dict(head.headers)) == (200, b"", dict(response.headers))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": str(DIGEST)}, 304),
        ({"If-None-Match": f'W/{ETAG}, "x"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": ETAG}, 200),
        ({"Range": "bytes=0-1"}, 200),
    ],
    ids=repr,
)
def test_conditions_are_judged_by_the_digest_and_ranges_are_not(
    pushed: FlaskClient,
    headers: dict[str, str],
    status: int,
) -> None:
    for method in ("GET", "HEAD"):
        response = pushed.open(f"{MANIFESTS}/latest", method=method, headers=headers)

        assert response.status_code == status
        if status == 304:
            assert response.data == b""
            assert response.headers["ETag"] == ETAG
            assert response.headers["Docker-Content-Digest"] == str(DIGEST)


@pytest.mark.parametrize("reference", ["unknown", str(ABSENT), str(Digest.of(CONTENT, "sha512"))])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_manifest_that_is_not_there_is_404(pushed: FlaskClient, method: str, reference: str) -> None:
    for name in ("team/app", "unknown"):
        response = pushed.open(f"/v2/{name}/manifests/{reference}", method=method)

        assert response.status_code == 404
        if method != "HEAD":
            assert error_of(response) == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("reference", "code"),
    [
        *[(tag, "TAG_INVALID") for tag in (".a", "-a", "a" * 129, "é", "a b", "%0a", "%00", "a%ff", "a+b")],
        *[(digest, "DIGEST_INVALID") for digest in ("sha256:abc", "x:y", "md5:" + "0" * 32, f"SHA256:{DIGEST.hex}")],
    ],
)
def test_a_reference_that_is_none_is_400(pushed: FlaskClient, method: str, reference: str, code: str) -> None:
    response = pushed.open(f"{MANIFESTS}/{reference}", method=method, data=CONTENT)

    assert error_of(response) == (400, code)


class TestPush:
    @pytest.mark.parametrize("reference", ["latest", str(DIGEST)])
    def test_says_where_the_manifest_is(self, client: FlaskClient, reference: str) -> None:
        push_blob(client, "team/app", b"{}")

        response = client.put(f"{MANIFESTS}/{reference}", data=CONTENT, content_type=media_types.OCI_MANIFEST)

        assert (response.status_code, response.data) == (201, b"")
        assert response.headers["Location"] == f"http://localhost{BY_DIGEST}"
        assert response.headers["Docker-Content-Digest"] == str(DIGEST)
        assert "OCI-Subject" not in response.headers
        assert "OCI-Tag" not in response.headers

    @pytest.mark.parametrize("content_type", [None, media_types.OCI_MANIFEST, f"{media_types.OCI_MANIFEST}; a=b"])
    def test_takes_the_type_with_parameters_or_from_the_document(
        self,
        client: FlaskClient,
        content_type: str | None,
    ) -> None:
        push_blob(client, "team/app", b"{}")

        push_manifest(client, "team/app", "latest", CONTENT, content_type=content_type)

        assert client.head(BY_DIGEST).headers["Content-Type"] == media_types.OCI_MANIFEST

    @pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
    def test_by_another_digest_keeps_the_manifest_under_it(self, client: FlaskClient, algorithm: str) -> None:
        push_blob(client, "team/app", b"{}")
        digest = Digest.of(CONTENT, algorithm)

        assert push_manifest(client, "team/app", f"{digest}?tag=latest", CONTENT) == digest

        for reference in ("latest", digest):
            response = client.get(f"{MANIFESTS}/{reference}")
            assert response.data == CONTENT
            assert response.headers["Docker-Content-Digest"] == str(digest)
        assert client.head(BY_DIGEST).status_code == 404

    def test_by_the_digest_of_something_else_is_400(self, client: FlaskClient, driver: StorageDriver) -> None:
        push_blob(client, "team/app", b"{}")

        response = client.put(f"{MANIFESTS}/{ABSENT}", data=CONTENT)

        assert error_of(response) == (400, "DIGEST_INVALID")
        assert driver.list(paths.manifests("team/app"), limit=1) == []

    def test_with_several_tags_points_all_of_them(self, client: FlaskClient) -> None:
        push_blob(client, "team/app", b"{}")
        tags = [f"v{number}" for number in range(12)]

        response = client.put(BY_DIGEST, query_string={"tag": tags}, data=CONTENT)

        assert response.headers["OCI-Tag"] == ", ".join(tags)
        for tag in tags:
            assert client.get(f"{MANIFESTS}/{tag}").data == CONTENT

    def test_with_a_tag_that_is_none_stores_nothing(self, client: FlaskClient, driver: StorageDriver) -> None:
        push_blob(client, "team/app", b"{}")

        response = client.put(BY_DIGEST, query_string={"tag": ["good", "../bad"]}, data=CONTENT)

        assert error_of(response) == (400, "TAG_INVALID")
        assert driver.list(paths.manifests("team/app"), limit=1) == []

    def test_moves_a_tag(self, pushed: FlaskClient) -> None:
        moved = push_image(pushed, "team/app", "latest", config=b"other")

        assert pushed.head(f"{MANIFESTS}/latest").headers["Docker-Content-Digest"] == str(moved)
        assert pushed.head(BY_DIGEST).status_code == 200

    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            (b"", media_types.OCI_MANIFEST),
            (b"{}", media_types.OCI_MANIFEST),
            (b"[]", "application/json"),
            (b"nonsense", "text/plain"),
            (CONTENT[:-1], media_types.OCI_MANIFEST),
            (CONTENT, media_types.OCI_INDEX),
            (CONTENT, "application/x-www-form-urlencoded"),
            (CONTENT, "nonsense"),
            (image(manifests=[]), media_types.OCI_MANIFEST),
            (json.dumps({"schemaVersion": 1}).encode(), min(media_types.SCHEMA1)),
            (json.dumps({"mediaType": "a/b\r\nSet-Cookie: c"}).encode(), None),
            (b"[" * 100_000, None),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_of_what_is_no_manifest_is_400(
        self,
        client: FlaskClient,
        driver: StorageDriver,
        content: bytes,
        content_type: str | None,
    ) -> None:
        response = client.put(f"{MANIFESTS}/latest", data=content, content_type=content_type)

        assert error_of(response) == (400, "MANIFEST_INVALID")
        assert driver.list("/docker", limit=1) == []

    @pytest.mark.parametrize("more", [{"subject": {}}, {"config": descriptor(b"{}", size=-1)}], ids=repr)
    def test_of_what_another_registry_took_and_the_repository_has_gives_it_a_tag(
        self,
        client: FlaskClient,
        driver: StorageDriver,
        more: dict[str, object],
    ) -> None:
        push_blob(client, "team/app", b"{}")
        content = image(**more)
        before = client.put(f"{MANIFESTS}/new", data=content)
        digest = take_over(driver, content)

        for reference in ("new", f"{digest}?tag=newer"):
            assert push_manifest(client, "team/app", reference, content) == digest

        assert error_of(before) == (400, "MANIFEST_INVALID")
        for tag in ("new", "newer"):
            assert client.get(f"{MANIFESTS}/{tag}").data == content

    def test_of_what_another_registry_took_is_judged_as_any_other_push(
        self,
        client: FlaskClient,
        driver: StorageDriver,
    ) -> None:
        push_blob(client, "team/app", b"{}")
        odd, incomplete = image(subject={}), image(b"{}", b"absent", subject={})
        digest = take_over(driver, odd)
        take_over(driver, incomplete)

        of_another_type = client.put(f"{MANIFESTS}/new", data=odd, content_type=media_types.OCI_INDEX)
        of_other_bytes = client.put(f"{MANIFESTS}/{digest}", data=odd + b" ")
        elsewhere = client.put("/v2/team/other/manifests/new", data=odd)
        without_its_layer = client.put(f"{MANIFESTS}/new", data=incomplete)

        for response in (of_another_type, of_other_bytes, elsewhere):
            assert error_of(response) == (400, "MANIFEST_INVALID")
        assert error_of(without_its_layer) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert client.get(f"{MANIFESTS}/new").status_code == 404

    def test_before_its_blobs_names_each_that_is_missing(self, client: FlaskClient) -> None:
        response = client.put(f"{MANIFESTS}/latest", data=image(b"{}", b"one", b"two"))

        assert error_of(response) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert response.json
        missing = [error["detail"] for error in response.json["errors"]]
        assert missing == [str(Digest.of(each)) for each in (b"{}", b"one", b"two")], (
            "as clients of the Go registry expect"
        )

    def test_of_an_index_before_its_manifests_is_400(self, pushed: FlaskClient) -> None:
        response = pushed.put(f"{MANIFESTS}/all", data=index(CONTENT, b"missing"))

        assert error_of(response) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert push_manifest(pushed, "team/app", "all", index(CONTENT))

    def test_of_a_url_that_is_not_allowed_is_400(self, pushed: FlaskClient) -> None:
        layer = descriptor(b"{}", LAYER_TYPE, urls=["https://example.com/layer"])

        response = pushed.put(f"{MANIFESTS}/latest", data=image(layers=[layer]))

        assert error_of(response) == (400, "MANIFEST_INVALID")

    def test_of_more_references_than_are_allowed_is_400(self, serve: Serve) -> None:
        client = serve(validation={"manifests": {"referencelimit": 100}})
        push_blob(client, "team/app", b"{}")
        layer = descriptor(b"{}", LAYER_TYPE)
        push_manifest(client, "team/app", "most", image(layers=[layer] * 99))

        response = client.put(f"{MANIFESTS}/more", data=image(layers=[layer] * 100))

        assert error_of(response) == (400, "MANIFEST_INVALID")
        assert client.head(f"{MANIFESTS}/more").status_code == 404

    def test_of_thousands_of_references_is_allowed_and_of_ten_thousands_only_if_configured(
        self, client: FlaskClient, serve: Serve
    ) -> None:
        generous = serve(validation={"manifests": {"referencelimit": 0}})
        layer = descriptor(b"{}", LAYER_TYPE)
        for each in (client, generous):
            push_blob(each, "team/app", b"{}")
            push_manifest(each, "team/app", "many", image(layers=[layer] * 9_999))

        more = image(layers=[layer] * 20_000)
        assert client.put(f"{MANIFESTS}/more", data=more).status_code == 400
        assert generous.put(f"{MANIFESTS}/more", data=more).status_code == 201

    @pytest.mark.parametrize("content", [docker_image(b"{}"), index(), b'{"mediaType": "application/x.y+json"}'])
    def test_of_any_media_type_that_the_specification_permits(self, client: FlaskClient, content: bytes) -> None:
        push_blob(client, "team/app", b"{}")
        media_type = json.loads(content)["mediaType"]

        push_manifest(client, "team/app", "latest", content, content_type=media_type)

        response = client.get(f"{MANIFESTS}/latest")
        assert (response.data, response.headers["Content-Type"]) == (content, media_type)


class TestDeletion:
    def test_by_tag_leaves_the_manifest(self, pushed: FlaskClient) -> None:
        response = pushed.delete(f"{MANIFESTS}/latest")

        assert (response.status_code, response.data) == (202, b"")
        assert pushed.get(f"{MANIFESTS}/latest").status_code == 404
        assert pushed.get(BY_DIGEST).status_code == 200

    def test_by_digest_takes_its_tags_along(self, pushed: FlaskClient) -> None:
        push_image(pushed, "team/app", "v1")
        push_image(pushed, "team/app", "other", config=b"other")

        response = pushed.delete(BY_DIGEST)

        assert (response.status_code, response.data) == (202, b"")
        assert pushed.get(BY_DIGEST).status_code == 404
        assert pushed.get("/v2/team/app/tags/list").json == {"name": "team/app", "tags": ["other"]}

    def test_leaves_the_same_manifest_in_other_repositories(self, pushed: FlaskClient) -> None:
        push_image(pushed, "other", "latest")

        pushed.delete(BY_DIGEST)

        assert pushed.get("/v2/other/manifests/latest").data == CONTENT

    def test_can_be_undone_by_a_push(self, pushed: FlaskClient) -> None:
        pushed.delete(BY_DIGEST)

        push_manifest(pushed, "team/app", "latest", CONTENT)

        assert pushed.get(f"{MANIFESTS}/latest").data == CONTENT
