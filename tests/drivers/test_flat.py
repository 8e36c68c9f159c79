from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import InvalidPathError
from drivers.flat import KEY_SIZE, Keys, first_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = st.text("ab-._0", min_size=1, max_size=5).filter(lambda name: not name.startswith("."))


class _Store:
    """Keys in the order of their bytes, listed with the delimiter ``/`` and from any place on."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.probes = 0

    def pages(self, start: str, size: int) -> Iterator[list[str]]:
        entries = sorted({key.partition("/")[0] + "/" * ("/" in key) for key in self.keys if key >= start})
        for position in range(0, len(entries), size):
            yield entries[position : position + size][::-1]

    def has_prefix(self, name: str) -> bool:
        self.probes += 1
        return any(key.startswith(f"{name}/") for key in self.keys)


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

    assert first_names(store.pages(after, page_size), after, limit, store.has_prefix) == expected


def test_a_page_costs_the_same_wherever_it_begins() -> None:
    store = _Store({f"v1.{number:05}-rc/x" for number in range(2_000)} | {"v1/x"})
    read = []

    def pages() -> Iterator[list[str]]:
        for page in store.pages("v1.01000-rc", 100):
            read.append(page)
            yield page

    names = first_names(pages(), "v1.01000-rc", 100, store.has_prefix)

    assert names == [f"v1.{number:05}-rc" for number in range(1_001, 1_101)]
    assert len(read) <= 2
    assert store.probes <= 2


def test_hidden_names_are_left_out() -> None:
    assert first_names([["a", ".b/", "c/"]], "", 9, lambda _: False) == ["a", "c"]


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
