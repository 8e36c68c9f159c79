from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.storage import paths
from tests.conftest import DEFAULTS
from tests.content import ABSENT
from tests.handlers.pushing import error_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Serve

CONTENT = b"0123456789"
DIGEST = Digest.of(CONTENT)
UPLOADS = "/v2/team/app/blobs/uploads/"
UNKNOWN_ID = "5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"
METHODS = ["GET", "PATCH", "PUT", "DELETE"]


@pytest.fixture
def url(client: FlaskClient) -> str:
    """The location of a session that has the first five bytes."""
    url = client.post(UPLOADS).headers["Location"]
    return client.patch(url, data=CONTENT[:5]).headers["Location"]


def stands_as_it_was(client: FlaskClient, url: str) -> bool:
    """Tell whether the upload can be finished with the second five bytes."""
    return client.put(f"{url}&digest={DIGEST}", data=CONTENT[5:]).status_code == 201


def sign(secret: str, **fields: object) -> str:
    message = json.dumps(fields).encode()
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), message, hashlib.sha256) + message).decode()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "upload_id",
    [UNKNOWN_ID, UNKNOWN_ID.upper(), "x", "1", "..", ".", "a.b", "_layers", "\0", "%0a", "é", "x" * 3000, "-" * 36],
    ids=lambda upload_id: repr(upload_id[:12]),
)
def test_a_session_that_is_not_there_is_404(client: FlaskClient, method: str, upload_id: str) -> None:
    response = client.open(f"{UPLOADS}{upload_id}?digest={DIGEST}", method=method)

    assert error_of(response) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("method", METHODS)
