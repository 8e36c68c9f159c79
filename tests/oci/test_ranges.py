from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.oci.errors import RangeInvalidError, RangeNotSatisfiableError
from registry.oci.ranges import ByteRange, parse_chunk_range, parse_range

OFFSETS = st.integers(min_value=0, max_value=10**18 - 1)
SIZES = st.integers(min_value=1, max_value=1000)


@given(OFFSETS, OFFSETS)
def test_a_chunk_range_reads_back(start: int, end: int) -> None:
    assume(start <= end)

    for header in (f"{start}-{end}", f" {start}-{end} ", f"bytes {start}-{end}/*", f"bytes={start}-{end}"):
        assert parse_chunk_range(header) == ByteRange(start, end + 1)


def test_a_chunk_range_is_inclusive_on_the_wire() -> None:
    assert parse_chunk_range("10-19").length == 10


@pytest.mark.parametrize(
    "header",
    [
        *["", "-", "5", "5-", "-5", "5-4", "a-b", "0-0-0", "0x1-2", "1e3-2e3", "+1-2", "-1-2", "1.0-2"],
        *["bytes 0-4/x", "0-" + "9" * 19, "9" * 5000 + "-" + "9" * 5000, "0-4, 5-9", "0-4\0", "\u0660-\u0669"],
    ],
)
def test_what_is_no_chunk_range_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalidError) as caught:
        parse_chunk_range(header)

    assert len(str(caught.value.detail)) <= 64


@given(SIZES, st.data())
def test_a_range_inside_the_content_is_what_was_asked_for(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start, size + 1000))

    assert parse_range(f"bytes={start}-{end}", size) == ByteRange(start, min(end + 1, size))
    assert parse_range(f"bytes={start}-", size) == ByteRange(start, size)


@given(SIZES, st.integers(1, 2000))
def test_a_suffix_is_the_end_of_the_content_and_at_most_all_of_it(size: int, length: int) -> None:
    wanted = parse_range(f"bytes=-{length}", size)

    assert wanted == ByteRange(max(size - length, 0), size)


@pytest.mark.parametrize("header", ["bytes=", "items=0-4", "bytes=0-1,3-4", "bytes 0-4", "", "BYTES", "bytes"])
def test_other_units_and_several_ranges_are_answered_with_the_whole(header: str) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    "header",
    [
        *["bytes=10-", "bytes=10-12", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=0", "bytes=--5"],
        *["bytes=0--5", "bytes=" + "9" * 19 + "-", "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000],
        *["bytes=0x0-0x4", "bytes=\u0660-\u0669"],
    ],
)
def test_what_cannot_be_served_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError) as caught:
        parse_range(header, 10)

    assert caught.value.size == 10


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_nothing_has_no_ranges(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(header, 0)


@given(st.text(), st.integers(0, 100))
def test_a_range_is_never_outside_the_content(header: str, size: int) -> None:
    try:
        wanted = parse_range("bytes=" + header, size)
    except RangeNotSatisfiableError:
        return

    assert wanted is None or 0 <= wanted.start < wanted.stop <= size
