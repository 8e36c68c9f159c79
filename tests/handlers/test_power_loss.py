"""The power goes at every single call to the storage: nothing may dangle, and doing it again must succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import LAYER_TYPE, descriptor, image
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.failing import FailingDriver
from tests.handlers.pushing import push_blob, push_image, push_manifest
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from drivers.base import StorageDriver
    from tests.conftest import Serve

LAYER = b"layer" * 1000
SUBJECT = image(b"{}")
SIGNED = image(
    b"{}",
    layers=[descriptor(LAYER, LAYER_TYPE)],
    subject=descriptor(SUBJECT, media_types.OCI_MANIFEST),
)
LAYER_DIGEST, SUBJECT_DIGEST, SIGNED_DIGEST = map(Digest.of, (LAYER, SUBJECT, SIGNED))


@pytest.fixture(params=["inmemory", "backwards", "filesystem"])
def media(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StorageDriver]:
    """Make an empty medium, another one for every time the power goes."""
    if request.param == "inmemory":
        return lambda: InMemoryDriver(lock_seconds=0)
    if request.param == "backwards":
        return lambda: BackwardsDriver(lock_seconds=0)
    numbers = iter(range(1000))
    return lambda: FilesystemDriver(str(tmp_path / str(next(numbers))), lock_seconds=0)


def push_layer_in_pieces(client: FlaskClient) -> TestResponse:
    url = client.post("/v2/a/blobs/uploads/").headers["Location"]
    for start in range(0, len(LAYER), 2000):
        url = client.patch(url, data=LAYER[start : start + 2000]).headers["Location"]
    return client.put(f"{url}&digest={LAYER_DIGEST}")


def push_all(client: FlaskClient) -> None:
    """Push a layer in pieces, a config, and an image with a subject under two tags."""
    assert push_layer_in_pieces(client).status_code == 201
    push_blob(client, "a", b"{}")
    push_manifest(client, "a", "latest", SIGNED, query_string={"tag": "v1"}, content_type=media_types.OCI_MANIFEST)


def delete_all(client: FlaskClient) -> None:
    for path in (
        "/v2/a/manifests/v1",
        f"/v2/a/manifests/{SIGNED_DIGEST}",
        f"/v2/a/blobs/{LAYER_DIGEST}",
        f"/v2/a/manifests/{SUBJECT_DIGEST}",
    ):
        assert client.delete(path).status_code == 202


def assert_all_is_there(client: FlaskClient) -> None:
    assert client.get(f"/v2/a/blobs/{LAYER_DIGEST}").data == LAYER
    for reference in ("latest", "v1", str(SIGNED_DIGEST)):
        assert client.get(f"/v2/a/manifests/{reference}").data == SIGNED
    referrers = client.get(f"/v2/a/referrers/{SUBJECT_DIGEST}").json
    assert referrers
    assert [each["digest"] for each in referrers["manifests"]] == [str(SIGNED_DIGEST)]


def assert_what_is_listed_is_there(client: FlaskClient) -> None:
    tags = client.get("/v2/a/tags/list")
    listed: list[str] = tags.json["tags"] if tags.status_code == 200 and tags.json else []
    referrers = client.get(f"/v2/a/referrers/{SUBJECT_DIGEST}").json
    assert referrers
    for reference in (*listed, *(each["digest"] for each in referrers["manifests"])):
        assert client.get(f"/v2/a/manifests/{reference}").status_code == 200


def without_power(
    serve: Serve,
    media: Callable[[], StorageDriver],
    prepare: Callable[[FlaskClient], object],
    act: Callable[[FlaskClient], object],
) -> Iterator[StorageDriver]:
    """Yield a medium for each call during `act` at which the power can go, as it is after that."""
    medium = media()
    prepare(serve(medium))
    rehearsal = FailingDriver(medium, fail_at=0)
    act(serve(rehearsal))
    assert rehearsal.calls > 3
    for fail_at in range(1, rehearsal.calls + 1):
        medium = media()
        prepare(serve(medium))
        failing = FailingDriver(medium, fail_at)
        try:
            act(serve(failing))
        except (AssertionError, KeyError):  # an error was answered, with no Location to go on from
            assert failing.power_is_gone
        yield medium


def test_a_push_that_loses_power_leaves_nothing_dangling_and_can_be_repeated(
    serve: Serve,
    media: Callable[[], StorageDriver],
) -> None:
    for medium in without_power(serve, media, lambda _: None, push_all):
        assert_nothing_dangles(medium, "a")
        client = serve(medium)
        assert_what_is_listed_is_there(client)

        push_all(client)

        assert_all_is_there(client)
        assert_nothing_dangles(medium, "a")


def test_a_second_push_that_loses_power_does_not_harm_the_first(
    serve: Serve,
    media: Callable[[], StorageDriver],
) -> None:
    def push_another(client: FlaskClient) -> None:
        push_image(client, "a", "latest", config=b'{"os": "linux"}')

    for medium in without_power(serve, media, push_all, push_another):
        client = serve(medium)
        assert_nothing_dangles(medium, "a")
        assert client.get("/v2/a/manifests/latest").status_code == 200
        assert client.get("/v2/a/manifests/v1").data == SIGNED

        push_another(client)

        assert client.get("/v2/a/manifests/latest").json["config"]["size"] == 15  # type: ignore[index]  # it has JSON


def test_deletions_that_lose_power_leave_nothing_dangling_and_can_be_gone_on_with(
    serve: Serve,
    media: Callable[[], StorageDriver],
) -> None:
    def push_all_and_the_subject(client: FlaskClient) -> None:
        push_all(client)
        push_manifest(client, "a", str(SUBJECT_DIGEST), SUBJECT, content_type=media_types.OCI_MANIFEST)

    for medium in without_power(serve, media, push_all_and_the_subject, delete_all):
        client = serve(medium)
        assert_nothing_dangles(medium, "a")
        assert_what_is_listed_is_there(client)

        for path in ("manifests/latest", "manifests/v1", f"manifests/{SIGNED_DIGEST}", f"blobs/{LAYER_DIGEST}"):
            assert client.delete(f"/v2/a/{path}").status_code in {202, 404}

        referrers = client.get(f"/v2/a/referrers/{SUBJECT_DIGEST}").json
        assert referrers
        assert referrers["manifests"] == []
        push_all(client)
        assert_all_is_there(client)


def test_conditional_changes_that_lose_power_leave_nothing_dangling(
    serve: Serve,
    media: Callable[[], StorageDriver],
) -> None:
    def change_under_conditions(client: FlaskClient) -> None:
        path = "/v2/a/manifests/latest"
        for content, condition in ((SUBJECT, {"If-None-Match": '"x"'}), (SIGNED, {"If-Match": f'"{SUBJECT_DIGEST}"'})):
            moved = client.put(path, data=content, content_type=media_types.OCI_MANIFEST, headers=condition)
            assert moved.status_code == 201
        assert client.delete(path, headers={"If-Match": f'"{SIGNED_DIGEST}"'}).status_code == 202

    for medium in without_power(serve, media, push_all, change_under_conditions):
        client = serve(medium)
        assert_nothing_dangles(medium, "a")
        assert_what_is_listed_is_there(client)
        assert client.get("/v2/a/manifests/v1").data == SIGNED


def test_an_upload_that_loses_power_is_resumed_where_it_stands_or_is_gone(
    serve: Serve,
    media: Callable[[], StorageDriver],
) -> None:
    uploads: list[str] = []

    def start(client: FlaskClient) -> None:
        uploads.append(client.post("/v2/a/blobs/uploads/").headers["Location"])

    def send(client: FlaskClient) -> None:
        url = client.patch(uploads[-1], data=LAYER[:2000]).headers["Location"]
        response = client.put(f"{url}&digest={LAYER_DIGEST}", data=LAYER[2000:])
        assert response.status_code == 201

    for medium in without_power(serve, media, start, send):
        client = serve(medium)
        assert_nothing_dangles(medium, "a")
        status = client.get(uploads[-1].partition("?")[0])
        if status.status_code == 404:
            continue
        stored = int(status.headers["Range"].partition("-")[2])
        rest = LAYER[stored + 1 if stored else 0 :]
        url = status.headers["Location"]

        response = client.put(f"{url}&digest={LAYER_DIGEST}", data=rest)

        assert response.status_code == 201
        assert client.get(f"/v2/a/blobs/{LAYER_DIGEST}").data == LAYER
