"""Who may go on with an upload whose state the client has lost: who has begun it, and nobody else."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import bcrypt
import pytest

from registry.app import create_app
from registry.config.values import Plugin
from registry.oci.digest import Digest
from registry.services import build_services
from registry.storage import paths
from tests.auth.asking import basic
from tests.handlers.pushing import error_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from drivers.base import StorageDriver
    from tests.conftest import Configure, Serve

CONTENT = b"0123456789" * 10
DIGEST = Digest.of(CONTENT)
UPLOADS = "/v2/team/app/blobs/uploads/"
HOME, AWAY = "198.51.100.1", "203.0.113.9"
USERS = ("alice", "bob", "reader")
RULES = [{"repositories": "team/**", "user:alice": ["*"], "user:bob": ["*"], "user:reader": ["pull"]}]


@pytest.fixture
def guarded(configuration: Configure, driver: StorageDriver, tmp_path: Path) -> FlaskClient:
    """A registry where alice and bob may push, and reader may pull."""
    htpasswd = tmp_path / "htpasswd"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    htpasswd.write_text("".join(f"{user}:{hashed}\n" for user in USERS))
    configured = configuration(auth={"local": {"htpasswd": str(htpasswd), "rules": RULES}})
    assert isinstance(configured.auth, Plugin)
    return create_app(build_services(configured, driver=driver)).test_client()


def ask(
    client: FlaskClient, method: str, url: str, *, who: str = "", address: str = HOME, body: bytes = b""
) -> TestResponse:
    headers = {"X-Forwarded-For": address}
    if who:
        headers["Authorization"] = basic(who, "secret")
    return client.open(url, method=method, headers=headers, data=body)


def begin(client: FlaskClient, *, who: str = "", address: str = HOME) -> tuple[str, str]:
    """Start an upload and send ten bytes; return its URL without and with the state."""
    begun = ask(client, "POST", UPLOADS, who=who, address=address)
    assert begun.status_code == 202
    sent = ask(client, "PATCH", begun.headers["Location"], who=who, address=address, body=CONTENT[:10])
    assert sent.status_code == 202
    return sent.headers["Location"].partition("?")[0], sent.headers["Location"]


def assert_refused(client: FlaskClient, url: str, *, who: str = "", address: str = HOME) -> None:
    for method, query in (("PATCH", ""), ("PUT", f"?digest={DIGEST}"), ("DELETE", "")):
        answer = ask(client, method, url + query, who=who, address=address, body=b"other")
        assert error_of(answer) == (404, "BLOB_UPLOAD_INVALID")
        assert "Location" not in answer.headers


def assert_goes_on(client: FlaskClient, url: str, *, who: str = "", address: str = HOME) -> None:
    status = ask(client, "GET", url, who=who, address=address)
    assert (status.status_code, status.headers["Range"]) == (204, "0-9")
    assert "?_state=" in status.headers["Location"]
    assert ask(client, "PATCH", url, who=who, address=address, body=CONTENT[10:50]).status_code == 202
    done = ask(client, "PUT", f"{url}?digest={DIGEST}", who=who, address=address, body=CONTENT[50:])
    assert done.status_code == 201


class TestAUser:
    def test_goes_on_without_the_state_from_any_address(self, guarded: FlaskClient) -> None:
        url, _ = begin(guarded, who="alice")
        assert_goes_on(guarded, url, who="alice", address=AWAY)

    def test_may_cancel_without_the_state(self, guarded: FlaskClient) -> None:
        url, _ = begin(guarded, who="alice")
        assert ask(guarded, "DELETE", url, who="alice", address=AWAY).status_code == 204

    @pytest.mark.parametrize("address", [HOME, AWAY])
    def test_does_not_touch_the_upload_of_another_one(self, guarded: FlaskClient, address: str) -> None:
        url, _ = begin(guarded, who="alice")
        assert_refused(guarded, url, who="bob", address=address)
        assert_goes_on(guarded, url, who="alice")

    def test_who_is_given_the_state_goes_on_as_in_the_go_registry(self, guarded: FlaskClient) -> None:
        _, url = begin(guarded, who="alice")
        assert ask(guarded, "PATCH", url, who="bob", address=AWAY, body=CONTENT[10:]).status_code == 202


class TestSomebodyWithoutAName:
    def test_goes_on_without_the_state_from_the_same_address(self, client: FlaskClient) -> None:
        url, _ = begin(client)
        assert_goes_on(client, url)

    def test_is_the_same_in_one_network_of_ipv6(self, client: FlaskClient) -> None:
        url, _ = begin(client, address="2001:db8:1:2::3")
        assert_refused(client, url, address="2001:db8:1:3::3")
        assert_goes_on(client, url, address="2001:db8:1:2:ffff::4")

    def test_from_another_address_does_not_touch_it(self, client: FlaskClient) -> None:
        url, _ = begin(client)
        assert_refused(client, url, address=AWAY)
        assert_goes_on(client, url)

    def test_cannot_claim_an_address_that_is_not_told_by_a_trusted_proxy(self, client: FlaskClient) -> None:
        url, _ = begin(client)
        answer = client.patch(
            url, headers={"X-Forwarded-For": HOME}, environ_base={"REMOTE_ADDR": "10.0.0.9"}, data=b"other"
        )
        assert error_of(answer) == (404, "BLOB_UPLOAD_INVALID")


class TestStatus:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_who_may_only_pull_is_given_no_state(self, guarded: FlaskClient, method: str) -> None:
        for url in begin(guarded, who="alice"):
            status = ask(guarded, method, url, who="reader")
            assert (status.status_code, status.headers["Range"]) == (204, "0-9")
            assert status.headers["Location"].endswith(status.headers["Docker-Upload-UUID"])

    def test_who_has_neither_begun_it_nor_its_state_is_given_none(self, guarded: FlaskClient) -> None:
        url, with_state = begin(guarded, who="alice")
        assert "_state" not in ask(guarded, "GET", url, who="bob").headers["Location"]
        assert ask(guarded, "GET", with_state, who="bob").headers["Location"] == with_state


def test_an_upload_that_another_registry_has_begun_needs_its_state(client: FlaskClient, driver: StorageDriver) -> None:
    upload_id = str(uuid.uuid4())
    driver.put(paths.upload_started_at("team/app", upload_id), b"2026-01-02T03:04:05Z")
    driver.start_upload(paths.upload_data("team/app", upload_id), [])
    assert_refused(client, UPLOADS + upload_id)
    assert "_state" not in client.get(UPLOADS + upload_id).headers["Location"]


def test_all_registries_with_one_secret_know_who_has_begun_an_upload(serve: Serve, driver: StorageDriver) -> None:
    url, _ = begin(serve(driver))
    assert_goes_on(serve(driver), url)


def test_an_upload_of_nobody_is_unknown(client: FlaskClient) -> None:
    assert error_of(client.patch(UPLOADS + str(uuid.uuid4()))) == (404, "BLOB_UPLOAD_UNKNOWN")
