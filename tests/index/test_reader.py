"""What the index is asked: searches, and lists in every order, of what the one who asks may see."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.browsing.repository import natural_key
from registry.browsing.shapes import Child, Hit
from registry.index import schema
from registry.index.ordering import of_repository, of_tag
from tests.index.hosts import Host, Registry, everything

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORIES = {
    "app": ("latest", "v1"),
    "app/web": ("v1.10", "v1.9"),
    "app-tools": ("latest",),
    "team/app": ("nightly-2026",),
    "team/db": ("v1", "V1-Beta"),
    "x_y": ("under_score",),
}


@pytest.fixture(params=["trigrams", "common", "no trigrams"])
def filled(request: pytest.FixtureRequest, registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose index has REPOSITORIES, with and without what SQLite has to find parts of names."""
    if request.param == "common":
        monkeypatch.setattr("registry.index.searching._COMMON", 1)
    if request.param == "no trigrams":
        monkeypatch.setattr(schema, "_add_words", lambda _: False)
    for name, tags in REPOSITORIES.items():
        for tag in tags:
            registry.push(name, tag, content=f"{name}:{tag}")
    host.catch_up()
    return host


def below(*parts: str) -> Callable[[str], bool]:
    return lambda name: name in parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("app", ["app", "app/web", "app-tools", "team/app"]),
        ("team app", ["team/app"]),
        ("pp/w", ["app/web"]),
        ("p/", ["app/web"]),
        ("x_y", ["x_y"]),
        ("x-y", []),
        ("_", ["x_y", "x_y:under_score"]),
        ("v1", ["team/db:V1-Beta", "app:v1", "team/db:v1", "app/web:v1.10", "app/web:v1.9"]),
        ("v1.1", ["app/web:v1.10"]),
        ("NIGHTLY", ["team/app:nightly-2026"]),
        ("db:v1", ["team/db:V1-Beta", "team/db:v1"]),
        (
            "app:",
            ["app:latest", "app:v1", "app/web:v1.10", "app/web:v1.9", "app-tools:latest", "team/app:nightly-2026"],
        ),
        (":late", ["app:latest", "app-tools:latest"]),
        ("nothing", []),
        ("", []),
        (":", []),
        (" ", []),
        ('a"b', []),
        ("app OR team", []),
        ("%", []),
        ("a*", []),
        ("\0", []),
        ("\ud800", []),
        ("a " * 5000, []),
    ],
)
def test_a_search_finds_parts_of_names(filled: Host, text: str, found: list[str]) -> None:
    assert filled.search(text) == found


