"""What pages show of the index, where there is one."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from registry.browsing.shapes import RepositoryRow
from registry.index.schema import path_in
from registry.web.home import grown
from tests.auth.asking import basic
from tests.handlers.pushing import push_blob, push_image
from tests.index.hosts import Host, everything
from tests.web.visiting import Browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Serve


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def client(serve: Serve, htpasswd: Path, directory: Path) -> FlaskClient:
    """Serve pages that have an index to look into, of which nothing is made yet."""
    everybody = serve()
    for name in ("nginx", "secret", "team/app"):
        push_image(everybody, name, "v1", "nightly")
    push_image(everybody, "team/big", "v2", config=b'{"padding": "%s"}' % (b"x" * 5000))
    push_blob(everybody, "team/big", b"a blob of no image")
    rules = [
        {"repositories": "**", "user:alice": ["pull"]},
        {"repositories": "team/**", "anonymous": ["pull"], "user:ci": ["pull"]},
    ]
    return serve(
        ui={"enabled": True, "index": {"directory": str(directory)}},
        http={"secret": "a secret", "extensions": {"enabled": True}},
        auth={"local": {"htpasswd": str(htpasswd), "rules": rules, "maintainers": ["user:alice"]}},
    )


@pytest.fixture
def indexed(client: FlaskClient, driver: InMemoryDriver, directory: Path) -> FlaskClient:
    Host(directory, driver).catch_up()
    return client


def rows(browser: Browser, path: str) -> list[str]:
    """Return where the rows of a list lead, in their order."""
    page = browser.get(path)
    assert page.status == 200
    places = [link.removeprefix("/ui/") for link in page.links if link.startswith("/ui/")]
    return [place for place in places if place[:1].isalpha()]


def test_a_list_says_that_sizes_are_not_known_until_all_images_were_read(
    client: FlaskClient, driver: InMemoryDriver, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("scanning._MANIFESTS", "scanning._SUMS"):
        monkeypatch.setattr(f"registry.index.{limit}", 1)
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    host, stranger = Host(directory, driver), Browser(client)
    while host.index.repositories("name", everything) is None:
        host.keeping.run()
    assert sorted(rows(stranger, "/ui/?sort=-size")) == ["team/app", "team/big"]
    assert "Not all images were read yet" in stranger.get("/ui/?sort=-size").text
    host.catch_up()
    assert "Not all images were read yet" not in stranger.get("/ui/?sort=-size").text


def test_the_home_page_lists_what_the_visitor_may_pull_by_size_and_by_push(indexed: FlaskClient) -> None:
    stranger, alice = Browser(indexed), Browser(indexed.application.test_client())
    alice.log_in("alice", "wonderland")

    assert rows(stranger, "/ui/?sort=-size") == ["team/big", "team/app"]
    assert rows(alice, "/ui/?sort=-size")[0] == "team/big"
    assert rows(alice, "/ui/?sort=-pushed")[0] == "team/big"
    assert sorted(rows(alice, "/ui/?sort=name")) == ["nginx", "secret", "team/app", "team/big"]


def test_a_search_finds_tags_too(indexed: FlaskClient) -> None:
    stranger, alice = Browser(indexed), Browser(indexed.application.test_client())
    alice.log_in("alice", "wonderland")

    assert rows(stranger, "/ui/_search?q=nightly") == ["team/app:nightly"]
    assert rows(alice, "/ui/_search?q=ecre") == ["secret"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/ui/?sort=name", ["team/app", "team/big"]),
        ("/ui/?sort=-size", ["team/big", "team/app"]),
        ("/ui/_search?q=e", ["team/app", "team/big"]),
        ("/ui/_search?q=v", ["team/app:v1", "team/big:v2"]),
    ],
)
def test_a_page_that_ends_at_a_hidden_name_leads_on_without_telling_it(
    indexed: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str, found: list[str]
) -> None:
    for module in ("searching", "lists"):
        monkeypatch.setattr(f"registry.index.{module}._JUDGED", 1)
    stranger = Browser(indexed)
    shown: list[str] = []
    pages = 0
    while path:
        shown += rows(stranger, path)
        html = stranger.get(path).html
        assert "nginx" not in html
        assert "secret" not in html
        following = re.search('rel="next" href="([^"]+)"', html)
        path, pages = unescape(following[1]) if following else "", pages + 1
    assert shown == found
    assert pages > len(found)


def test_what_the_api_finds_in_the_index_goes_on_behind_hidden_names_without_telling_them(
    indexed: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.searching._JUDGED", 1)
    path, found = "/v2/_registry/search/repositories?q=nightly", []
    while path:
        answer = indexed.get(path, headers={"Authorization": basic("ci", "machine")})
        assert answer.status_code == 200
        found += answer.get_json()["results"]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert "nginx" not in path
        assert "secret" not in path
    assert found == [{"repository": "team/app", "tag": "nightly"}]


def test_a_search_that_loses_its_index_begins_anew_in_the_names(
    indexed: FlaskClient, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.searching._JUDGED", 1)
    stranger = Browser(indexed)
    (following,) = [link for link in stranger.get("/ui/_search?q=team").links if "after=" in link]
    path_in(str(directory)).unlink()

    assert rows(stranger, following) == ["team/app", "team/big"]


def test_before_the_index_is_made_the_page_says_so_and_the_search_looks_at_names(client: FlaskClient) -> None:
    stranger = Browser(client)

    assert rows(stranger, "/ui/?sort=-size") == ["team"]
    assert "The index of this host is being made" in stranger.get().text
    assert rows(stranger, "/ui/_search?q=big") == ["team/big"]


def test_how_much_an_index_has_that_is_being_made_is_told_to_maintainers_only(
    client: FlaskClient, driver: InMemoryDriver, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.scanning._FOUND", 1)
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    Host(directory, driver).keeping.run()
    stranger, ci, alice = (Browser(client.application.test_client()) for _ in range(3))
    ci.log_in("ci", "machine")
    alice.log_in("alice", "wonderland")

    told = r"The index of this host is being made: \d+ repositories and \d+ tags so far"
    assert re.search(told, alice.get().text)
    for browser in (stranger, ci):
        assert "The index of this host is being made. Until" in browser.get().text


def test_with_an_index_a_small_registry_is_shown_whole_with_tags_sizes_and_times(indexed: FlaskClient) -> None:
    stranger, alice = Browser(indexed), Browser(indexed.application.test_client())
    alice.log_in("alice", "wonderland")

    assert rows(stranger, "/ui/") == ["team", "team/app", "team/big"]
    assert rows(alice, "/ui/") == ["nginx", "secret", "team", "team/app", "team/big"]
    assert "app 2 tags" in stranger.get().text


def test_a_registry_of_more_than_a_page_shows_its_first_level_and_what_was_pushed_last(
    serve: Serve, driver: InMemoryDriver, directory: Path
) -> None:
    client = serve(ui={"enabled": True, "index": {"directory": str(directory)}})
    for number in range(101):
        push_image(client, f"team-{number % 2}/app-{number:03}", "v1")
    Host(directory, driver).catch_up()
    shown = rows(Browser(client), "/ui/")

    assert shown[:2] == ["team-0", "team-1"]
    assert len(shown) == 2 + 8


def test_levels_with_one_entry_are_shown_as_one_and_deep_ones_all() -> None:
    deep = ["/".join("a" * depth) for depth in range(1, 101)]
    named = [RepositoryRow(name, 1) for name in ["only/one/here", "team/app", "team/app/base", "team/tool"]]
    only, team = grown(named)
    (top,) = grown([RepositoryRow(name, 1) for name in deep])
    depth = 1
    while top.nested:
        (top,), depth = top.nested, depth + 1

    assert (only.name, only.label, only.row) == ("only/one/here", "only/one/here", named[0])
    assert (team.name, team.row, [each.label for each in team.nested]) == ("team", None, ["app", "tool"])
    assert [each.label for each in team.nested[0].nested] == ["base"]
    assert (top.name, depth) == (deep[-1], 100)


def test_an_empty_registry_says_how_the_first_image_is_pushed(serve: Serve) -> None:
    page = Browser(serve(ui={"enabled": True, "host": "registry.example.com"})).get()

    assert "Nothing has been pushed yet" in page.text
    assert "docker push registry.example.com/alpine" in page.text
