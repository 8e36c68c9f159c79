from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.storage import paths
from tests.handlers.pushing import error_of, push_blob, streamed

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from drivers.base import StorageDriver
    from tests.conftest import Serve

CONTENT = b"0123456789" * 10
DIGEST = Digest.of(CONTENT)
UPLOADS = "/v2/team/app/blobs/uploads/"


def start(client: FlaskClient, **query: str) -> str:
    response = client.post(UPLOADS, query_string=query)
    assert response.status_code == 202
    return response.headers["Location"]


def send(client: FlaskClient, url: str, content: bytes, first: int) -> TestResponse:
    headers = {"Content-Range": f"{first}-{first + len(content) - 1}"}
    return client.patch(url, data=content, headers=headers, content_type="application/octet-stream")


def without_state(url: str) -> str:
    return url.partition("?")[0]


def is_stored(client: FlaskClient, digest: Digest = DIGEST, content: bytes = CONTENT) -> bool:
    served: bytes = client.get(f"/v2/team/app/blobs/{digest}").data
    return served == content


def test_a_session_begins_empty_and_says_where_it_is(client: FlaskClient) -> None:
    response = client.post(UPLOADS)

    assert (response.status_code, response.data) == (202, b"")
    upload_id = response.headers["Docker-Upload-UUID"]
    assert response.headers["Location"].startswith(f"http://localhost{UPLOADS}{upload_id}?_state=")
    assert response.headers["Range"] == "0-0"
    assert response.headers["Content-Length"] == "0"


def test_a_session_begins_without_the_slash_too(client: FlaskClient) -> None:
    assert client.post(UPLOADS.rstrip("/")).status_code == 202


