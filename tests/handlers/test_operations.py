from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.base import (
    DriverError,
    InvalidPathError,
    NoSpaceError,
    UnavailableError,
)
from drivers.inmemory import InMemoryDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import ABSENT, image
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.conftest import Serve

DIGEST = Digest.of(b"{}")
UPLOADS = "/v2/a/blobs/uploads/"
INVALID_NAMES = [
    *["A", "_a", "a_", "-a", "a..b", ".a", "a___b", "a b", "host:5000/a", "é", "%ff", "%00", "%0a", "%2e%2e"],
    *["..", ".", "a/..", "../a", "a/../b", "a/./b", "a%2f%2e%2e%2fb", "a//b", "a/_manifests", "%5c", "a%5cb", "'\"<>"],
    *["a" * 256, "a/" * 127 + "aa", "a/" * 1000 + "a"],
]


class TestVersion:
    @pytest.mark.parametrize("path", ["/v2/", "/v2"])
    def test_it_is_a_registry(self, client: FlaskClient, path: str) -> None:
        response = client.get(path)

        assert (response.status_code, response.data) == (200, b"{}")
        assert response.headers["Content-Type"] == media_types.JSON
        assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"

    def test_the_root_is_no_part_of_it(self, client: FlaskClient) -> None:
        response = client.get("/")

        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["Cache-Control"] == "no-cache"
        assert "Docker-Distribution-Api-Version" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/",
        "/v2/a",
        "/v2/a/nonsense",
        "/v2//tags/list",
        "/v2/tags/list",
        "/v2/a%0ab/tags/list",
        "/v2/../v2/",
        "/%2e%2e/etc/passwd",
    ],
)
def test_what_is_no_route_is_404_in_json(client: FlaskClient, path: str) -> None:
    assert error_of(client.get(path)) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "PROPFIND", "NONSENSE"])
@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/a/tags/list", f"/v2/a/blobs/{ABSENT}", "/v2/a/manifests/latest"])
def test_a_method_that_is_none_of_the_route_s_is_405_and_says_which_are(
    client: FlaskClient,
    path: str,
    method: str,
) -> None:
    response = client.open(path, method=method)

    assert error_of(response) == (405, "UNSUPPORTED")
    assert "GET" in response.headers["Allow"]


def test_options_says_which_methods_there_are_and_nothing_in_html(client: FlaskClient) -> None:
    response = client.options("/v2/a/manifests/latest")

    assert (response.status_code, response.data) == (204, b"")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("name", INVALID_NAMES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tags/list"),
        ("GET", "manifests/latest"),
        ("PUT", "manifests/latest"),
        ("DELETE", "manifests/latest"),
        ("GET", f"blobs/{ABSENT}"),
        ("DELETE", f"blobs/{ABSENT}"),
        ("GET", f"referrers/{ABSENT}"),
        ("POST", "blobs/uploads/"),
        ("PATCH", "blobs/uploads/5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"),
    ],
)
def test_a_name_that_is_none_is_400_on_every_route(client: FlaskClient, method: str, path: str, name: str) -> None:
    response = client.open(f"/v2/{name}/{path}", method=method, data=b"x")

    assert error_of(response) == (400, "NAME_INVALID")


@pytest.mark.parametrize(
    "name", ["a%2fb", "tags/list", "blobs/uploads", "manifests", "referrers/x", "FOO/bar", "a" * 255]
)
def test_odd_names_are_names(client: FlaskClient, name: str) -> None:
    push_image(client, name, "latest")

    response = client.get(f"/v2/{name}/tags/list")

    assert response.json == {"name": name.replace("%2f", "/"), "tags": ["latest"]}


class TestConfiguredHeaders:
    HTTP: dict[str, object] = {"headers": {"X-Content-Type-Options": ["nosniff"], "X-Two": ["1", "2"]}}  # noqa: RUF012

    @pytest.mark.parametrize("path", ["/", "/v2/", "/nowhere", "/v2/a/tags/list", "/v2/A/tags/list"])
    def test_are_on_every_answer(self, serve: Serve, path: str) -> None:
        response = serve(http=self.HTTP).get(path)

        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers.getlist("X-Two") == ["1", "2"]

    def test_are_sent_as_the_go_registry_does(self, serve: Serve) -> None:
        headers = serve(http={"headers": {"X-Lines": ["a\nb\n"], "X-Letters": ["\u20ac"]}}).get("/v2/").headers

        assert headers["X-Lines"] == "a b"
        assert headers["X-Letters"].encode("latin-1") == "\u20ac".encode()


