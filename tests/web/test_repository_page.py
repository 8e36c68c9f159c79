"""The page of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.browsing.repository import MOST_SORTED
from registry.storage import paths
from tests.content import ABSENT
from tests.handlers.pushing import push_image
from tests.index.hosts import Host, Registry
from tests.web.images import push_whole_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Serve

UI = {"enabled": True}
_FILLER = {"annotations": {"filler": "x" * 1000}}


def _order(html: str, *tags: str) -> list[str]:
    """Return `tags` in the order of their rows."""
    return sorted(tags, key=lambda tag: html.index(f">{tag}</a>"))


def test_a_row_says_what_a_tag_leads_to(serve: Serve) -> None:
    client = serve(ui=UI)
    digest = push_whole_image(client, "team/app", "v1", "latest")

    page = Browser(client).get("/ui/team/app")

    assert f"/ui/team/app@{digest}" in page.links
    assert {"/ui/team/app:v1", "/ui/team/app:latest"} <= set(page.links)
    assert digest.hex[:12] in page.text
    assert "linux/amd64" in page.text
    assert "just now" in page.text
    assert "v1 also latest" in page.text


def test_a_tag_whose_manifest_is_gone_says_so(serve: Serve, driver: InMemoryDriver) -> None:
    client = serve(ui=UI)
    digest = push_image(client, "app", "v1")
    push_image(client, "app", "other", config=b'{"a": 1}')
    driver.delete(paths.revision_link("app", digest))

    assert "leads nowhere" in Browser(client).get("/ui/app").text


def test_tags_are_sorted_as_people_count_and_by_the_heads_of_columns(serve: Serve) -> None:
    client = serve(ui=UI)
    for tag in ("v1.10", "v1.9", "v1.2"):
        push_image(client, "app", tag, config=f'{{"os": "{tag}"}}'.encode(), **(_FILLER if tag == "v1.9" else {}))
    browser = Browser(client)

    by_name = browser.get("/ui/app")
    by_size = browser.get("/ui/app?sort=-size")

    assert _order(by_name.html, "v1.10", "v1.9", "v1.2") == ["v1.2", "v1.9", "v1.10"]
    assert _order(by_size.html, "v1.10", "v1.9", "v1.2")[0] == "v1.9"
    assert 'aria-sort="ascending"' in by_name.html
    assert 'aria-sort="descending"' in by_size.html
    assert "/ui/app?sort=-size" in by_name.links
    assert "/ui/app?sort=size" in by_size.links


def test_an_order_that_there_is_not_is_by_name(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")

    assert Browser(client).get("/ui/app?sort=%3Cscript%3E").status == 200


def test_pages_lead_through_all_tags(serve: Serve) -> None:
    client = serve(ui=UI)
    tags = [f"v{number}" for number in range(120)]
    push_image(client, "app", *tags)
    browser = Browser(client)

    path, seen, pages = "/ui/app?sort=name", set(), 0
    while path:
        page = browser.get(path)
        pages += 1
        rows = {link.rpartition(":")[2] for link in page.links if link.startswith("/ui/app:")}
        seen |= rows
        path = next((link for link in page.links if "after=" in link), "")

    assert pages == 3
    assert seen == set(tags)


def test_a_filter_shows_the_tags_with_a_text_in_their_names(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "release-1", "release-2", "nightly")
    browser = Browser(client)

    page = browser.send(browser.get("/ui/app").form("/ui/app"), filter="LEASE")

    assert {"/ui/app:release-1", "/ui/app:release-2"} <= set(page.links)
    assert "/ui/app:nightly" not in page.links
    assert "No tag has this in its name" in browser.get("/ui/app?filter=absent").text


def test_what_is_nested_in_a_name_has_a_link_also_where_the_name_is_no_repository(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "team/app", "v1")
    push_image(client, "team/app/base/small", "v1")
    browser = Browser(client)

    assert "/ui/team/app" in browser.get("/ui/team").links
    assert "/ui/team/app/base" in browser.get("/ui/team/app").links
    assert "/ui/team/app/base/small" in browser.get("/ui/team/app/base").links


def test_a_repository_that_a_visitor_may_not_pull_is_answered_as_one_that_is_not_there(
    serve: Serve, htpasswd: Path
) -> None:
    rules = [
        {"repositories": "public/**", "user:ci": ["pull"]},
        {"repositories": "secret/**", "user:alice": ["*"]},
    ]
    for name in ("secret/app", "public/app"):
        push_image(serve(), name, "v1")
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})
    browser = Browser(client)
    browser.log_in("ci", "machine")

    hidden, absent = browser.get("/ui/secret/app"), browser.get("/ui/secret/oop")

    assert hidden.status == absent.status == 404
    assert hidden.html.replace("secret/app", "secret/oop") == absent.html


@pytest.mark.parametrize(
    "storage",
    [
        {"maintenance": {"readonly": {"enabled": True}}, "delete": {"enabled": True}},
        {"delete": {"enabled": False}},
    ],
)
def test_nothing_offers_to_delete_where_nothing_is_deleted(serve: Serve, storage: dict[str, object]) -> None:
    push_image(serve(), "app", "v1")

    page = Browser(serve(ui=UI, storage={"inmemory": {}, **storage})).get("/ui/app")

    assert page.status == 200
    assert not [link for link in page.links if "_delete" in link]
    assert not [form for form in page.forms if form.action.endswith("_delete")]


def test_the_page_says_what_its_visitor_may_do_and_why(serve: Serve, htpasswd: Path) -> None:
    rules = [{"repositories": "app", "anonymous": ["pull"], "user:alice": ["*"]}]
    push_image(serve(), "app", "v1")
    client = serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})

    text = Browser(client).get("/ui/app").text

    assert "pull yes " in text
    assert "push no " in text


def test_how_much_of_its_quota_a_repository_has_is_on_its_page(serve: Serve) -> None:
    client = serve(
        ui=UI, storage={"inmemory": {}, "maintenance": {"quotas": [{"repositories": "team/*", "limit": "1MiB"}]}}
    )
    push_image(client, "team/app", "v1")

    assert "Quota team/*" in Browser(client).get("/ui/team/app").text


def test_who_has_not_logged_in_is_not_told_of_a_quota_that_hidden_repositories_share(
    serve: Serve, htpasswd: Path
) -> None:
    rules = [{"repositories": "team/app", "anonymous": ["pull"], "user:alice": ["pull"]}]
    storage = {"inmemory": {}, "maintenance": {"quotas": [{"repositories": "team/*", "limit": "1MiB"}]}}
    push_image(serve(), "team/app", "v1")
    client = serve(ui=UI, storage=storage, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})
    stranger, alice = Browser(client), Browser(client.application.test_client())
    alice.log_in("alice", "wonderland")

    assert "team/*" not in stranger.get("/ui/team/app").html
    assert "Quota team/*" in alice.get("/ui/team/app").text


def test_the_digest_of_nothing_is_not_found(serve: Serve) -> None:
    client = serve(ui=UI)
    push_image(client, "app", "v1")

    assert Browser(client).get(f"/ui/app@{ABSENT}").status == 404


def test_very_many_tags_are_sorted_by_an_index_and_by_name_until_it_is_complete(
    serve: Serve, driver: InMemoryDriver, tmp_path: Path
) -> None:
    registry = Registry(driver)
    registry.push("app", *(f"v{number}" for number in range(MOST_SORTED)))
    registry.push("app", "large", layers=(b"x" * 100_000,))
    browser = Browser(serve(ui={**UI, "index": {"directory": str(tmp_path)}}))

    before = browser.get("/ui/app?sort=-size")
    Host(tmp_path, driver).catch_up()
    after = browser.get("/ui/app?sort=-size")

    assert "too many tags to sort" in before.text
    assert next(link for link in after.links if link.startswith("/ui/app:")) == "/ui/app:large"
    following = next(link for link in after.links if "after=" in link)
    assert "/ui/app:large" not in browser.get(following).links
    # By their bytes v100 would be the fourth.
    assert "/ui/app:v100" not in browser.get("/ui/app").links
