from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth.base import Access, AccessController, DeniedError, Grant, Request, UnauthorizedError
from registry.app import create_app
from registry.oci.digest import Digest
from registry.services import build_services
from registry.storage import paths
from tests.content import ABSENT
from tests.handlers.pushing import error_of, push_blob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from tests.conftest import Configure

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)
UPLOADS = "/v2/here/blobs/uploads/"


def mounted(client: FlaskClient, digest: Digest = DIGEST) -> bool:
    return client.head(f"/v2/here/blobs/{digest}").status_code == 200


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_of_another_repository_is_mounted_without_a_byte(client: FlaskClient, algorithm: str) -> None:
    digest = push_blob(client, "there", CONTENT, algorithm)

    response = client.post(UPLOADS, query_string={"mount": str(digest), "from": "there"})

    assert (response.status_code, response.data) == (201, b"")
    assert response.headers["Location"] == f"http://localhost/v2/here/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == str(digest)
    assert client.get(f"/v2/here/blobs/{digest}").data == CONTENT


def test_without_a_source_any_repository_will_do(client: FlaskClient) -> None:
    push_blob(client, "there", CONTENT)

    assert client.post(UPLOADS, query_string={"mount": str(DIGEST)}).status_code == 201
    assert mounted(client)


def test_a_blob_that_the_go_registry_took_by_sha512_is_mounted_readable(
    client: FlaskClient,
    driver: StorageDriver,
) -> None:
    push_blob(client, "there", CONTENT)
    sha512 = Digest.of(CONTENT, "sha512")
    driver.put(paths.layer_link("there", sha512), str(DIGEST).encode())

    client.post(UPLOADS, query_string={"mount": str(sha512), "from": "there"})

    assert client.get(f"/v2/here/blobs/{sha512}").data == CONTENT


@pytest.mark.parametrize(
    "query",
    [
        {"mount": str(ABSENT), "from": "there"},
        {"mount": str(ABSENT)},
        {"mount": str(DIGEST), "from": "elsewhere"},
        {"mount": str(DIGEST), "from": "../there"},
        {"mount": str(DIGEST), "from": "THERE"},
        {"mount": str(DIGEST), "from": "a" * 1000},
        {"mount": "sha256:abc", "from": "there"},
        {"mount": "latest", "from": "there"},
        {"mount": "", "from": "there"},
        {"mount": ""},
        {"from": "there"},
    ],
    ids=repr,
)
def test_what_cannot_be_mounted_is_uploaded(client: FlaskClient, query: dict[str, str]) -> None:
    push_blob(client, "there", CONTENT)

    response = client.post(UPLOADS, query_string=query)

    assert response.status_code == 202
    assert client.put(f"{response.headers['Location']}&digest={DIGEST}", data=CONTENT).status_code == 201


def test_a_blob_whose_bytes_are_stored_but_not_linked_there_is_not_mounted(client: FlaskClient) -> None:
    push_blob(client, "there", CONTENT)
    client.delete(f"/v2/there/blobs/{DIGEST}")

    assert client.post(UPLOADS, query_string={"mount": str(DIGEST), "from": "there"}).status_code == 202
    assert not mounted(client)


class _HereOnlyController(AccessController):
    """Lets everybody do everything in `here` and nothing elsewhere."""

    name = "here-only"

    def __init__(self, refusal: type[Exception]) -> None:
        self._refusal = refusal

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        raise NotImplementedError

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        del request
        for access in accesses:
            if access.name == "secret":
                raise DeniedError("not yours") if self._refusal is DeniedError else UnauthorizedError("Basic", accesses)
        return Grant()


class TestWithoutAccessToTheSource:
    @pytest.fixture
    def secretive(
        self,
        configuration: Configure,
        driver: StorageDriver,
        client: FlaskClient,
        monkeypatch: pytest.MonkeyPatch,
        request: pytest.FixtureRequest,
    ) -> FlaskClient:
        push_blob(client, "secret", CONTENT)
        # There is no configuration that loads a controller which is in no distribution.
        monkeypatch.setattr("registry.services.load_access", lambda *_: _HereOnlyController(request.param))
        return create_app(build_services(configuration(), driver=driver)).test_client()

    @pytest.mark.parametrize("secretive", [DeniedError], indirect=True)
    @pytest.mark.parametrize("query", [{"from": "secret"}, {}])
    def test_nothing_is_mounted_and_nothing_is_betrayed(self, secretive: FlaskClient, query: dict[str, str]) -> None:
        there = secretive.post(UPLOADS, query_string={"mount": str(DIGEST), **query})
        not_there = secretive.post(UPLOADS, query_string={"mount": str(ABSENT), **query})

        assert there.status_code == not_there.status_code == 202
        assert set(there.headers.keys()) == set(not_there.headers.keys())
        assert not mounted(secretive)

    @pytest.mark.parametrize("secretive", [UnauthorizedError], indirect=True)
    def test_a_client_may_be_asked_for_a_token_of_both(self, secretive: FlaskClient) -> None:
        response = secretive.post(UPLOADS, query_string={"mount": str(DIGEST), "from": "secret"})

        assert error_of(response) == (401, "UNAUTHORIZED")
        assert not mounted(secretive)