class TestMaintenance:
    WRITES = (
        ("POST", UPLOADS),
        ("POST", f"{UPLOADS}?digest={DIGEST}"),
        ("POST", f"{UPLOADS}?mount={DIGEST}&from=b"),
        ("PATCH", f"{UPLOADS}5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"),
        ("PUT", f"{UPLOADS}5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60?digest={DIGEST}"),
        ("DELETE", f"{UPLOADS}5a7d3c1e-0f6b-4a52-9d6e-2b1c3d4e5f60"),
        ("PUT", "/v2/a/manifests/latest"),
        ("DELETE", "/v2/a/manifests/latest"),
        ("DELETE", f"/v2/a/blobs/{DIGEST}"),
    )

    @pytest.mark.parametrize(("method", "path"), WRITES)
    def test_a_registry_that_is_read_only_writes_nothing_and_serves_on(
        self,
        serve: Serve,
        client: FlaskClient,
        method: str,
        path: str,
    ) -> None:
        push_image(client, "a", "latest")
        read_only = serve(storage={"maintenance": {"readonly": {"enabled": True}}})

        response = read_only.open(path, method=method, data=image())

        assert error_of(response) == (405, "UNSUPPORTED")
        assert read_only.get("/v2/a/manifests/latest").status_code == 200
        assert read_only.get(f"/v2/a/blobs/{DIGEST}").data == b"{}"

    @pytest.mark.parametrize("path", ["manifests/latest", f"manifests/{ABSENT}", f"blobs/{DIGEST}"])
    def test_where_deletion_is_off_nothing_but_an_upload_is_deleted(self, serve: Serve, path: str) -> None:
        client = serve(storage={"delete": {"enabled": False}})
        push_image(client, "a", "latest")

        assert error_of(client.delete(f"/v2/a/{path}")) == (405, "UNSUPPORTED")
        assert client.get("/v2/a/manifests/latest").status_code == 200
        assert client.delete(client.post(UPLOADS).headers["Location"]).status_code == 204


class _Broken(InMemoryDriver):
    """A medium on which every write and every look at an object fails."""

    def __init__(self, error: DriverError) -> None:
        super().__init__()
        self._error = error

    def get(self, path: str, *, limit: int) -> bytes:
        del path, limit
        raise self._error

    def put(self, path: str, content: bytes) -> None:
        del path, content
        raise self._error


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (DriverError, (500, "UNKNOWN")),
        (UnavailableError, (503, "UNAVAILABLE")),
        (NoSpaceError, (507, "UNAVAILABLE")),
        (InvalidPathError, (400, "NAME_INVALID")),
    ],
)
def test_what_the_storage_says_of_itself_is_not_told(
    serve: Serve,
    kind: type[DriverError],
    expected: tuple[int, str],
) -> None:
    client = serve(_Broken(kind("s3: put: bucket internal-bucket at 10.0.0.1 refused")))
    for response in (client.post(UPLOADS), client.get("/v2/a/manifests/latest"), client.get(f"/v2/a/blobs/{DIGEST}")):
        assert error_of(response) == expected
        assert b"internal-bucket" not in response.data
        assert ("Retry-After" in response.headers) == (expected[0] in {503, 507})


def test_a_client_is_told_for_how_long_the_storage_is_not_asked(serve: Serve) -> None:
    error = UnavailableError("s3: get: not asked for the next 17 s, as it has not answered")
    error.retry_seconds = 17

    response = serve(_Broken(error)).get("/v2/a/manifests/latest")

    assert error_of(response) == (503, "UNAVAILABLE")
    assert response.headers["Retry-After"] == "17"


def test_policies_of_the_configuration_are_kept_to(serve: Serve) -> None:
    policy = {"repository": {"classes": ["plugin"]}}
    client = serve(policy=policy)
    push_blob(client, "a", b"{}")

    assert error_of(client.put("/v2/a/manifests/latest", data=image(b"{}"))) == (403, "DENIED")

    sparse = serve(validation={"manifests": {"sparse": True}})
    push_manifest(sparse, "a", "latest", image(b"never pushed"))
