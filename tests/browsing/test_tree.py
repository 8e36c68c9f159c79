from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.browsing import tree
from registry.browsing.shapes import Child
from registry.browsing.tree import level
from registry.storage.repository import Repositories
from tests.archive.images import image

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("base", "team", "team/app", "team/app/cache", "team/web", "tools/a/b/c", "zoo")


@pytest.fixture(autouse=True)
def _filled(repositories: Repositories) -> None:
    for name in NAMES:
        image(repositories.open(name))
    repositories.open("empty/of/manifests").uploads.start()


def everything(_: str) -> bool:
    return True


def test_the_root_has_what_lies_right_below_it(repositories: Repositories) -> None:
    assert level(repositories, "", shows=everything).children == (
        Child("base", is_repository=True, has_nested=False),
        Child("team", is_repository=True, has_nested=True),
        Child("tools", is_repository=False, has_nested=True),
        Child("zoo", is_repository=True, has_nested=False),
    )


def test_a_level_is_named_in_full(repositories: Repositories) -> None:
    found = level(repositories, "team", shows=everything)
    assert found.path == "team"
    assert [(each.name, each.has_nested) for each in found.children] == [("team/app", True), ("team/web", False)]
    assert [each.name for each in level(repositories, "tools/a/b", shows=everything).children] == ["tools/a/b/c"]
    assert level(repositories, "base", shows=everything).children == ()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_pages_put_together_are_the_level(repositories: Repositories, limit: int) -> None:
    names, after = [], ""
    while True:
        page = level(repositories, "", shows=everything, after=after, limit=limit)
        names += [each.name for each in page.children]
        assert len(page.children) <= limit
        if page.following is None:
            break
        after = page.following
    assert names == ["base", "team", "tools", "zoo"]


def test_what_may_not_be_pulled_is_not_there(repositories: Repositories) -> None:
    found = level(repositories, "", shows={"zoo", "tools/a/b/c"}.__contains__)
    assert found.children == (
        Child("tools", is_repository=False, has_nested=True),
        Child("zoo", is_repository=True, has_nested=False),
    )
    assert level(repositories, "team", shows={"zoo"}.__contains__).children == ()


def test_a_repository_that_is_hidden_is_a_step_to_what_is_nested_in_it(repositories: Repositories) -> None:
    (team,) = level(repositories, "", shows={"team/web"}.__contains__).children
    assert team == Child("team", is_repository=False, has_nested=True)


def test_what_is_nested_and_hidden_is_not_told_of(repositories: Repositories) -> None:
    (team,) = level(repositories, "", shows={"team"}.__contains__).children
    assert team == Child("team", is_repository=True, has_nested=False)


def test_a_page_goes_on_after_what_it_shows_and_never_after_what_it_hides(repositories: Repositories) -> None:
    seen = {"base", "zoo"}
    page = level(repositories, "", shows=seen.__contains__, limit=1)
    assert page.following == "base"
    rest = level(repositories, "", shows=seen.__contains__, limit=1, after="base")
    assert [each.name for each in rest.children] == ["zoo"]
    assert rest.following is None


def test_the_work_for_one_level_is_bounded_however_much_is_hidden(
    repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_SECONDS", -1.0)
    asked: list[str] = []

    def shows(name: str) -> bool:
        asked.append(name)
        return name in {"base", "zoo"}

    first = level(repositories, "", shows=shows, limit=2)
    rest = level(repositories, "", shows=shows, limit=2, after="base")

    assert ([child.name for child in first.children], first.following, first.cut) == (["base"], "base", False)
    assert (rest.children, rest.following, rest.cut) == ((), None, True)
    assert "zoo" not in asked


def test_what_is_shown_is_found_behind_many_pages_of_hidden_names(repositories: Repositories) -> None:
    found = level(repositories, "", shows={"zoo"}.__contains__, limit=1)
    assert ([child.name for child in found.children], found.following, found.cut) == (["zoo"], None, False)


def test_what_a_name_has_behind_very_much_that_is_hidden_is_not_looked_for(
    repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_MOST_NESTED", 2)
    assert [child.name for child in level(repositories, "", shows={"team/app/cache"}.__contains__).children] == ["team"]
    assert level(repositories, "", shows={"team/web"}.__contains__).children == ()


NAME = st.lists(st.sampled_from(("a", "a-b", "b", "b.c")), min_size=1, max_size=3).map("/".join)


def pages_of(repositories: Repositories, path: str, shown: set[str], limit: int) -> Iterator[Child]:
    """Yield the children of all pages, none of which names anything that is not shown."""
    after: str | None = ""
    while after is not None:
        page = level(repositories, path, shows=shown.__contains__, after=after, limit=limit)
        assert len(page.children) <= limit
        assert page.following in {None, *(child.name for child in page.children[-1:])}
        yield from page.children
        after = page.following


@given(st.sets(NAME, max_size=8), st.sets(NAME, max_size=8), st.just("") | NAME, st.integers(1, 4))
def test_a_level_is_what_follows_from_what_may_be_pulled(
    stored: set[str], allowed: set[str], path: str, limit: int
) -> None:
    repositories = Repositories(InMemoryDriver())
    for name in stored:
        image(repositories.open(name))
    shown, parent = stored & allowed, f"{path}/" if path else ""

    found = list(pages_of(repositories, path, allowed, limit))

    names = {parent + name.removeprefix(parent).split("/")[0] for name in shown if name.startswith(parent)}
    assert found == [
        Child(name, name in shown, any(each.startswith(f"{name}/") for each in shown)) for name in sorted(names)
    ]
