"""What is written down of tags is read as it was written, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.digest import Digest
from registry.proxy.freshness import Missing, TagState
from tests.proxy.caching_host import Clock

ONE, TWO = Digest.of(b"1"), Digest.of(b"2", "sha512")
DIGESTS = st.sampled_from([ONE, TWO])
TIMES = st.floats(allow_nan=False, allow_infinity=False)
STATES = st.one_of(
    st.builds(TagState, DIGESTS, TIMES),
    st.builds(TagState, DIGESTS, TIMES, pushed=st.just(True)),
    st.builds(TagState, DIGESTS, TIMES, st.none() | DIGESTS, st.just("an id")),
)


@given(STATES)
def test_a_state_is_read_as_it_was_written(state: TagState) -> None:
    assert TagState.decode(state.encode()) == state


@given(STATES, st.data())
def test_what_is_left_of_a_state_that_was_torn_is_none(state: TagState, data: st.DataObject) -> None:
    content = state.encode()
    assert TagState.decode(content[: data.draw(st.integers(0, len(content) - 1))]) is None


@given(
    st.recursive(
        st.none() | st.booleans() | TIMES | st.text(),
        lambda each: (
            st.lists(each) | st.dictionaries(st.sampled_from(["digest", "checked", "former", "intent", "pushed"]), each)
        ),
    )
)
def test_other_documents_are_no_states(document: object) -> None:
    assert TagState.decode(json.dumps(document).encode()) is None


@pytest.mark.parametrize(
    ("state", "covered"),
    [
        (TagState(ONE, 1.0), {ONE}),
        (TagState(ONE, 1.0, TWO, "id"), {ONE, TWO}),
        (TagState(ONE, 1.0, None, "id"), {ONE}),
        (TagState(ONE, 1.0, pushed=True), set()),
    ],
)
def test_a_tag_has_come_from_the_upstream_where_its_state_says_so(state: TagState, covered: set[Digest]) -> None:
    assert {digest for digest in (ONE, TWO) if state.covers(digest)} == covered


def test_only_the_state_of_a_cached_tag_has_its_digest_under_that_name() -> None:
    assert json.loads(TagState(ONE, 1.0).encode()) == {"digest": str(ONE), "checked": 1.0}
    assert "digest" not in json.loads(TagState(ONE, 1.0, pushed=True).encode())


def test_what_is_missing_is_so_for_as_long_as_was_said() -> None:
    clock = Clock()
    missing = Missing(clock)
    missing.add(("hub", "a"), 30)
    missing.add(("hub", "b"), 0)

    assert ("hub", "a") in missing
    assert ("hub", "b") not in missing
    clock.now += 29.9
    assert ("hub", "a") in missing
    clock.now += 0.1
    assert ("hub", "a") not in missing
