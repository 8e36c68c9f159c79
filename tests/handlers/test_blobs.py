from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.storage import paths
from tests.content import ABSENT
from tests.drivers.stores import STORES
from tests.handlers.pushing import error_of, push_blob

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.wrappers import Response

    from drivers.base import StorageDriver
    from drivers.filesystem.driver import FilesystemDriver
    from tests.conftest import Serve

CONTENT = bytes(range(256)) * 4_200
"""More than one piece."""

DIGEST = Digest.of(CONTENT)
URL = f"/v2/team/app/blobs/{DIGEST}"
SIZE = len(CONTENT)
ETAG = f'"{DIGEST}"'
MANY = "bytes=" + ",".join(f"{start}-{start}" for start in range(0, 202, 2))
"""One range more than may be asked for."""


class RedirectingDriver(InMemoryDriver):
    """Like an object store, knows a URL for each object."""

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        return f"https://storage.example{path}?signed-for={method}"


def parts_of(response: Response) -> list[tuple[str, bytes]]:
    """Return Content-Range and content of each part of an answer, as Python's own parser of MIME reads it."""
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message: Any = BytesParser(policy=HTTP).parsebytes(head + response.data)
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    parts = [*message.iter_parts()]
    assert {part.get_content_type() for part in parts} == {"application/octet-stream"}
    return [(part["Content-Range"], part.get_content()) for part in parts]


@pytest.fixture(params=["inmemory", *STORES, "file", "sendfile"])
def way(request: pytest.FixtureRequest) -> str:
    """Each way in which bytes reach the server."""
    name: str = request.param
    return name


@pytest.fixture
def driver(way: str, request: pytest.FixtureRequest) -> StorageDriver:
    driver: StorageDriver
    if way == "inmemory":
        driver = InMemoryDriver()
    elif way in {"file", "sendfile"}:
        driver = request.getfixturevalue("filesystem")
    else:
        driver = request.getfixturevalue(way).medium().driver()
    return driver


@pytest.fixture
def client(way: str, serve: Serve) -> FlaskClient:
    """A client with CONTENT pushed."""
    client = serve()
    if way == "sendfile":
        client.environ_base["wsgi.file_wrapper"] = FileWrapper  # type: ignore[assignment]  # not only text is put there
    push_blob(client, "team/app", CONTENT)
    return client


def test_a_blob_is_served_whole_with_what_clients_look_for(client: FlaskClient) -> None:
    with client.get(URL) as response:
        assert response.data == CONTENT
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Docker-Content-Digest"] == str(DIGEST)
    assert response.headers["ETag"] == ETAG
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "max-age=31536000"


def test_head_says_the_same_without_the_bytes(client: FlaskClient) -> None:
    with client.get(URL) as full, client.head(URL, headers={"Range": "bytes=0-1"}) as head:
        assert head.status_code == 200
        assert head.data == b""
        assert dict(head.headers) == dict(full.headers)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=10-19", 10, 20),
        ("bytes=1048570-1048590", 1048570, 1048591),
        (f"bytes={SIZE - 1}-{SIZE + 100}", SIZE - 1, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
    ],
)
def test_a_range_is_served_alone(client: FlaskClient, header: str, start: int, stop: int) -> None:
    with client.get(URL, headers={"Range": header}) as response:
        length = int(response.headers["Content-Length"])
        assert response.status_code == 206
        assert length == stop - start
        assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert response.headers["ETag"] == ETAG
        assert response.data[:length] == CONTENT[start:stop]


def test_without_a_server_that_clips_files_no_byte_past_the_range_is_sent(filesystem_client: FlaskClient) -> None:
    push_blob(filesystem_client, "team/app", CONTENT)

    response = filesystem_client.get(URL, headers={"Range": "bytes=10-19"})

    assert response.data == CONTENT[10:20]


@pytest.mark.parametrize("header", ["items=0-4", "bytes=", "bytes=,", "nonsense", MANY])
def test_what_asks_for_no_bytes_or_too_many_ranges_is_answered_with_the_whole(client: FlaskClient, header: str) -> None:
    with client.get(URL, headers={"Range": header}) as response:
        assert response.status_code == 200
        assert response.data == CONTENT


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes=1048570-1048590, 0-1, -5", [(1048570, 1048591), (0, 2), (SIZE - 5, SIZE)]),
        ("bytes=0-700000,800000-", [(0, 700001), (800000, SIZE)]),
        (MANY.rpartition(",")[0], [(start, start + 1) for start in range(0, 200, 2)]),
    ],
)
def test_several_ranges_are_served_in_one_answer(
    client: FlaskClient, header: str, spans: list[tuple[int, int]]
) -> None:
    with client.get(URL, headers={"Range": header, "If-Range": ETAG}) as response:
        assert response.status_code == 206
        assert "Content-Range" not in response.headers
        assert (response.headers["ETag"], response.headers["Docker-Content-Digest"]) == (ETAG, str(DIGEST))
        assert len(response.data) == int(response.headers["Content-Length"])
        assert parts_of(response) == [(f"bytes {a}-{b - 1}/{SIZE}", CONTENT[a:b]) for a, b in spans]


