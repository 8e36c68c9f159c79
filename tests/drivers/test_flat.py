from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import InvalidPathError
from drivers.flat import KEY_SIZE, Keys, Page, first_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAMES = st.text("ab-._0", min_size=1, max_size=5).filter(lambda name: not name.startswith("."))


class _Store:
    """Keys in the order of their bytes, listed with the delimiter ``/`` and from any place on."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.probes = 0

    def pages(self, start: str, size: int) -> Iterator[Page]:
        entries = sorted({key.partition("/")[0] + "/" * ("/" in key) for key in self.keys if key >= start})
        for position in range(0, len(entries), size):
            page = entries[position : position + size]
            yield Page(page[::-1], page[-1] if position + size < len(entries) else None)

    def are_prefixes(self, names: Sequence[str]) -> list[bool]:
        self.probes += len(names)
        return [any(key.startswith(f"{name}/") for key in self.keys) for name in names]


@given(
    names=st.sets(st.tuples(_NAMES, st.sampled_from(["", "/x", "/y/z"]))),
    after=st.just("") | _NAMES,
    limit=st.integers(1, 9),
    page_size=st.integers(1, 4),
)
def test_names_come_in_their_own_byte_order_whatever_the_order_of_the_keys(
    names: set[tuple[str, str]], after: str, limit: int, page_size: int
) -> None:
    store = _Store({name + rest for name, rest in names})
    expected = sorted({name for name, _ in names if name > after})[:limit]

    assert first_names(store.pages(after, page_size), after, limit, store.are_prefixes) == expected


def test_a_page_costs_the_same_wherever_it_begins() -> None:
    store = _Store({f"v1.{number:05}-rc/x" for number in range(2_000)} | {"v1/x"})
    read = []

    def pages() -> Iterator[Page]:
        for page in store.pages("v1.01000-rc", 100):
            read.append(page)
            yield page

    names = first_names(pages(), "v1.01000-rc", 100, store.are_prefixes)

    assert names == [f"v1.{number:05}-rc" for number in range(1_001, 1_101)]
    assert len(read) <= 2
    assert store.probes <= 2


def test_hidden_names_are_left_out() -> None:
    assert first_names([Page(["a", ".b/", "c/"], None)], "", 9, lambda _: ()) == ["a", "c"]


def test_nothing_is_asked_about_a_name_when_the_listing_has_ended() -> None:
    store = _Store({"v1-a/x", "v1-b/x"})

    assert first_names(store.pages("", 5), "", 2, store.are_prefixes) == ["v1-a", "v1-b"]
    assert first_names(store.pages("", 1), "", 1, store.are_prefixes) == ["v1-a"]
    assert store.probes == 1


@pytest.mark.parametrize("root", ["", "/", "some/root", "/some/root/"])
def test_a_key_has_no_leading_slash(root: str) -> None:
    keys = Keys(root)
    below = "some/root/" if "some" in root else ""

    assert keys.key("/docker/x") == f"{below}docker/x"
    assert keys.prefix("/docker") == f"{below}docker/"


def test_a_key_is_as_long_as_the_services_allow() -> None:
    longest = "/" + "a" * KEY_SIZE

    assert len(Keys("").key(longest)) == KEY_SIZE
    with pytest.raises(InvalidPathError):
        Keys("").key(f"{longest}a")
    with pytest.raises(InvalidPathError):
        Keys("r").key(longest)
