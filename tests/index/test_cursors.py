"""What a page goes on after tells nothing, above all no name that is hidden from who has the page."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.browsing.shapes import Child, Hit, Level, RepositoryRow
from registry.index.cursors import Cursors
from registry.oci.reference import MAX_NAME_LENGTH
from tests.index.hosts import Host, Registry, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from registry.browsing.shapes import Hits, RepositoriesPage

    Page = Hits | Level | RepositoriesPage
    Ask = Callable[[Host, Callable[[str], bool], str], Page | None]

LIMIT: Final = 2
VISIBLE: Final = ("open/app", "open/web", "secret-hq/lobby", "zoo")
HIDDEN: Final = ("a-secret", "secret-hq/plans", "secret-hq/vault", "secrets", "y-secret", "z-secret")
LONGEST_TAG: Final = 128

QUESTIONS: Final[dict[str, Ask]] = {
    "a level": lambda host, shows, after: host.index.level("", shows, after, LIMIT),
    "a deeper level": lambda host, shows, after: host.index.level("secret-hq", shows, after, LIMIT),
    "a search for names": lambda host, shows, after: host.index.search("e", shows, after, LIMIT),
    "a search for tags": lambda host, shows, after: host.index.search("nightly", shows, after, LIMIT),
    "a search for tags of some": lambda host, shows, after: host.index.search("e:nig", shows, after, LIMIT),
    "by name": lambda host, shows, after: host.index.repositories("name", shows, after, LIMIT),
    "by size": lambda host, shows, after: host.index.repositories("-size", shows, after, LIMIT),
    "by push": lambda host, shows, after: host.index.repositories("pushed", shows, after, LIMIT),
}

questions = pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)


@pytest.fixture
def filled(registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose index has more that is hidden than is judged for a page."""
    for module in ("searching", "lists", "level"):
        monkeypatch.setattr(f"registry.index.{module}._JUDGED", 2)
    for name in (*VISIBLE, *HIDDEN):
        registry.push(name, "nightly", content=name)
    host.catch_up()
    return host


@questions
def test_who_may_see_little_finds_all_of_that_on_some_page_and_no_hidden_name_in_any(filled: Host, ask: Ask) -> None:
    seen: list[object] = []
    cursors: list[str] = []
    for page in pages(filled, ask, VISIBLE.__contains__):
        seen += entries(page)
        cursors += [page.following] if page.following else []
    everything_there = [entry for page in pages(filled, ask, everything) for entry in entries(page)]
    assert seen == [entry for entry in everything_there if any(is_of(entry, name) for name in VISIBLE)]
    assert cursors
    told = [*map(repr, seen), *cursors, *(str(base64.urlsafe_b64decode(cursor)) for cursor in cursors)]
    assert not [name for name in HIDDEN for text in told if name in text]


@questions
def test_a_cursor_is_of_no_use_to_another_question_nor_with_another_text_in_it(filled: Host, ask: Ask) -> None:
    first = ask(filled, everything, "")
    assert first is not None
    assert first.following
    other = filled.index.search("other words", everything)
    assert other is not None
    strange = Cursors(filled.secret).write("zoo", "the list of another question")
    forged = Cursors(b"made up").write("zoo", "repositories name")
    turned = first.following.swapcase()
    for cursor in (strange, forged, turned, first.following[:-4], "zoo", "zoo:nightly", "é", "=", "1.0:zoo", "\ud800"):
        assert ask(filled, everything, cursor) is not None
        assert entries(ask(filled, everything, cursor)) == entries(first)
    assert entries(ask(filled, everything, first.following)) != entries(first)


def test_hosts_with_the_same_secret_go_on_where_another_one_has_ended(
    tmp_path: Path, driver: InMemoryDriver, filled: Host
) -> None:
    ask = QUESTIONS["by name"]
    beside, stranger = Host(tmp_path / "beside", driver), Host(tmp_path / "stranger", driver, secret=b"another")
    first = ask(filled, everything, "")
    assert first is not None
    assert first.following
    for host in (beside, stranger):
        host.catch_up()
    assert entries(ask(beside, everything, first.following)) == entries(ask(filled, everything, first.following))
    assert entries(ask(stranger, everything, first.following)) == entries(first)


@given(st.text(st.characters(min_codepoint=1, max_codepoint=126)))
def test_a_cursor_is_read_as_it_was_written(place: str) -> None:
    cursors = Cursors(b"a secret")
    assert cursors.read(cursors.write(place, "a list"), "a list") == place


def test_all_cursors_are_equally_long_and_none_is_written_twice() -> None:
    cursors = Cursors(b"a secret")
    longest = f"{'n' * MAX_NAME_LENGTH}:{'t' * LONGEST_TAG}"
    written = [cursors.write(place, "a list") for place in ("a", "a", "-1.7976931348623157e+308:a", longest)]
    assert len(set(map(len, written))) == 1
    assert len(set(written)) == len(written)


def pages(host: Host, ask: Ask, shows: Callable[[str], bool]) -> Iterator[Page]:
    """Yield all pages that somebody has who is shown what `shows` takes."""
    after: str | None = ""
    while after is not None:
        page = ask(host, shows, after)
        assert page is not None
        yield page
        after = page.following


def entries(page: Page | None) -> tuple[object, ...]:
    """Return what a page shows."""
    assert page is not None
    return page.children if isinstance(page, Level) else page.rows


def is_of(entry: object, name: str) -> bool:
    """Tell whether an entry of a page is there for a repository, or for a tag in it."""
    if isinstance(entry, Child):
        return f"{name}/".startswith(f"{entry.name}/")
    assert isinstance(entry, (Hit, RepositoryRow))
    return name == (entry.repository if isinstance(entry, Hit) else entry.name)