@pytest.mark.parametrize("header", ["bytes=0-4,", "bytes=,0-2,1-4", "bytes=0-4,2000000-"])
def test_what_comes_to_one_range_is_served_alone(client: FlaskClient, header: str) -> None:
    with client.get(URL, headers={"Range": header}) as response:
        assert (response.status_code, response.headers["Content-Range"]) == (206, f"bytes 0-4/{SIZE}")
        assert response.data[:5] == CONTENT[:5]
        assert response.headers["Content-Length"] == "5"


def test_each_answer_has_a_boundary_of_its_own(client: FlaskClient) -> None:
    types = {client.get(URL, headers={"Range": "bytes=0-1,4-5"}).headers["Content-Type"] for _ in range(2)}

    assert len(types) == 2


def test_of_a_blob_that_is_gone_no_ranges_are_served(serve: Serve) -> None:
    driver = InMemoryDriver()
    client = serve(driver, storage={"cache": {"blobdescriptor": "inmemory"}})
    push_blob(client, "team/app", CONTENT)
    driver.delete(paths.blob_data(DIGEST))

    assert error_of(client.get(URL, headers={"Range": "bytes=0-1,4-5"})) == (404, "BLOB_UNKNOWN")


def test_ranges_of_a_file_that_has_become_shorter_break_off(
    filesystem: FilesystemDriver, filesystem_client: FlaskClient
) -> None:
    push_blob(filesystem_client, "team/app", CONTENT)
    with (Path(filesystem.local_path(paths.blob_data(DIGEST)))).open("r+b") as file:
        response = filesystem_client.get(URL, headers={"Range": "bytes=0-1,100-199,300-"}, buffered=False)
        file.truncate(150)

        with pytest.raises(ConnectionAbortedError):
            list(response.response)


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=" + "9" * 5000 + "-"])
def test_a_range_outside_the_content_is_416_and_says_how_large_it_is(client: FlaskClient, header: str) -> None:
    response = client.get(URL, headers={"Range": header})

    assert error_of(response) == (416, "RANGE_INVALID")
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


