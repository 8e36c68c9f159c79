"""Two hosts over one storage, each with a cache of descriptors: what it spares, and what it must not promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import PathNotFoundError
from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.handlers.current import EXTENSION
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.services import build_services
from registry.storage import paths
from tests.content import image
from tests.handlers.pushing import error_of, push_blob, push_manifest
from tests.redis.server import RedisServer, running
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.base import Stat
    from tests.conftest import Configure

CONTENT = b"a layer"
DIGEST = Digest.of(CONTENT)
PATH = f"/v2/a/blobs/{DIGEST}"
BYTES = paths.blob_data(DIGEST)


class CountingDriver(InMemoryDriver):
    """Counts how often it is asked for the size of something."""

    def __init__(self) -> None:
        super().__init__()
        self.stats = 0

    def stat(self, path: str) -> Stat:
        self.stats += 1
        return super().stat(path)


@dataclass(frozen=True, slots=True)
class Hosts:
    driver: CountingDriver
    here: FlaskClient
    there: FlaskClient

    def stats_of(self, client: FlaskClient, method: str = "HEAD", path: str = PATH) -> tuple[int, int]:
        """Return the status of a request and how many sizes it asked the storage for."""
        before = self.driver.stats
        return client.open(path, method=method).status_code, self.driver.stats - before


@pytest.fixture(params=["inmemory", "redis"])
def hosts(request: pytest.FixtureRequest, configuration: Configure, tmp_path: Path) -> Iterator[Hosts]:
    server = RedisServer(tmp_path)
    with running(*([server] if request.param == "redis" else [])):
        sections: dict[str, dict[str, Any]] = {"storage": {"cache": {"blobdescriptor": request.param}}}
        if request.param == "redis":
            sections["redis"] = {"addrs": [server.addr], "dialtimeout": "60s", "readtimeout": "60s"}
        driver = CountingDriver()
        apps = [create_app(build_services(configuration(**sections), driver=driver)) for _ in range(2)]
        if request.param == "redis":
            wait_until(
                "redis is in use", lambda: all(app.extensions[EXTENSION].redis._circuit.usable() for app in apps)
            )
        yield Hosts(driver, *(app.test_client() for app in apps))


@pytest.fixture
def pushed(hosts: Hosts) -> Hosts:
    """Both hosts know of the blob what they can know."""
    push_blob(hosts.here, "a", CONTENT)
    assert hosts.here.head(PATH).status_code == hosts.there.head(PATH).status_code == 200
    return hosts


def test_size_is_asked_for_once(pushed: Hosts) -> None:
    for client in (pushed.here, pushed.there):
        assert pushed.stats_of(client) == (200, 0)
        assert pushed.stats_of(client, "GET") == (200, 0)
        assert client.get(PATH, headers={"Range": "bytes=2-"}).data == CONTENT[2:]
        assert client.head(PATH).headers["Content-Length"] == str(len(CONTENT))


def test_blob_that_was_just_pushed_is_known_to_who_took_it(hosts: Hosts) -> None:
    push_blob(hosts.here, "a", CONTENT)
    assert hosts.stats_of(hosts.here) == (200, 0)


def test_deletion_through_another_host_is_seen_at_once(pushed: Hosts) -> None:
    assert pushed.there.delete(PATH).status_code == 202
    for client in (pushed.here, pushed.there):
        assert client.head(PATH).status_code == 404
        assert error_of(client.get(PATH)) == (404, "BLOB_UNKNOWN")


def test_entry_of_one_repository_grants_another_nothing(pushed: Hosts) -> None:
    for client in (pushed.here, pushed.there):
        assert client.head(f"/v2/b/blobs/{DIGEST}").status_code == 404
        assert client.get(f"/v2/b/blobs/{DIGEST}").status_code == 404


def test_bytes_that_are_missing_are_404_for_who_wants_them_and_then_for_all(pushed: Hosts) -> None:
    pushed.driver.delete(BYTES)
    for client in (pushed.here, pushed.there):
        assert error_of(client.get(PATH)) == (404, "BLOB_UNKNOWN")
        assert client.head(PATH).status_code == 404


def test_manifest_is_judged_by_what_is_stored_and_the_client_is_then_told_the_truth(pushed: Hosts) -> None:
    content = image(CONTENT)
    pushed.driver.delete(BYTES)

    for client in (pushed.here, pushed.there):
        answer = client.put("/v2/a/manifests/latest", data=content, content_type=media_types.OCI_MANIFEST)
        assert error_of(answer) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert client.head(PATH).status_code == 404


def test_bytes_that_are_missing_are_stored_by_the_next_push(pushed: Hosts) -> None:
    pushed.driver.delete(BYTES)

    push_blob(pushed.here, "a", CONTENT)

    assert pushed.driver.get(BYTES, limit=99) == CONTENT
    push_manifest(pushed.there, "a", "latest", image(CONTENT), content_type=media_types.OCI_MANIFEST)
    assert pushed.there.get(PATH).data == CONTENT


def test_blob_whose_bytes_are_missing_is_not_mounted(pushed: Hosts) -> None:
    pushed.driver.delete(BYTES)

    answer = pushed.here.post(f"/v2/b/blobs/uploads/?mount={DIGEST}&from=a")

    assert answer.status_code == 202
    with pytest.raises(PathNotFoundError):
        pushed.driver.get(paths.layer_link("b", DIGEST), limit=512)


def test_torn_file_of_another_registry_is_forgotten_when_it_is_replaced(hosts: Hosts) -> None:
    hosts.driver.put(BYTES, CONTENT[:3])
    hosts.driver.put(paths.layer_link("a", DIGEST), str(DIGEST).encode())
    assert hosts.here.head(PATH).headers["Content-Length"] == "3"

    push_blob(hosts.here, "a", CONTENT)

    assert hosts.here.head(PATH).headers["Content-Length"] == str(len(CONTENT))
    assert hosts.here.get(PATH).data == CONTENT


def test_blob_that_the_go_registry_stored_by_another_digest_is_remembered_too(hosts: Hosts) -> None:
    alias = Digest.of(CONTENT, "sha512")
    hosts.driver.put(BYTES, CONTENT)
    hosts.driver.put(paths.layer_link("a", alias), str(DIGEST).encode())
    path = f"/v2/a/blobs/{alias}"

    assert hosts.stats_of(hosts.here, path=path) == (200, 2)  # the first while the link is looked at
    assert hosts.stats_of(hosts.here, path=path) == (200, 0)
    assert hosts.here.get(path).headers["Docker-Content-Digest"] == str(alias)
    assert hosts.here.head(PATH).status_code == 404
