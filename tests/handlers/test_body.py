from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from drivers.base import PIECE_SIZE
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE
from tests.content import image
from tests.handlers.pushing import error_of, push_blob, streamed

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from drivers.filesystem.driver import FilesystemDriver
    from tests.conftest import Serve


class Endless(io.RawIOBase):
    """A body of `size` zeros that is never there as a whole; it remembers the largest read."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.largest = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "a body must not be asked for as a whole"
        self.largest = max(self.largest, size)
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


class HungUp(Endless):
    """A body whose client is lost after `size` bytes, as a server reports it."""

    def read(self, size: int = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            raise ConnectionResetError("the client is gone")
        return piece


@pytest.mark.parametrize("length", [None, 32 * PIECE_SIZE])
def test_a_body_of_any_size_is_held_a_piece_at_a_time(
    serve: Serve,
    filesystem: FilesystemDriver,
    length: int | None,
) -> None:
    client, size = serve(filesystem), 32 * PIECE_SIZE
    url = client.post("/v2/a/blobs/uploads/").headers["Location"]
    body = Endless(size)
    tracemalloc.start()
    try:
        response = client.patch(url, environ_overrides=streamed(body, length))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert response.headers["Range"] == f"0-{size - 1}"
    assert body.largest == PIECE_SIZE
    assert peak < 8 * PIECE_SIZE


def test_a_client_that_hangs_up_keeps_what_it_sent(client: FlaskClient) -> None:
    url = client.post("/v2/a/blobs/uploads/").headers["Location"]

    response = client.patch(url, environ_overrides=streamed(HungUp(30)))

    assert error_of(response) == (400, "SIZE_INVALID")
    assert client.get(url.partition("?")[0]).headers["Range"] == "0-29"


def padded(size: int) -> bytes:
    """Return an image manifest of exactly `size` bytes."""
    return image(b"{}", annotations={"a": "x" * (size - len(image(b"{}", annotations={"a": ""})))})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_manifest_of_4_mib_is_taken_and_one_byte_more_is_413(client: FlaskClient, chunked: bool) -> None:
    push_blob(client, "a", b"{}")

    def put(content: bytes) -> tuple[int, str]:
        response = client.put(
            "/v2/a/manifests/latest",
            environ_overrides=streamed(io.BytesIO(content), None if chunked else len(content)),
            content_type=media_types.OCI_MANIFEST,
        )
        return (201, "") if response.status_code == 201 else error_of(response)

    assert put(padded(MAX_SIZE + 1)) == (413, "MANIFEST_INVALID")
    assert client.head("/v2/a/manifests/latest").status_code == 404
    assert put(padded(MAX_SIZE)) == (201, "")
    assert len(client.get("/v2/a/manifests/latest").data) == MAX_SIZE


@pytest.mark.parametrize("length", [None, 2**40])
def test_a_manifest_that_is_too_large_is_not_read_to_its_end(client: FlaskClient, length: int | None) -> None:
    response = client.put("/v2/a/manifests/latest", environ_overrides=streamed(Endless(2**40), length))

    assert error_of(response) == (413, "MANIFEST_INVALID")


@pytest.mark.parametrize("length", ["-1", "ten", "9" * 5000])
def test_a_manifest_of_no_length_is_400(client: FlaskClient, length: str) -> None:
    response = client.put("/v2/a/manifests/latest", environ_overrides={"CONTENT_LENGTH": length})

    assert error_of(response) == (400, "SIZE_INVALID")


def test_a_manifest_that_is_cut_short_is_not_stored(client: FlaskClient) -> None:
    push_blob(client, "a", b"{}")
    content = image(b"{}")

    response = client.put("/v2/a/manifests/latest", data=content, environ_overrides={"CONTENT_LENGTH": "9999"})

    assert error_of(response) == (400, "SIZE_INVALID")
    assert client.head(f"/v2/a/manifests/{Digest.of(content)}").status_code == 404