class TestOneRequest:
    @pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
    def test_post_with_the_digest_stores_the_body(self, client: FlaskClient, algorithm: str) -> None:
        digest = Digest.of(CONTENT, algorithm)

        response = client.post(UPLOADS, query_string={"digest": str(digest)}, data=CONTENT)

        assert (response.status_code, response.data) == (201, b"")
        assert response.headers["Location"] == f"http://localhost/v2/team/app/blobs/{digest}"
        assert response.headers["Docker-Content-Digest"] == str(digest)
        assert is_stored(client, digest)

    def test_post_with_another_digest_stores_nothing(self, client: FlaskClient, driver: StorageDriver) -> None:
        response = client.post(UPLOADS, query_string={"digest": str(DIGEST)}, data=b"forged")

        assert error_of(response) == (400, "DIGEST_INVALID")
        assert driver.list("/docker", limit=1) == []

    def test_post_with_no_digest_at_all_is_refused(self, client: FlaskClient, driver: StorageDriver) -> None:
        for digest in ("", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e"):
            response = client.post(UPLOADS, query_string={"digest": digest}, data=CONTENT)

            assert error_of(response) == (400, "DIGEST_INVALID")
        assert driver.list("/docker", limit=1) == []

    def test_post_that_is_cut_short_leaves_no_session_that_nobody_knows(
        self,
        client: FlaskClient,
        driver: StorageDriver,
    ) -> None:
        response = client.post(
            UPLOADS,
            query_string={"digest": str(DIGEST)},
            data=CONTENT,
            environ_overrides={"CONTENT_LENGTH": "999"},
        )

        assert error_of(response) == (400, "SIZE_INVALID")
        assert driver.list("/docker", limit=1) == []

    @pytest.mark.parametrize("content_range", ["5-9", "0-9", "nonsense"])
    def test_a_range_means_nothing_where_the_digest_is_of_the_whole(
        self,
        client: FlaskClient,
        content_range: str,
    ) -> None:
        headers = {"Content-Range": content_range}

        response = client.post(UPLOADS, query_string={"digest": str(DIGEST)}, data=CONTENT, headers=headers)

        assert response.status_code == 201

    def test_post_that_announces_a_digest_without_a_body_opens_a_session(self, client: FlaskClient) -> None:
        url = start(client, digest=str(DIGEST))

        assert client.put(f"{url}&digest={DIGEST}", data=CONTENT).status_code == 201

    def test_the_empty_blob_needs_no_body(self, client: FlaskClient) -> None:
        empty = Digest.of(b"")

        assert client.post(UPLOADS, query_string={"digest": str(empty)}).status_code == 201
        assert is_stored(client, empty, b"")

    def test_put_takes_the_whole_body(self, client: FlaskClient) -> None:
        response = client.put(f"{start(client)}&digest={DIGEST}", data=CONTENT)

        assert (response.status_code, response.data) == (201, b"")
        assert response.headers["Location"] == f"http://localhost/v2/team/app/blobs/{DIGEST}"
        assert response.headers["Docker-Content-Digest"] == str(DIGEST)
        assert is_stored(client)


class TestManyRequests:
    @pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
    def test_chunks_add_up(self, client: FlaskClient, algorithm: str) -> None:
        digest, url = Digest.of(CONTENT, algorithm), start(client, **{"digest-algorithm": algorithm})

        for first in range(0, 90, 30):
            response = send(client, url, CONTENT[first : first + 30], first)
            assert (response.status_code, response.headers["Range"]) == (202, f"0-{first + 29}")
            assert response.headers["Content-Length"] == "0"
            url = response.headers["Location"]
        response = client.put(f"{url}&digest={digest}", data=CONTENT[90:], headers={"Content-Range": "90-99"})

        assert response.status_code == 201
        assert is_stored(client, digest)

    def test_a_stream_of_unknown_length_is_taken_as_it_comes(self, client: FlaskClient) -> None:
        url = client.patch(start(client), environ_overrides=streamed(io.BytesIO(CONTENT[:50]))).headers["Location"]
        response = client.put(f"{url}&digest={DIGEST}", environ_overrides=streamed(io.BytesIO(CONTENT[50:])))

        assert response.status_code == 201
        assert is_stored(client)

    def test_a_stream_of_unknown_length_may_be_all_there_is(self, client: FlaskClient) -> None:
        response = client.post(
            UPLOADS,
            query_string={"digest": str(DIGEST)},
            environ_overrides=streamed(io.BytesIO(CONTENT)),
        )

        assert response.status_code == 201
        assert is_stored(client)

    def test_a_client_that_drops_the_query_goes_on_where_storage_stands(self, client: FlaskClient) -> None:
        url = without_state(start(client))

        assert client.patch(url, data=CONTENT[:50]).status_code == 202
        assert client.patch(url, data=CONTENT[50:]).status_code == 202
        assert client.put(f"{url}?digest={DIGEST}").status_code == 201
        assert is_stored(client)

    def test_applications_that_share_a_storage_and_a_secret_share_uploads(
        self,
        serve: Serve,
        driver: StorageDriver,
    ) -> None:
        one, other = serve(driver), serve(driver)

        url = send(other, start(one), CONTENT[:50], 0).headers["Location"]
        url = send(one, url, CONTENT[50:], 50).headers["Location"]

        assert other.put(f"{url}&digest={DIGEST}").status_code == 201
        assert is_stored(one)

    @pytest.mark.parametrize("first", [0, 20, 29, 31, 10**17])
    def test_chunk_out_of_order_is_416_and_says_where_the_upload_stands(
        self,
        client: FlaskClient,
        first: int,
    ) -> None:
        url = send(client, start(client), CONTENT[:30], 0).headers["Location"]

        response = send(client, url, b"elsewhere", first)

        assert error_of(response) == (416, "RANGE_INVALID")
        assert response.headers["Range"] == "0-29"
        assert response.headers["Docker-Upload-UUID"] in response.headers["Location"]
        url = send(client, response.headers["Location"], CONTENT[30:], 30).headers["Location"]
        assert client.put(f"{url}&digest={DIGEST}").status_code == 201

    def test_a_chunk_that_is_sent_again_with_its_old_location_is_416_and_changes_nothing(
        self,
        client: FlaskClient,
    ) -> None:
        first = start(client)
        send(client, first, CONTENT[:30], 0)

        for response in (client.patch(first, data=b"x" * 30), client.put(f"{first}&digest={DIGEST}", data=CONTENT)):
            assert error_of(response) == (416, "RANGE_INVALID")
            assert response.headers["Range"] == "0-29"

        url = client.patch(response.headers["Location"], data=CONTENT[30:]).headers["Location"]
        assert client.put(f"{url}&digest={DIGEST}").status_code == 201
        assert is_stored(client)

    def test_a_body_that_is_cut_short_is_kept_and_gone_on_with(self, client: FlaskClient) -> None:
        url = start(client)

        response = client.patch(url, data=CONTENT[:30], environ_overrides={"CONTENT_LENGTH": "100"})

        assert error_of(response) == (400, "SIZE_INVALID")
        status = client.get(url.partition("?")[0])
        assert status.headers["Range"] == "0-29"
        assert client.put(f"{status.headers['Location']}&digest={DIGEST}", data=CONTENT[30:]).status_code == 201
        assert is_stored(client)


class TestStatus:
    def test_tells_how_much_is_stored(self, client: FlaskClient) -> None:
        url = start(client)
        assert client.get(url).headers["Range"] == "0-0"
        url = send(client, url, CONTENT[:30], 0).headers["Location"]

        for method in ("GET", "HEAD"):
            for each in (url, without_state(url)):
                response = client.open(each, method=method)
                assert (response.status_code, response.data) == (204, b"")
                assert response.headers["Range"] == "0-29"
                assert response.headers["Docker-Upload-UUID"] in url

        assert client.put(f"{response.headers['Location']}&digest={DIGEST}", data=CONTENT[30:]).status_code == 201

    def test_with_a_token_that_is_up_to_date_keeps_the_hash_in_it(self, client: FlaskClient) -> None:
        url = send(client, start(client), CONTENT[:30], 0).headers["Location"]

        assert client.get(url).headers["Location"] == url


class TestCancelling:
    def test_ends_the_session_and_leaves_nothing(self, client: FlaskClient, driver: StorageDriver) -> None:
        url = send(client, start(client), CONTENT[:30], 0).headers["Location"]

        response = client.delete(url)

        assert (response.status_code, response.data) == (204, b"")
        assert driver.list(paths.uploads("team/app"), limit=1) == []
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = client.open(f"{url}&digest={DIGEST}", method=method)
            assert error_of(answer) == (404, "BLOB_UPLOAD_UNKNOWN")

    def test_needs_no_token(self, client: FlaskClient) -> None:
        assert client.delete(without_state(start(client))).status_code == 204


def test_a_finished_session_is_over(client: FlaskClient, driver: StorageDriver) -> None:
    url = start(client)
    client.put(f"{url}&digest={DIGEST}", data=CONTENT)

    assert error_of(client.put(f"{url}&digest={DIGEST}", data=CONTENT)) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert driver.list(paths.uploads("team/app"), limit=1) == []


def test_a_blob_can_be_pushed_again(client: FlaskClient) -> None:
    for _ in range(2):
        push_blob(client, "team/app", CONTENT)

    assert is_stored(client)
