"""Each entry has exactly one line, whoever writes, and whatever is between two calls of the storage."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.audit.record import SEAL
from registry.audit.segments import Segment, Segments
from registry.audit.verification import verify
from registry.audit.writer import SEGMENT_BYTES, OutrunError, Writer
from registry.storage import paths
from tests.audit.logs import DAY_NS, NOON_NS, delivered, lines
from tests.drivers.failing import FailingDriver
from tests.drivers.stores import STORES

if TYPE_CHECKING:
    from drivers.base import StorageDriver


@pytest.fixture(params=["inmemory", "filesystem", *STORES])
def either(request: pytest.FixtureRequest) -> StorageDriver:
    """Each driver, empty: of two that write at a time, each has to let one fail."""
    if request.param == "inmemory":
        return InMemoryDriver()
    found = request.getfixturevalue(request.param)
    made: StorageDriver = found if request.param == "filesystem" else found.medium().driver()
    return made


def recorded(driver: StorageDriver) -> list[str]:
    """Return which entries have a line, in order; the log itself is in order."""
    verdict = verify(driver, tell=lambda _: None)
    assert verdict.findings == []
    return [record["id"] for record in map(json.loads, lines(driver)) if record["action"] not in {SEAL, "trim"}]


def ids(*numbers: int) -> list[str]:
    return [f"id-{number}" for number in numbers]


def test_lines_are_added_in_order_and_say_what_happened(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1), delivered(2)], "two")
    writer.add([delivered(3)], "three")
    writer.store_head()
    assert recorded(either) == ids(1, 2, 3)
    first = json.loads(lines(either)[0])
    assert first["actor"] == "alice"
    assert first["repository"] == "team/1"
    assert first["time"] == "2025-11-27T12:00:00.000000Z"
    assert first["outcome"] == "ok"


def test_who_comes_later_goes_on_where_the_journal_was_read_to(either: StorageDriver) -> None:
    Writer(either).add([delivered(1)], "one")
    writer = Writer(either)
    assert writer.head.position == "one"
    writer.add([delivered(2)], "two")
    assert recorded(either)[-1] == "id-2"


def test_an_entry_that_the_journal_gives_again_has_one_line(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1), delivered(1)], "one")
    writer.add([delivered(1), delivered(2)], "two")
    Writer(either).add([delivered(2), delivered(3)], "three")
    writer = Writer(either)
    writer.store_head()
    assert recorded(either) == ids(1, 2, 3)


def test_of_two_writers_at_a_time_one_fails_and_goes_on_behind_the_other(either: StorageDriver) -> None:
    one, other = Writer(either), Writer(either)
    one.add([delivered(1)], "one")
    assert other.head.position == "one"
    one.add([delivered(2), delivered(3)], "three")
    with pytest.raises(OutrunError):
        other.add([delivered(2)], "two")
    assert other.head.position == "three"
    other.add([delivered(4)], "four")
    with pytest.raises(OutrunError):
        one.add([delivered(4)], "four")
    one.store_head()
    assert recorded(either) == ids(1, 2, 3, 4)


def test_of_two_that_begin_a_log_at_a_time_one_fails(either: StorageDriver) -> None:
    one, other = Writer(either), Writer(either)
    assert (one.head.seq, other.head.seq) == (0, 0)
    one.add([delivered(1)], "one")
    with pytest.raises(OutrunError):
        other.add([delivered(1)], "one")
    one.store_head()
    assert recorded(either) == ids(1)


def test_a_writer_that_takes_a_sealed_segment_for_the_end_fails(either: StorageDriver) -> None:
    one, other = Writer(either), Writer(either)
    one.add([delivered(1)], "one")
    assert other.head.position == "one"
    one.add([delivered(2, at_ns=delivered(1).time_ns + DAY_NS)], "two")
    with pytest.raises(OutrunError):
        other.add([delivered(3)], "three")
    other.add([delivered(3)], "three")
    other.store_head()
    assert recorded(either) == ids(1, 2, 3)


def test_a_segment_is_of_one_day_and_of_about_a_mebibyte(either: StorageDriver) -> None:
    writer = Writer(either)
    for number in range(5):
        batch = [delivered(1000 * number + each, note="x" * 600) for each in range(400)]
        writer.add(batch, str(number))
    writer.add([delivered(9000, at_ns=delivered(0).time_ns + DAY_NS)], "last")
    writer.store_head()
    segments = Segments(either)
    sizes = {str(each): segments.size(each) for each in segments.all()}
    assert [*sizes] == ["20251127/000001.jsonl", "20251127/000002.jsonl", "20251128/000001.jsonl"]
    assert SEGMENT_BYTES <= sizes["20251127/000001.jsonl"] < 2 * SEGMENT_BYTES
    assert len(recorded(either)) == 400 * 5 + 1


def test_a_crash_at_any_call_of_the_storage_loses_and_repeats_nothing() -> None:
    day_later = delivered(3, at_ns=delivered(3).time_ns + DAY_NS)
    batches = [[delivered(1), delivered(2)], [day_later], [delivered(4)]]

    def go_on(storage: StorageDriver) -> None:
        writer = Writer(storage)
        for index in range(int(writer.head.position or 0), len(batches)):
            writer.add(batches[index], str(index + 1))
            writer.store_head()
        writer.store_head()

    dry_run = FailingDriver(InMemoryDriver(), fail_at=0)
    go_on(dry_run)
    assert dry_run.calls > 8
    for number in range(1, dry_run.calls + 1):
        medium = InMemoryDriver()
        with suppress(DriverError):
            go_on(FailingDriver(medium, fail_at=number))
        go_on(medium)
        assert recorded(medium) == ids(1, 2, 3, 4)


def test_a_tail_that_was_cut_off_is_not_covered_up(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1)], "one")
    before = Segments(either).read(Segment("20251127", 1))
    writer.add([delivered(2)], "two")
    writer.store_head()
    either.put(Segment("20251127", 1).path, before)
    later = Writer(either)
    assert later.head.position == "two"
    later.add([delivered(3)], "three")
    later.store_head()
    (finding,) = verify(either, tell=lambda _: None).findings
    assert "has the number 3 where 2 belongs" in str(finding)


def test_a_log_whose_last_line_is_torn_goes_on_in_another_segment(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1), delivered(2)], "two")
    writer.store_head()
    path = Segment("20251127", 1).path
    either.put(path, either.get(path, limit=10_000)[:-20])
    later = Writer(either)
    later.add([delivered(3)], "three")
    later.store_head()
    assert json.loads(lines(either)[-1])["seq"] == 3
    assert [each.line for each in verify(either, tell=lambda _: None).findings][:1] == [2]


def test_a_clock_that_is_years_ahead_begins_no_day_of_its_own(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1, at_ns=NOON_NS + 4000 * DAY_NS)], "one")
    (segment,) = Segments(either).all()
    assert segment.day <= f"{datetime.now(UTC):%Y%m%d}"


def test_a_log_without_its_head_goes_on(either: StorageDriver) -> None:
    writer = Writer(either)
    writer.add([delivered(1)], "one")
    writer.store_head()
    either.delete(paths.AUDIT_HEAD)
    later = Writer(either)
    later.add([delivered(2)], "two")
    later.store_head()
    assert recorded(either) == ids(1, 2)