def test_nothing_is_a_blob_too(client: FlaskClient) -> None:
    empty = push_blob(client, "team/app", b"")

    response = client.get(f"/v2/team/app/blobs/{empty}")

    assert (response.status_code, response.data, response.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-9", "bytes=0-1,4-5"])
def test_a_range_of_nothing_is_nothing(client: FlaskClient, header: str) -> None:
    empty = push_blob(client, "team/app", b"")

    response = client.get(f"/v2/team/app/blobs/{empty}", headers={"Range": header})

    assert (response.status_code, response.data, response.headers["Content-Length"]) == (200, b"", "0")
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize(
    "header",
    [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*", f' "x" ,W/"y",  {ETAG} ', f"{DIGEST}"],
)
def test_who_has_the_content_already_is_told_so(client: FlaskClient, header: str) -> None:
    for method in ("GET", "HEAD"):
        response = client.open(URL, method=method, headers={"If-None-Match": header, "Range": "bytes=0-1"})

        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == ETAG


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-Match": ETAG}, 200),
        ({"If-Match": f'"x", {ETAG}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": f"W/{ETAG}"}, 412),
        ({"If-Match": '"other"', "If-None-Match": ETAG}, 412),
        ({"If-Range": ETAG, "Range": "bytes=0-1"}, 206),
        ({"If-Range": '"other"', "Range": "bytes=0-1"}, 200),
        ({"If-Range": f"W/{ETAG}", "Range": "bytes=0-1"}, 200),
        ({"If-Range": '"other"', "Range": "bytes=0-1,4-5"}, 200),
        ({"If-Range": "Tue, 01 Jan 2030 00:00:00 GMT", "Range": "bytes=0-1"}, 200),
        ({"If-Range": '"other"', "Range": f"bytes={SIZE}-"}, 200),
    ],
    ids=repr,
)
def test_conditions_are_judged_by_the_digest(client: FlaskClient, headers: dict[str, str], status: int) -> None:
    with client.get(URL, headers=headers) as response:
        assert response.status_code == status


@pytest.mark.parametrize("header", ['"' * 30_000, "W/" * 15_000, '"a", ' * 6_000, "a" + " " * 30_000 + "b"])
def test_no_condition_takes_long_to_judge(client: FlaskClient, header: str) -> None:
    with client.head(URL, headers={"If-None-Match": header}) as response:
        assert response.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("name", ["team/app", "team", "unknown"])
def test_what_is_not_there_is_404(client: FlaskClient, method: str, name: str) -> None:
    digest = ABSENT if name == "team/app" else DIGEST

    response = client.open(f"/v2/{name}/blobs/{digest}", method=method)

    assert response.status_code == 404
    if method != "HEAD":
        assert error_of(response) == (404, "BLOB_UNKNOWN")
        assert response.json
        assert response.json["errors"][0]["detail"] == str(digest)


@pytest.mark.parametrize(
    "digest", ["sha256:abc", "latest", f"{DIGEST}"[:-1], f"{DIGEST}0", "md5:" + "0" * 32, "uploads"]
)
def test_what_is_no_digest_is_400(client: FlaskClient, digest: str) -> None:
    for method in ("GET", "DELETE"):
        response = client.open(f"/v2/team/app/blobs/{digest}", method=method)

        assert error_of(response) == (400, "DIGEST_INVALID")


def test_a_deleted_blob_is_gone_from_its_repository_only(client: FlaskClient) -> None:
    push_blob(client, "other", CONTENT)

    response = client.delete(URL)

    assert (response.status_code, response.data) == (202, b"")
    assert client.head(URL).status_code == 404
    assert error_of(client.delete(URL)) == (404, "BLOB_UNKNOWN")
    assert client.head(f"/v2/other/blobs/{DIGEST}").status_code == 200


def test_a_blob_is_deleted_if_the_conditions_hold(client: FlaskClient) -> None:
    for header in ({"If-Match": '"other"'}, {"If-None-Match": "*"}):
        assert client.delete(URL, headers=header).status_code == 412
    assert client.head(URL).status_code == 200

    assert client.delete(URL, headers={"If-Match": ETAG}).status_code == 202
    assert error_of(client.delete(URL, headers={"If-Match": ETAG})) == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_a_blob_is_served_under_the_digest_that_it_was_pushed_by(client: FlaskClient, algorithm: str) -> None:
    digest = push_blob(client, "team/app", b"content", algorithm)

    with client.get(f"/v2/team/app/blobs/{digest}") as response:
        assert response.data == b"content"
    assert response.headers["Docker-Content-Digest"] == str(digest)
    assert client.head(f"/v2/team/app/blobs/{Digest.of(b'content')}").status_code == 404


class TestHandingOver:
    @pytest.fixture
    def driver(self) -> StorageDriver:
        return InMemoryDriver()

    def test_a_storage_that_has_a_url_is_what_get_is_sent_to(self, serve: Serve) -> None:
        client = serve(RedirectingDriver(), storage={"redirect": {}})
        push_blob(client, "team/app", CONTENT)

        response = client.get(URL, headers={"Range": "bytes=0-1"})

        assert (response.status_code, response.data) == (307, b"")
        expected = f"https://storage.example{paths.blob_data(DIGEST)}?signed-for=GET"
        assert response.headers["Location"] == expected
        assert response.headers["Docker-Content-Digest"] == str(DIGEST)
        assert client.head(URL).status_code == 200
        assert client.get(URL, headers={"If-None-Match": ETAG}).status_code == 304

    def test_several_ranges_are_served_here_because_storages_know_one_only(self, serve: Serve) -> None:
        client = serve(RedirectingDriver(), storage={"redirect": {}}, http={"accelredirect": {"prefix": "/_blobs"}})
        push_blob(client, "team/app", CONTENT)

        response = client.get(URL, headers={"Range": "bytes=0-1,4-5"})

        assert [content for _, content in parts_of(response)] == [CONTENT[:2], CONTENT[4:6]]
        assert client.get(URL, headers={"Range": "bytes=0-1,4-5", "If-Range": '"other"'}).status_code == 307
        assert client.head(URL, headers={"Range": "bytes=0-1,4-5"}).status_code == 200

    def test_redirects_can_be_turned_off(self, serve: Serve) -> None:
        client = serve(RedirectingDriver(), storage={"redirect": {"disable": True}})
        push_blob(client, "team/app", CONTENT)

        assert client.get(URL).data == CONTENT

    @pytest.mark.parametrize("prefix", ["/_blobs", "/_blobs/"])
    def test_nginx_sends_local_files_if_it_is_told_where(
        self,
        serve: Serve,
        filesystem: FilesystemDriver,
        prefix: str,
    ) -> None:
        http: dict[str, Any] = {"accelredirect": {"prefix": prefix}}
        client = serve(filesystem, http=http)
        push_blob(client, "team/app", CONTENT)

        response = client.get(URL, headers={"Range": "bytes=0-1"})

        # The range is nginx's to serve, so none of it may have been taken into account here.
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["X-Accel-Redirect"] == f"/_blobs/sha256/{DIGEST.hex[:2]}/{DIGEST.hex}/data"
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Docker-Content-Digest"] == str(DIGEST)
        assert response.headers["ETag"] == ETAG
        assert "X-Accel-Redirect" not in client.head(URL).headers
        assert client.head(URL).headers["Content-Length"] == str(SIZE)

    def test_without_local_files_there_is_nothing_for_nginx_to_send(self, serve: Serve) -> None:
        client = serve(InMemoryDriver(), http={"accelredirect": {"prefix": "/_blobs"}})
        push_blob(client, "team/app", CONTENT)

        assert client.get(URL).data == CONTENT
