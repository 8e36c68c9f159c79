from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.config.quotas import Quota
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.quota.allowance import Quotas
from registry.quota.counter import Counter, Pace
from registry.quota.groups import Groups
from registry.quota.ledger import Ledger
from registry.quota.recount import recount
from registry.services import build_services
from registry.storage import paths
from tests.content import image
from tests.drivers.failing import FailingDriver
from tests.handlers.pushing import error_of, push_blob, push_image, push_manifest, streamed

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from drivers.base import StorageDriver
    from registry.services import Services
    from tests.conftest import Configure

LIMIT = 1000
CONTENT = b"of another repository"
UPLOADS = "/v2/team/app/blobs/uploads/"
QUOTA = {"repositories": "team/**", "limit": LIMIT, "warn": 0}


@pytest.fixture
def services(configuration: Configure, driver: StorageDriver) -> Services:
    """A registry in which all of team/** may have 1,000 bytes."""
    return build_services(configuration(storage={"inmemory": {}, "maintenance": {"quotas": [QUOTA]}}), driver=driver)


@pytest.fixture
def limited(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def used(services: Services) -> int:
    assert services.quotas
    (group,) = services.quotas.groups
    return services.quotas.counter.used(group)


def begin(client: FlaskClient, name: str = "team/app") -> str:
    response = client.post(f"/v2/{name}/blobs/uploads/")
    assert response.status_code == 202, response.data
    where = urlsplit(response.headers["Location"])
    return f"{where.path}?{where.query}"


def assert_refused(response: TestResponse, requested: int, used: int) -> None:
    assert error_of(response) == (403, "DENIED")
    assert response.json
    (error,) = response.json["errors"]
    assert error["detail"] == {"quota": "team/**", "limit": LIMIT, "used": used, "requested": requested}
    assert error["message"].startswith("the quota of team/** has no room: ")
    assert f"{used} B of 1000 B are used" in error["message"]


def assert_no_session(driver: StorageDriver, name: str = "team/app") -> None:
    assert driver.list(paths.uploads(name), limit=10) == []


def test_a_push_is_counted_and_one_beyond_the_limit_is_denied(limited: FlaskClient, services: Services) -> None:
    push_blob(limited, "team/app", bytes(600))
    push_blob(limited, "team/db/main", b"x" * 300)

    assert used(services) == 900
    content = b"y" * 101
    refused = limited.post(UPLOADS, query_string={"digest": str(Digest.of(content))}, data=content)

    assert_refused(refused, requested=101, used=900)
    assert used(services) == 900


def test_what_fills_a_quota_to_its_last_byte_is_taken(limited: FlaskClient, services: Services) -> None:
    push_blob(limited, "team/app", bytes(LIMIT))

    assert used(services) == LIMIT


def test_a_full_quota_denies_an_upload_when_it_begins(limited: FlaskClient, driver: StorageDriver) -> None:
    push_blob(limited, "team/app", bytes(LIMIT))

    assert_refused(limited.post(UPLOADS), requested=0, used=LIMIT)
    assert_no_session(driver)


def test_a_chunk_that_is_announced_as_too_long_is_denied_and_its_session_gone(
    limited: FlaskClient, driver: StorageDriver
) -> None:
    where = begin(limited)
    appended = limited.patch(where, data=bytes(900))
    where = appended.headers["Location"].removeprefix("http://localhost")

    assert_refused(limited.patch(where, data=bytes(101)), requested=1001, used=0)
    assert_no_session(driver)
    assert error_of(limited.patch(where, data=b"x")) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_body_of_unknown_length_is_stopped_when_it_is_too_long(
    limited: FlaskClient, driver: StorageDriver, method: str
) -> None:
    where, content = begin(limited), bytes(LIMIT + 1)

    refused = limited.open(
        f"{where}&digest={Digest.of(content)}", method=method, environ_overrides=streamed(io.BytesIO(content))
    )

    assert_refused(refused, requested=LIMIT + 1, used=0)
    assert_no_session(driver)


def test_an_upload_for_which_there_is_no_room_any_more_at_its_end_is_denied(
    limited: FlaskClient, driver: StorageDriver
) -> None:
    content = bytes(600)
    appended = limited.patch(begin(limited), data=content)
    push_blob(limited, "team/db", b"x" * 600)

    refused = limited.put(f"{appended.headers['Location']}&digest={Digest.of(content)}")

    assert_refused(refused, requested=600, used=600)
    assert_no_session(driver)
    assert limited.head(f"/v2/team/app/blobs/{Digest.of(content)}").status_code == 404


def test_a_manifest_is_denied_before_anything_of_it_is_visible(limited: FlaskClient) -> None:
    push_blob(limited, "team/app", b"{}")
    push_blob(limited, "team/app", bytes(LIMIT - 2))
    content = image(b"{}")

    refused = limited.put("/v2/team/app/manifests/v1", data=content, content_type=media_types.OCI_MANIFEST)

    assert_refused(refused, requested=len(content), used=LIMIT)
    assert limited.get("/v2/team/app/manifests/v1").status_code == 404
    assert limited.get(f"/v2/team/app/manifests/{Digest.of(content)}").status_code == 404


def test_a_mount_from_elsewhere_is_counted_and_denied(limited: FlaskClient, services: Services) -> None:
    small, large = push_blob(limited, "other", bytes(400)), push_blob(limited, "other", bytes(700))

    assert limited.post(UPLOADS, query_string={"mount": str(small), "from": "other"}).status_code == 201
    assert used(services) == 400
    assert_refused(limited.post(UPLOADS, query_string={"mount": str(large), "from": "other"}), requested=700, used=400)
    assert limited.head(f"/v2/team/app/blobs/{large}").status_code == 404


def test_a_mount_within_the_quota_costs_nothing_and_passes_when_it_is_full(
    limited: FlaskClient, services: Services
) -> None:
    digest = push_blob(limited, "team/base", bytes(LIMIT))

    assert limited.post(UPLOADS, query_string={"mount": str(digest), "from": "team/base"}).status_code == 201
    assert used(services) == LIMIT


@pytest.mark.parametrize("streams", [False, True], ids=["length", "chunked"])
def test_what_a_repository_has_may_be_pushed_again_when_the_quota_is_full(
    limited: FlaskClient, services: Services, streams: bool
) -> None:
    digest = push_image(limited, "team/app", "v1")
    content = bytes(LIMIT - used(services) - 10)
    push_blob(limited, "team/app", content)
    where = begin(limited)
    push_blob(limited, "team/app", b"0123456789")
    full = used(services)
    assert full == LIMIT

    body: dict[str, Any] = {"environ_overrides": streamed(io.BytesIO(content))} if streams else {"data": content}
    assert limited.put(f"{where}&digest={Digest.of(content)}", **body).status_code == 201
    assert push_image_again(limited) == digest
    assert used(services) == full


def push_image_again(client: FlaskClient) -> Digest:
    content = image(b"{}")
    return push_manifest(client, "team/app", "v2", content, content_type=media_types.OCI_MANIFEST)


def test_what_is_deleted_makes_room_when_it_is_counted_anew(
    limited: FlaskClient, services: Services, driver: StorageDriver
) -> None:
    digest = push_blob(limited, "team/app", bytes(LIMIT))
    assert limited.post(UPLOADS).status_code == 403
    assert services.quotas
    (group,) = services.quotas.groups

    limited.delete(f"/v2/team/app/blobs/{digest}")
    services.quotas.close()
    recount(driver, services.quotas.groups, [group])
    services.quotas.counter.read(group)

    assert used(services) == 0
    push_blob(limited, "team/app", bytes(LIMIT))


def test_a_repository_without_a_quota_asks_nothing_and_has_no_limit(
    limited: FlaskClient, services: Services, driver: StorageDriver
) -> None:
    push_image(limited, "team", "v1", config=bytes(LIMIT + 1))
    push_image(limited, "other/team/app", "v1", config=b"x" * (LIMIT + 1))

    assert services.quotas
    services.quotas.close()
    assert driver.list(paths.USAGE, limit=10) == []


def test_the_narrowest_pattern_owns_a_repository(configuration: Configure, driver: StorageDriver) -> None:
    wide = {"repositories": "**", "limit": 10}
    services = build_services(
        configuration(storage={"inmemory": {}, "maintenance": {"quotas": [wide, QUOTA]}}), driver=driver
    )
    client = create_app(services).test_client()

    push_blob(client, "team/app", bytes(LIMIT))
    refused = client.post(
        "/v2/other/blobs/uploads/", query_string={"digest": str(Digest.of(bytes(11)))}, data=bytes(11)
    )

    assert error_of(refused) == (403, "DENIED")
    assert refused.json
    assert refused.json["errors"][0]["detail"] == {"quota": "**", "limit": 10, "used": 0, "requested": 11}


@pytest.mark.parametrize("name", ["team/app", "other"])
def test_a_push_asks_the_storage_no_more_than_without_quotas(configuration: Configure, name: str) -> None:
    def calls(*, with_quotas: bool) -> int:
        counted = FailingDriver(InMemoryDriver(), fail_at=0)
        services = build_services(configuration(), driver=counted)
        if with_quotas:
            rare = Counter(Ledger(counted), pace=Pace(beat=3600.0, stale=3600.0))
            services = replace(services, quotas=Quotas(Groups([Quota("team/**", 10**9)]), rare))
        client = create_app(services).test_client()
        push_image(client, name, "v1")  # the first push of a process reads what others have added
        before = counted.calls
        push_image(client, name, "v2", config=b'{"os": "linux"}')
        where = begin(client, name)
        client.patch(where, data=bytes(600))
        push_blob(client, "elsewhere", CONTENT)
        source = {"mount": str(Digest.of(CONTENT)), "from": "elsewhere"}
        assert client.post(f"/v2/{name}/blobs/uploads/", query_string=source).status_code == 201
        return counted.calls - before

    assert calls(with_quotas=True) == calls(with_quotas=False)
