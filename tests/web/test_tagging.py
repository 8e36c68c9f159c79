"""The page that lets a tag lead to a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from registry.oci.digest import Digest
    from tests.conftest import Serve
    from tests.web.visiting import Form

UI = {"enabled": True}


def _form(browser: Browser, digest: Digest) -> Form:
    return browser.get(f"/ui/_tag?repository=app&reference={digest}").form("/_tag")


def _tagged(client: FlaskClient, tag: str) -> str | None:
    """Return what the API says that `tag` leads to."""
    return client.head(f"/v2/app/manifests/{tag}").headers.get("Docker-Content-Digest")


def test_a_manifest_gets_another_tag(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")
    browser = Browser(client)

    page = browser.send(_form(browser, digest), tag="stable", follow=False)

    assert (page.status, page.location) == (303, "/ui/app:stable")
    assert _tagged(client, "stable") == _tagged(client, "v1") == str(digest)


def test_a_tag_names_the_manifest_as_well(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")

    form = Browser(client).get("/ui/_tag?repository=app&reference=v1").form("/_tag")

    assert form.fields["digest"] == [str(digest)]


def test_a_tag_that_leads_elsewhere_moves_when_the_visitor_has_seen_where_it_leads(serve: Serve) -> None:
    client = serve(ui=UI)
    old, new = push_image(client, "app", "stable"), push_image(client, "app", "v2", config=b'{"a": 1}')
    browser = Browser(client)

    asked = browser.send(_form(browser, new), tag="stable")
    assert asked.status == 409
    assert f"leads to {old.hex[:12]} now" in asked.text
    assert _tagged(client, "stable") == str(old)

    moved = browser.send(asked.form("/_tag"), follow=False)
    assert moved.status == 303
    assert _tagged(client, "stable") == str(new)


def test_a_tag_that_another_has_moved_meanwhile_is_asked_about_again(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "stable")
    new = push_image(client, "app", "v2", config=b'{"a": 1}')
    browser = Browser(client)
    asked = browser.send(_form(browser, new), tag="stable")
    other = push_image(client, "app", "stable", config=b'{"a": 2}')

    again = browser.send(asked.form("/_tag"))

    assert again.status == 409
    assert f"leads to {other.hex[:12]} now" in again.text
    assert _tagged(client, "stable") == str(other)


def test_a_tag_that_was_deleted_meanwhile_is_asked_about_again(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "stable")
    new = push_image(client, "app", "v2", config=b'{"a": 1}')
    browser = Browser(client)
    asked = browser.send(_form(browser, new), tag="stable")
    client.delete("/v2/app/manifests/stable")

    again = browser.send(asked.form("/_tag"))

    assert again.status == 409
    assert "was deleted meanwhile" in again.text
    assert browser.send(again.form("/_tag"), follow=False).status == 303


def test_a_tag_that_leads_there_already_is_left_alone(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")
    browser = Browser(client)

    assert browser.send(_form(browser, digest), tag="v1", follow=False).location == "/ui/app:v1"


@pytest.mark.parametrize("tag", ["", "-v1", "a b", "<script>", "a" * 129, "sha256:" + "0" * 64])
def test_what_is_no_tag_is_asked_for_again(serve: Serve, tag: str) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")
    browser = Browser(client)

    page = browser.send(_form(browser, digest), tag=tag)

    assert page.status == 400
    assert "A tag has at most 128 letters" in page.text
    assert client.get("/v2/app/tags/list").json == {"name": "app", "tags": ["v1"]}


def test_a_tag_that_the_rules_keep_stays_and_the_page_says_why(serve: Serve, htpasswd: Path) -> None:
    old = push_image(serve(), "app", "stable")
    new = push_image(serve(), "app", "v2", config=b'{"a": 1}')
    rules = [{"repositories": "app", "user:ci": ["pull", "push"]}]
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})
    browser = Browser(client)
    browser.log_in("ci", "machine")

    asked = browser.send(_form(browser, new), tag="stable")
    refused = browser.send(asked.form("/_tag"))

    assert refused.status == 403
    assert f"tag stable points to {old} and stays there" in refused.text.lower()
    assert _tagged(serve(), "stable") == str(old)


@pytest.mark.parametrize("rights", [["pull"], ["pull", "delete"]])
def test_who_may_not_push_is_refused(serve: Serve, htpasswd: Path, rights: list[str]) -> None:
    digest = push_image(serve(), "app", "v1")
    rules = [{"repositories": "app", "user:ci": rights}]
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})
    browser = Browser(client)
    token = browser.log_in("ci", "machine").form("/_logout").fields["token"]

    form = {"repository": "app", "digest": str(digest), "tag": "v2", "token": token}

    assert browser.get(f"/ui/_tag?repository=app&reference={digest}").status == 403
    assert browser.post("/ui/_tag", form).status == 403
    assert _tagged(serve(), "v2") is None


def test_a_read_only_registry_tags_nothing(serve: Serve) -> None:
    digest = push_image(serve(), "app", "v1")
    client = serve(ui=UI, storage={"inmemory": {}, "maintenance": {"readonly": {"enabled": True}}})

    page = Browser(client).get(f"/ui/_tag?repository=app&reference={digest}")

    assert page.status == 405
    assert "read-only" in page.text


def test_what_is_not_there_gets_no_tag(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")
    absent = "sha256:" + "0" * 64
    browser = Browser(client)
    token = _form(browser, push_image(client, "app", "v1")).fields["token"]

    assert browser.get(f"/ui/_tag?repository=app&reference={absent}").status == 404
    form = {"repository": "app", "digest": absent, "tag": "v2", "token": token}
    assert browser.post("/ui/_tag", form).status == 404
