from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.browsing import tree
from registry.web import home
from tests.handlers.pushing import push_image
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from tests.conftest import Serve

UI = {"enabled": True}
NAMES = ("nginx", "secret", "secret/public", "team/app", "team/app/base", "team/deep/er/tool")


@pytest.fixture
def client(serve: Serve, htpasswd: Path) -> FlaskClient:
    """Serve repositories of which everybody may pull some, and alice all."""
    everybody = serve()
    for name in NAMES:
        push_image(everybody, name, "v1")
    rules = [
        {"repositories": "**", "user:alice": ["pull"]},
        {"repositories": "secret/public", "anonymous": ["pull"]},
        {"repositories": "nginx", "anonymous": ["pull"]},
        {"repositories": "team/deep/**", "anonymous": ["pull"]},
    ]
    return serve(ui=UI, auth={"local": {"htpasswd": str(htpasswd), "rules": rules}})


def places(links: list[str]) -> set[str]:
    """Return the links that lead to repositories, and to what others are nested in."""
    return {link for link in links if "/_" not in link and link not in {"/ui/", "#main"}}


def test_the_home_page_is_the_first_level_of_what_the_visitor_may_pull(client: FlaskClient) -> None:
    stranger, alice = Browser(client), Browser(client.application.test_client())
    alice.log_in("alice", "wonderland")

    assert places(stranger.get().links) == {"/ui/nginx", "/ui/secret", "/ui/team"}
    assert places(alice.get().links) == {"/ui/nginx", "/ui/secret", "/ui/team"}


def test_a_name_that_others_are_nested_in_shows_those_which_the_visitor_may_pull(client: FlaskClient) -> None:
    stranger, alice = Browser(client), Browser(client.application.test_client())
    alice.log_in("alice", "wonderland")

    assert "/ui/team/deep" in stranger.get("/ui/team").links
    assert "/ui/team/app" not in stranger.get("/ui/team").links
    assert {"/ui/team/deep", "/ui/team/app"} <= set(alice.get("/ui/team").links)
    assert "/ui/secret/public" in stranger.get("/ui/secret").links


@pytest.mark.parametrize("name", ["team/app", "no/such", "secret:v1", "no/such:v1"])
def test_what_a_visitor_may_not_pull_is_answered_as_what_is_not_there(client: FlaskClient, name: str) -> None:
    stranger, ci = Browser(client), Browser(client.application.test_client())
    ci.log_in("ci", "machine")

    assert stranger.get(f"/ui/{name}", follow=False).location.startswith("/ui/_login?next=")
    hidden, absent = ci.get(f"/ui/{name}"), ci.get("/ui/not/there")
    assert (hidden.status, hidden.text) == (404, absent.text)


def test_a_registry_that_hides_all_from_strangers_has_them_log_in_first(serve: Serve, htpasswd: Path) -> None:
    client = serve(ui=UI, auth={"htpasswd": {"realm": "tests", "path": str(htpasswd)}})

    assert Browser(client).get(follow=False).location == "/ui/_login?next=%2Fui%2F"


@pytest.mark.parametrize("count", [99, 100, 101])
def test_long_levels_come_in_pages(serve: Serve, count: int) -> None:
    client = serve(ui=UI)
    for number in range(count):
        push_image(client, f"app-{number:03}", "v1")
    browser = Browser(client)

    page = browser.get()
    found = places(page.links) - {link for link in page.links if "?" in link}
    onward = [link for link in page.links if "after=" in link]
    if onward:
        found |= {link for link in browser.get(onward[0]).links if link.startswith("/ui/app")}

    assert found == {f"/ui/app-{number:03}" for number in range(count)}
    assert len(onward) == (count > 100)


def test_a_level_that_has_been_looked_through_for_too_long_says_so_to_who_has_seen_something_in_it(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_SECONDS", -1.0)
    monkeypatch.setattr(home, "_PAGE", 1)
    stranger = Browser(client)

    assert "None of very many names" in stranger.get("/ui/_tree?path=team&after=team/a").text
    assert stranger.get("/ui/_tree?path=team").status == 404


class TestSearch:
    def found(self, browser: Browser, text: str) -> set[str]:
        return places(browser.get(f"/ui/_search?q={text}").links)

    def test_finds_parts_of_names_that_the_visitor_may_pull(self, client: FlaskClient) -> None:
        stranger, alice = Browser(client), Browser(client.application.test_client())
        alice.log_in("alice", "wonderland")

        assert self.found(stranger, "e") == {"/ui/secret/public", "/ui/team/deep/er/tool"}
        assert self.found(alice, "app") == {"/ui/team/app", "/ui/team/app/base"}
        assert self.found(alice, "BASE+team") == {"/ui/team/app/base"}

    def test_is_for_text_and_not_for_markup(self, client: FlaskClient) -> None:
        page = Browser(client).get("/ui/_search?q=%3Cscript%3Ealert(1)%3C/script%3E%22")

        assert "<script>alert" not in page.html
        assert "&lt;script&gt;alert(1)" in page.html
        assert page.form("/_search").fields["q"] == ['<script>alert(1)</script>"']

    @pytest.mark.parametrize("text", ["", "+", ":", "no-such-thing", "%ff%00", "a" * 5000])
    def test_finds_nothing_where_there_is_nothing(self, client: FlaskClient, text: str) -> None:
        page = Browser(client).get(f"/ui/_search?q={text}")

        assert (page.status, places(page.links)) == (200, set())