def test_a_session_of_another_repository_is_404(client: FlaskClient, url: str, method: str) -> None:
    other = url.partition("?")[0].replace("team/app", "team/other")

    assert error_of(client.open(f"{other}?digest={DIGEST}", method=method)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert stands_as_it_was(client, url)


@pytest.mark.parametrize("method", METHODS)
def test_a_state_of_something_else_is_404_and_changes_nothing(client: FlaskClient, url: str, method: str) -> None:
    path, _, token = url.partition("?_state=")
    upload_id = path.rpartition("/")[2]
    secret = DEFAULTS["http"]["secret"]
    fields: dict[str, object] = {"Name": "team/app", "UUID": upload_id, "Offset": 5, "StartedAt": ""}
    states = [
        "",
        "x",
        token[:-8],
        token.replace("%3D", "")[:-2],
        ("B" if token.startswith("A") else "A") + token[1:],
        "A" * 5000,
        "%00",
        "%ff",
        sign("another secret", **fields),
        sign("", **fields),
        sign(secret, **{**fields, "Name": "team/other"}),
        sign(secret, **{**fields, "UUID": UNKNOWN_ID}),
        sign(secret, Name="team/app"),
        client.post(UPLOADS).headers["Location"].partition("?_state=")[2],
        client.post("/v2/team/other/blobs/uploads/").headers["Location"].partition("?_state=")[2],
    ]
    for state in states:
        response = client.open(f"{path}?_state={state}&digest={DIGEST}", method=method, data=b"x")

        assert error_of(response) == (404, "BLOB_UPLOAD_INVALID"), state
    assert stands_as_it_was(client, url)


def test_a_state_of_the_go_registry_is_taken(client: FlaskClient, url: str) -> None:
    path = url.partition("?")[0]
    fields: dict[str, object] = {"Name": "team/app", "UUID": path.rpartition("/")[2], "Offset": 5}
    state = sign(DEFAULTS["http"]["secret"], **fields, StartedAt="2026-11-23T07:29:48.880963429Z")

    assert stands_as_it_was(client, f"{path}?_state={state}")


def test_a_state_from_before_the_secret_was_changed_is_404(serve: Serve, client: FlaskClient, url: str) -> None:
    response = serve(http={"secret": "another"}).patch(url, data=b"x")

    assert error_of(response) == (404, "BLOB_UPLOAD_INVALID")
    assert stands_as_it_was(client, url)


@pytest.mark.parametrize(
    ("content_range", "expected"),
    [
        ("5-9", (202, "")),
        ("bytes 5-9/*", (202, "")),
        ("5-8", (400, "SIZE_INVALID")),
        ("5-10", (400, "SIZE_INVALID")),
        ("4-8", (416, "RANGE_INVALID")),
        ("0-4", (416, "RANGE_INVALID")),
        ("9-5", (416, "RANGE_INVALID")),
        ("-5-9", (416, "RANGE_INVALID")),
        ("nonsense", (416, "RANGE_INVALID")),
        ("5-" + "9" * 5000, (416, "RANGE_INVALID")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_range_and_a_body_must_agree(
    client: FlaskClient,
    url: str,
    content_range: str,
    expected: tuple[int, str],
) -> None:
    response = client.patch(url, data=CONTENT[5:], headers={"Content-Range": content_range})

    if expected[0] == 202:
        assert response.status_code == 202
    else:
        assert error_of(response) == expected
        assert stands_as_it_was(client, url)


@pytest.mark.parametrize(
    "digest", [None, "", "sha256:abc", "latest", "md5:d41d8cd98f00b204e9800998ecf8427e", "a" * 9000]
)
def test_finishing_without_a_digest_is_400_and_the_session_stays(
    client: FlaskClient,
    url: str,
    digest: str | None,
) -> None:
    response = client.put(url if digest is None else f"{url}&digest={digest}", data=CONTENT[5:])

    assert error_of(response) == (400, "DIGEST_INVALID")
    assert stands_as_it_was(client, url)


@pytest.mark.parametrize("digest", [ABSENT, Digest.of(b"x", "sha512"), Digest.of(CONTENT[5:])])
def test_finishing_with_another_digest_is_400_and_ends_the_session(
    client: FlaskClient,
    driver: StorageDriver,
    url: str,
    digest: Digest,
) -> None:
    response = client.put(f"{url}&digest={digest}", data=CONTENT[5:])

    assert error_of(response) == (400, "DIGEST_INVALID")
    assert error_of(client.get(url)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert driver.list(paths.BLOBS, limit=1) == []


@pytest.mark.parametrize("algorithm", ["", "md5", "SHA256", "sha1", "../sha256", "\n", "x" * 5000])
def test_an_unknown_algorithm_is_400(client: FlaskClient, driver: StorageDriver, algorithm: str) -> None:
    response = client.post(UPLOADS, query_string={"digest-algorithm": algorithm})

    assert error_of(response) == (400, "DIGEST_INVALID")
    assert driver.list("/docker", limit=1) == []


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "ten", " ", "5 5", "9" * 5000, "\u0665"])
def test_a_length_that_is_none_is_400(client: FlaskClient, url: str, length: str) -> None:
    for method in ("PATCH", "PUT"):
        answer = client.open(
            f"{url}&digest={DIGEST}",
            method=method,
            data=CONTENT[5:],
            environ_overrides={"CONTENT_LENGTH": length},
        )
        assert error_of(answer) == (400, "SIZE_INVALID")
    assert stands_as_it_was(client, url)


class TestWhereUploadsAreLocked:
    """Elsewhere of two requests at a time the one that ends last is refused."""

    @pytest.fixture
    def driver(self) -> StorageDriver:
        return InMemoryDriver(lock_seconds=0.1)

    def test_an_upload_that_another_request_is_writing_to_is_503_for_now(
        self,
        client: FlaskClient,
        driver: StorageDriver,
        url: str,
    ) -> None:
        path = paths.upload_data("team/app", url.partition("?")[0].rpartition("/")[2])
        with driver.open_upload(path):
            response = client.patch(url, data=b"x")

        assert error_of(response) == (503, "UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
        assert stands_as_it_was(client, url)
