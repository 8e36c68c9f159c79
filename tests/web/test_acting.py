"""On whose behalf pages change something, and where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from registry.app import create_app
from registry.audit.consumer import NAME
from registry.config.upstreams import Upstream
from registry.handlers.current import EXTENSION
from registry.journal.reader import Reader
from registry.services import build_services
from registry.storage import paths
from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from registry.journal.entry import Entry
    from tests.conftest import Configure, Serve

UI = {"enabled": True}
RULES = [{"repositories": "app", "user:alice": ["*"], "user:ci": ["pull", "push"]}]


def _entries(client: FlaskClient, driver: InMemoryDriver) -> list[Entry]:
    """Return all that was recorded for the audit log."""
    client.application.extensions[EXTENSION].trail.add(all_of_it=True)
    page = Reader(driver.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0).page("", limit=1000)
    return [each.entry for each in page.entries if each.entry.action != "login"]


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    """Serve an image to two users, one of whom may do less, with an audit log."""
    push_image(serve(), "app", "v1")
    return serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": RULES}}, audit={"enabled": True})


def test_what_is_done_on_a_page_is_recorded_as_done_by_its_visitor(client: FlaskClient, driver: InMemoryDriver) -> None:
    browser = Browser(client)
    browser.log_in("alice", "wonderland")

    browser.send(browser.get("/ui/_tag?repository=app&reference=v1").form("/_tag"), tag="v2")
    browser.send(browser.get("/ui/_delete?repository=app&tag=v1").form("/_delete"))

    done = [(entry.action, entry.kind, entry.repository, *entry.tags) for entry in _entries(client, driver)]
    assert done == [("push", "manifest", "app", "v2"), ("delete", "tag", "app", "v1")]
    assert {entry.origin.actor for entry in _entries(client, driver)} == {"alice"}


def test_what_is_refused_on_a_page_is_recorded_with_what_it_was_about(
    client: FlaskClient, driver: InMemoryDriver
) -> None:
    browser = Browser(client)
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]

    assert browser.post("/ui/_delete", {"repository": "app", "tag": "v1", "token": token}).status == 403

    (entry,) = _entries(client, driver)
    assert (entry.action, entry.kind, entry.repository, *entry.tags) == ("delete", "tag", "app", "v1")
    assert entry.origin.actor == "ci"
    assert entry.details["outcome"] == "denied"


def test_what_a_registry_caches_of_another_is_shown_and_not_changed(serve: Serve) -> None:
    digest = push_image(serve(), "library/app", "v1")
    client = serve(ui=UI, proxy={"remoteurl": "http://127.0.0.1:9"})
    browser = Browser(client)

    page = browser.get("/ui/library/app:v1")

    assert page.status == 200
    assert str(digest) in page.text
    assert not [link for link in page.links if "_delete" in link or "_tag?" in link]
    assert browser.get("/ui/_delete?repository=library/app&tag=v1").status == 405
    assert browser.get("/ui/_tag?repository=library/app&reference=v1").status == 405


def test_what_is_cached_of_an_upstream_is_deleted_and_gets_no_tags(
    serve: Serve, configuration: Configure, driver: InMemoryDriver
) -> None:
    push_image(serve(), "hub/library/app", "v1")
    upstream = Upstream(name="hub", prefix="hub", remoteurl="http://127.0.0.1:9")
    cache = replace(configuration(ui=UI), proxies=(upstream,))
    browser = Browser(create_app(build_services(cache, driver=driver)).test_client())

    assert browser.get("/ui/_tag?repository=hub/library/app&reference=v1").status == 405
    done = browser.send(browser.get("/ui/_delete?repository=hub/library/app&tag=v1").form("/_delete"))

    assert done.status == 200
    assert serve().get("/v2/hub/library/app/tags/list").get_json()["tags"] == []