@pytest.mark.parametrize("text", ["app", "v1", "db:v1", "a", ":l"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_a_search_have_all_that_is_found_once(filled: Host, text: str, limit: int) -> None:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        hits = filled.index.search(text, everything, after, limit)
        assert hits is not None
        assert len(hits.rows) <= limit
        found += [f"{hit.repository}:{hit.tag}" if hit.tag else hit.repository for hit in hits.rows]
        after = hits.following
    assert found == filled.search(text)


def test_a_search_finds_nothing_that_is_not_to_be_shown(filled: Host) -> None:
    hits = filled.index.search("a", below("team/app"))
    assert hits is not None
    assert hits.rows == (Hit("team/app"),)
    assert hits.following is None


def test_the_work_for_a_page_is_bounded_and_the_next_one_goes_on(filled: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("searching", "lists", "level"):
        monkeypatch.setattr(f"registry.index.{module}._JUDGED", 2)
    judged: list[str] = []

    def shows(name: str) -> bool:
        judged.append(name)
        return name == "x_y"

    pages = 0
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        judged.clear()
        page = filled.index.repositories("name", shows, after)
        assert page is not None
        assert len(judged) <= 2
        found += [row.name for row in page.rows]
        after, pages = page.following, pages + 1
    assert (found, pages) == (["x_y"], 3)
    judged.clear()
    hits = filled.index.search("a", shows)
    assert hits is not None
    assert (hits.rows, len(judged)) == ((), 2)
    assert hits.following is not None


def test_repositories_are_in_the_order_of_the_catalog(registry: Registry, filled: Host) -> None:
    assert filled.repositories() == list(registry.repositories.catalog.names())


@pytest.mark.parametrize("sort", ["pushed", "-pushed", "size", "-size", "name"])
@pytest.mark.parametrize("limit", [1, 4, 50])
def test_repositories_and_tags_are_had_in_every_order_a_page_at_a_time(filled: Host, sort: str, limit: int) -> None:
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = filled.index.repositories(sort, everything, after, limit)
        assert page is not None
        names += [row.name for row in page.rows]
        after = page.following
    rows = {row.name: row for row in filled.page().rows}
    key = {"pushed": lambda row: row.pushed, "size": lambda row: row.size, "name": lambda row: of_repository(row.name)}
    in_order = sorted(rows.values(), key=lambda row: of_repository(row.name))
    in_order.sort(key=key[sort.lstrip("-")], reverse=sort.startswith("-"))
    assert names == [row.name for row in in_order]
    assert sorted(filled.rows("app/web", sort), key=lambda row: row.name) == sorted(
        filled.rows("app/web"), key=lambda row: row.name
    )


def test_tags_are_sorted_as_people_count(registry: Registry, filled: Host) -> None:
    tags = ["v1.10", "v1.9", "v1", "V2", "latest", "v01", "v1-rc1", "v1.9.2", "10", "9", "a10b2", "a9b10"]
    for tag in random.Random(18).sample(tags, len(tags)):
        registry.push("many", tag)
    filled.catch_up()
    assert [row.name for row in filled.rows("many")] == sorted(tags, key=natural_key)


@given(st.lists(st.from_regex("[a-z0-9v][a-z0-9.-]{0,9}", fullmatch=True), min_size=2))
def test_the_order_of_tags_is_that_of_the_live_list(tags: list[str]) -> None:
    assert sorted(tags, key=of_tag) == sorted(tags, key=natural_key)


def test_pages_of_tags_go_on_where_the_last_one_ended_though_its_tag_is_gone(registry: Registry, filled: Host) -> None:
    page = filled.index.tags("app/web", "-size", limit=1)
    assert page is not None
    assert page.following is not None
    registry.remove_tag("app/web", page.rows[0].name)
    filled.catch_up()
    rest = filled.index.tags("app/web", "-size", page.following, limit=1)
    assert rest is not None
    assert [row.name for row in rest.rows] == [row.name for row in filled.rows("app/web")]


@pytest.mark.parametrize("after", ["v1", "x:y", ":", "1:v1:", "\ud800", "\0"])
def test_a_cursor_that_is_not_one_is_no_error(filled: Host, after: str) -> None:
    filled.index.tags("app", "-pushed", after)
    filled.index.tags("app", "name", after)
    filled.index.repositories("size", everything, after)
    filled.index.search("app", everything, after)
    filled.index.level("app", everything, after)
    assert filled.search("team") == ["team/app", "team/db"]


def test_levels_of_the_tree_have_what_is_shown(filled: Host) -> None:
    def level(path: str, shows: Callable[[str], bool] = everything) -> list[Child]:
        found = filled.index.level(path, shows)
        assert found is not None
        assert found.following is None
        return list(found.children)

    assert level("") == [
        Child("app", is_repository=True, has_nested=True),
        Child("app-tools", is_repository=True, has_nested=False),
        Child("team", is_repository=False, has_nested=True),
        Child("x_y", is_repository=True, has_nested=False),
    ]
    assert level("team") == [
        Child("team/app", is_repository=True, has_nested=False),
        Child("team/db", is_repository=True, has_nested=False),
    ]
    assert level("nothing") == []
    assert level("", below("team/db", "app")) == [
        Child("app", is_repository=True, has_nested=False),
        Child("team", is_repository=False, has_nested=True),
    ]


def test_a_level_is_had_a_page_at_a_time(filled: Host) -> None:
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        found = filled.index.level("", everything, after, limit=1)
        assert found is not None
        names += [child.name for child in found.children]
        after = found.following
    assert names == ["app", "app-tools", "team", "x_y"]


def test_no_question_to_the_index_asks_the_storage(registry: Registry, filled: Host) -> None:
    registry.driver.delete("/docker")
    assert filled.search("team") == ["team/app", "team/db"]
    assert len(filled.page("-pushed").rows) == len(REPOSITORIES)
    assert filled.rows("app", "-size")


def test_sqlite_finds_parts_of_names_here() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(name, tokenize='trigram')")
