from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation.recent import RecentlyUsed, RecentlyUsedByWeight

CALLS = st.lists(st.tuples(st.sampled_from(["get", "put", "drop"]), st.integers(0, 6), st.integers(0, 9)))


def weigh(value: int) -> int:
    return value + 1


def play(table: RecentlyUsed[int, int], calls: list[tuple[str, int, int]], room: int, *, weighed: bool) -> None:
    """Make `calls` of `table` and of a list that does the same slowly; both must answer alike."""
    expected: list[tuple[int, int]] = []
    for call, key, value in calls:
        known = dict(expected)
        if call == "get":
            assert table.get(key) == known.get(key)
        others = [entry for entry in expected if entry[0] != key]
        if call == "put":
            table.put(key, value)
            expected = [*others, (key, value)]
            while sum(weigh(held) if weighed else 1 for _, held in expected) > room:
                del expected[0]
        elif call == "drop":
            table.drop(key)
            expected = others
        elif key in known:
            expected = [*others, (key, known[key])]
        assert len(table._entries) == len(expected)
        assert [each in table for each in range(7)] == [each in dict(expected) for each in range(7)]
        if isinstance(table, RecentlyUsedByWeight):
            assert table.weight == sum(weigh(held) for _, held in expected)


@given(CALLS, st.integers(1, 5))
def test_the_entries_used_last_are_kept_up_to_a_number(calls: list[tuple[str, int, int]], most: int) -> None:
    play(RecentlyUsed(most), calls, most, weighed=False)


@given(CALLS, st.integers(1, 30))
def test_the_entries_used_last_are_kept_up_to_a_weight(calls: list[tuple[str, int, int]], most: int) -> None:
    play(RecentlyUsedByWeight(most, weigh), calls, most, weighed=True)


def test_an_empty_table_is_not_false_so_that_it_is_not_taken_for_none() -> None:
    assert RecentlyUsed(1)
    assert RecentlyUsedByWeight(1, weigh)


def test_zero_or_less_is_no_limit_of_number() -> None:
    for most in (0, -1):
        table: RecentlyUsed[int, int] = RecentlyUsed(most)
        for number in range(1000):
            table.put(number, number)
        assert len(table._entries) == 1000


@pytest.mark.parametrize("most", [0, -1])
def test_zero_weight_or_less_keeps_nothing(most: int) -> None:
    table: RecentlyUsedByWeight[int, int] = RecentlyUsedByWeight(most, weigh)

    table.put(1, 1)

    assert table.get(1) is None
    assert table.weight == 0


def test_threads_do_not_spoil_the_account_of_weight() -> None:
    table: RecentlyUsedByWeight[int, int] = RecentlyUsedByWeight(200, weigh)

    def churn(seed: int) -> None:
        for number in range(2000):
            table.put(seed * number % 97, number % 10)
            table.get(number % 89)
            table.drop(number % 83)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(1, 9)))

    values = [table.get(key) for key in range(97)]
    assert table.weight == sum(weigh(value) for value in values if value is not None) <= 200
