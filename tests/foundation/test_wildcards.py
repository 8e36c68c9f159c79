from __future__ import annotations

import re

import re2
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation.wildcards import wildcards
from tests.growth import grows_linearly


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), st.text("ab", max_size=12))
def test_they_match_what_any_text_between_the_segments_matches(segments: list[str], text: str) -> None:
    expected = re2.fullmatch(".*".join(segments), text) is not None

    assert (re.fullmatch(wildcards(segments, "."), text) is not None) == expected


def test_time_is_linear_however_many_there_are() -> None:
    for count in (1, 2, 8, 32):
        regex = re.compile(wildcards(["", *["a"] * count, "b"], "."))
        assert grows_linearly(regex.fullmatch, lambda size: "a" * size)
