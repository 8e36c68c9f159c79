from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.oci.errors import RangeInvalidError, RangeNotSatisfiableError
from registry.oci.ranges import MAX_RANGES, ByteRange, parse_chunk_range, parse_ranges, parse_span

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

    assert parse_ranges(f"bytes={start}-{end}", size) == (ByteRange(start, min(end + 1, size)),)
    assert parse_ranges(f"bytes={start}-", size) == (ByteRange(start, size),)


@given(SIZES, st.integers(1, 2000))
def test_a_suffix_is_the_end_of_the_content_and_at_most_all_of_it(size: int, length: int) -> None:
    wanted = parse_ranges(f"bytes=-{length}", size)

    assert wanted == (ByteRange(max(size - length, 0), size),)


@pytest.mark.parametrize("header", ["bytes=", "bytes=,", "items=0-4", "bytes 0-4", "", "BYTES", "bytes", "bytes =0-4"])
def test_what_asks_for_no_bytes_is_answered_with_the_whole(header: str) -> None:
    assert parse_ranges(header, 10) == ()


@pytest.mark.parametrize(
    "header",
    [
        *["bytes=10-", "bytes=10-12", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=0", "bytes=--5"],
        *["bytes=0--5", "bytes=" + "9" * 19 + "-", "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000],
        *["bytes=0x0-0x4", "bytes=\u0660-\u0669", "bytes=0-1,5-4", "bytes=0-1,x", "bytes=0-1 2-3", "bytes=10-,11-12"],
        *["bytes=0-1;2-3", "bytes=bytes=0-1", "bytes=\xa00-1", "bytes=0-" + " " * 60_000 + "x"],
    ],
)
def test_what_cannot_be_served_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiableError) as caught:
        parse_ranges(header, 10)

    assert caught.value.size == 10


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-4,", [(0, 5)]),
        ("bytes=,,0-4 ,, ", [(0, 5)]),
        ("Bytes=0-4", [(0, 5)]),
        ("bytes= 0 - 4 ,\t6-", [(0, 5), (6, 10)]),
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1", [(4, 6), (0, 2)]),
        ("bytes=0-1,2-3", [(0, 2), (2, 4)]),
        ("bytes=0-1,-3", [(0, 2), (7, 10)]),
        ("bytes=0-1,10-20", [(0, 2)]),
        ("bytes=10-20,-0,8-20", [(8, 10)]),
        ("bytes=8-9,0-4,3-6,0-0", [(8, 10), (0, 7)]),
        ("bytes=6-9,0-3,2-7", [(0, 10)]),
        ("bytes=0-,0-,-10", [(0, 10)]),
    ],
)
def test_of_several_ranges_those_that_overlap_are_one_and_their_order_stays(
    header: str, spans: list[tuple[int, int]]
) -> None:
    assert parse_ranges(header, 10) == tuple(ByteRange(*span) for span in spans)


def test_more_ranges_than_a_client_may_ask_for_are_answered_with_the_whole() -> None:
    specs = [f"{2 * number}-{2 * number}" for number in range(MAX_RANGES + 1)]

    assert len(parse_ranges("bytes=" + ",".join(specs[:-1]), 1000)) == MAX_RANGES
    assert parse_ranges("bytes=" + ",".join(specs), 1000) == ()


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-", "bytes=0-1,4-5"])
def test_nothing_is_answered_with_nothing(header: str) -> None:
    assert parse_ranges(header, 0) == ()


@given(st.text("0123456789-, "), st.integers(0, 100))
def test_ranges_are_never_outside_the_content_nor_larger_than_it(header: str, size: int) -> None:
    try:
        wanted = parse_ranges("bytes=" + header, size)
    except RangeNotSatisfiableError:
        return

    assert all(0 <= each.start < each.stop <= size for each in wanted)
    offsets = [offset for each in wanted for offset in range(each.start, each.stop)]
    assert len(offsets) == len(set(offsets))


@pytest.mark.parametrize(
    ("header", "span"),
    [("bytes=0-", (0, None)), ("bytes=5-5", (5, 6)), ("bytes=10-19", (10, 20)), ("bytes=7-", (7, None))],
)
def test_the_span_of_one_range_is_known_without_the_size(header: str, span: tuple[int, int | None]) -> None:
    assert parse_span(header) == span


@pytest.mark.parametrize(
    "header", ["bytes=-5", "bytes=1-2,4-5", "bytes=5-4", "bytes=", "lines=0-", "bytes=a-b", "", "bytes=0-1 "]
)
def test_what_takes_more_to_be_understood_has_no_span(header: str) -> None:
    assert parse_span(header) is None
