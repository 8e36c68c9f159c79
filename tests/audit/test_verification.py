"""Whatever is done to the audit log, verification finds it and names where."""

from __future__ import annotations

import json
import random
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.audit.chain import BEGINNING, link
from registry.audit.head import Head
from registry.audit.outputs import Telling
from registry.audit.reading import Wanted, records
from registry.audit.retention import Retention
from registry.audit.segments import MOST_BYTES, Segment, Segments
from registry.audit.syslog import Syslog
from registry.audit.verification import MOST_FINDINGS, Finding, Verdict, verify
from registry.audit.writer import Writer
from registry.commands.audit import printed_line
from registry.config.events import Audit
from registry.config.outputs import SyslogTarget
from registry.storage import paths
from tests.audit.logs import DAY_NS, NOON_NS, delivered, lines

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver
    from drivers.filesystem.driver import FilesystemDriver
    from drivers.inmemory import InMemoryDriver

TAIL = {2: "lines 12 to 14 are", 3: "lines 13 to 14 are", 4: "line 14 is"}
DAYS = ("20251127", "20251128", "20251129")


@pytest.fixture
def log(driver: InMemoryDriver) -> InMemoryDriver:
    """Three days of five lines each, of which the last one of a day but the last is a seal."""
    writer = Writer(driver)
    for number in range(14):
        day = number // 5
        entry = delivered(number, at_ns=NOON_NS + day * DAY_NS)
        if number % 5 != 4:
            writer.add([entry], str(number))
    writer.store_head()
    return driver


def verdict(driver: StorageDriver, known_hash: str = "") -> Verdict:
    return verify(driver, known_hash=known_hash, tell=lambda _: None)


def findings(driver: StorageDriver) -> list[Finding]:
    return verdict(driver).findings


def content(driver: StorageDriver, day: int) -> bytes:
    return Segments(driver).read(Segment(DAYS[day], 1))


def rewrite(driver: StorageDriver, day: int, content: bytes) -> None:
    driver.put(Segment(DAYS[day], 1).path, content)


def split(driver: StorageDriver, day: int) -> list[bytes]:
    return content(driver, day).splitlines(keepends=True)


def places(driver: StorageDriver) -> list[tuple[str, int]]:
    return [(each.segment, each.line) for each in findings(driver)]


def test_a_log_that_nobody_touched_is_whole(log: InMemoryDriver) -> None:
    found = verdict(log)
    assert found.findings == []
    assert (found.lines, found.segments, found.first, found.seq) == (14, 3, 1, 14)
    assert verdict(log, known_hash=found.hash).findings == []


def test_no_log_is_a_whole_log(driver: InMemoryDriver) -> None:
    assert verdict(driver) == Verdict()


@pytest.mark.parametrize("day", range(3))
def test_any_bit_that_is_flipped_is_found_in_its_line(log: InMemoryDriver, day: int) -> None:
    whole = content(log, day)
    choose = random.Random(day)
    for place in choose.sample(range(len(whole)), 150):
        changed = bytearray(whole)
        changed[place] ^= 1 << choose.randrange(8)
        rewrite(log, day, bytes(changed))
        line = whole[:place].count(b"\n") + 1
        assert (f"{DAYS[day]}/000001.jsonl", line) in places(log), (place, bytes(changed))
    rewrite(log, day, whole)
    assert findings(log) == []


@pytest.mark.parametrize("line", range(4))
@pytest.mark.parametrize("day", range(3))
def test_a_line_that_is_removed_is_found(log: InMemoryDriver, day: int, line: int) -> None:
    kept = split(log, day)
    del kept[line]
    rewrite(log, day, b"".join(kept))
    found = findings(log)
    assert found
    after = [(f"{DAYS[day]}/000001.jsonl", line + 1), (f"{DAYS[min(day + 1, 2)]}/000001.jsonl", 1), ("", 0)]
    assert (found[0].segment, found[0].line) in after


def test_lines_that_change_places_are_found(log: InMemoryDriver) -> None:
    swapped = split(log, 1)
    swapped[1], swapped[2] = swapped[2], swapped[1]
    rewrite(log, 1, b"".join(swapped))
    first = findings(log)[0]
    assert str(first) == (
        "20251128/000001.jsonl:2: has the number 8 where 7 belongs: lines were removed, added or moved"
    )


def test_a_line_that_is_there_twice_is_found(log: InMemoryDriver) -> None:
    doubled = split(log, 1)
    rewrite(log, 1, b"".join([*doubled[:2], doubled[1], *doubled[2:]]))
    assert ("20251128/000001.jsonl", 3) in places(log)


def test_segments_that_change_places_are_found(log: InMemoryDriver) -> None:
    first, second = content(log, 0), content(log, 1)
    rewrite(log, 0, second)
    rewrite(log, 1, first)
    assert ("20251128/000001.jsonl", 1) in places(log)


def test_a_segment_that_is_copied_is_found(log: InMemoryDriver) -> None:
    log.put(Segment(DAYS[1], 2).path, content(log, 1))
    assert ("20251128/000002.jsonl", 1) in places(log)
    log.delete(Segment(DAYS[1], 2).path)
    log.put(Segment(DAYS[2], 2).path, content(log, 2))
    assert ("20251129/000002.jsonl", 1) in places(log)


@pytest.mark.parametrize("day", range(3))
def test_a_segment_that_is_removed_is_found(log: InMemoryDriver, day: int) -> None:
    log.delete(Segment(DAYS[day], 1).path)
    told = [str(each) for each in findings(log)]
    assert told[0] in {
        "lines 1 to 5 are missing at the beginning",
        "20251129/000001.jsonl:1: does not follow 20251127/000001.jsonl as that is now",
        "lines 11 to 14 are missing at the end",
    }


def test_a_tail_that_is_cut_off_is_found(log: InMemoryDriver) -> None:
    whole = split(log, 2)
    for kept in range(2, 5):
        rewrite(log, 2, b"".join(whole[:kept]))
        first, last = findings(log)
        assert (first.line, str(last)) == (kept, f"{TAIL[kept]} missing at the end")
    rewrite(log, 2, b"".join(whole)[:-30])
    assert any("breaks off" in str(each) for each in findings(log))


def test_an_earlier_state_that_is_put_back_is_found(driver: InMemoryDriver) -> None:
    writer = Writer(driver)
    writer.add([delivered(1)], "1")
    before = content(driver, 0)
    writer.add([delivered(2)], "2")
    writer.store_head()
    rewrite(driver, 0, before)
    assert [str(each) for each in findings(driver)] == ["line 2 is missing at the end"]


def test_a_log_of_which_all_is_gone_but_its_head_is_found(log: InMemoryDriver) -> None:
    for day in DAYS:
        log.delete(paths.audit_day(day))
    assert [str(each) for each in findings(log)] == ["lines 1 to 14 are missing at the end"]


def test_a_head_that_is_removed_or_changed_is_found(log: InMemoryDriver) -> None:
    head = log.get(paths.AUDIT_HEAD, limit=1000)
    changed = head.replace(verdict(log).hash.encode(), b"0" * 64)
    log.put(paths.AUDIT_HEAD, changed)
    assert [str(each) for each in findings(log)] == ["line 14 is not what it was when the head of the log was written"]
    log.delete(paths.AUDIT_HEAD)
    assert ["the head of the log is missing" in str(each) for each in findings(log)] == [True]


def test_a_log_that_is_forged_from_its_beginning_lacks_the_hash_that_was_kept_elsewhere(log: InMemoryDriver) -> None:
    kept = verdict(log).hash
    for path in (*(paths.audit_day(day) for day in DAYS), paths.AUDIT_HEAD):
        log.delete(path)
    forger = Writer(log)
    forger.add([delivered(number) for number in range(14)], "13")
    forger.store_head()
    assert findings(log) == []
    assert [str(each) for each in verdict(log, known_hash=kept).findings] == [f"no line has the hash {kept}"]


def test_findings_without_end_are_counted(driver: InMemoryDriver) -> None:
    writer = Writer(driver)
    writer.add([delivered(number) for number in range(300)], "300")
    writer.store_head()
    rewrite(driver, 0, b"x" + content(driver, 0).replace(b"\n", b"\nx"))
    found = verdict(driver)
    assert len(found.findings) == MOST_FINDINGS
    assert found.more > 190


def forged(**members: object) -> bytes:
    record = {"seq": 12, "time": "now", "action": "push", "outcome": "ok", **members}
    return link(BEGINNING, {name: value for name, value in record.items() if value is not None}).line


NO_TEXTS: list[object] = [1, [], {}]
NO_NUMBERS: list[object] = ["1", 1.5, True, []]
NO_LISTS: list[object] = [1, "v1", {}, [1], [["v1"]]]
NO_OBJECTS: list[object] = [1, "x", [], {"x": 1}]
BAD_LINES = [
    b"[" * 200_000 + f',"hash":"{BEGINNING}"}}'.encode(),
    *(forged(**{name: None}) for name in ("seq", "time", "action")),
    *(forged(**{name: value}) for name in ("time", "action", "actor", "repository", "rule") for value in NO_TEXTS),
    *(forged(**{name: value}) for name in ("seq", "count", "status", "size") for value in NO_NUMBERS),
    *(forged(tags=value) for value in NO_LISTS),
    *(forged(**{name: value}) for name in ("details", "previous", "after") for value in NO_OBJECTS),
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: str(line[:40]))
def test_a_line_of_any_form_is_found_and_ends_neither_log_nor_outputs(log: InMemoryDriver, line: bytes) -> None:
    whole = split(log, 2)
    for index in (0, 1, 3, 4):
        rewrite(log, 2, b"".join([*whole[:index], line, b"\n", *whole[index:]]))
        assert (f"{DAYS[2]}/000001.jsonl", index + 1) in places(log)
        writer = Writer(log)
        writer.add([delivered(100 + index)], "100")
        head = writer.head
        printed = "".join(map(printed_line, records(log, Wanted())))
        assert f"team/{100 + index}" in printed
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listener:
            listener.bind(("127.0.0.1", 0))
            with closing(Syslog(SyslogTarget("udp", "127.0.0.1", listener.getsockname()[1]))) as syslog:
                telling = Telling(log, f"syslog-{index}", syslog, lambda: True, lambda head=head: head)  # type: ignore[misc]
                telling.begin_at(Head(1))
                telling.run()


@pytest.mark.parametrize("content", [b"", b"\0" * (MOST_BYTES + 1)], ids=["empty", "too large"])
@pytest.mark.parametrize("day", range(3))
def test_a_segment_that_is_empty_or_far_too_large_is_found_and_the_log_goes_on(
    log: InMemoryDriver, day: int, content: bytes
) -> None:
    rewrite(log, day, content)
    assert (f"{DAYS[day]}/000001.jsonl", 0) in places(log)
    writer = Writer(log)
    assert writer.head.seq == 14
    writer.add([delivered(100)], "100")
    assert json.loads(lines(log)[-1])["id"] == "id-100"
    assert [*records(log, Wanted())][-1]["id"] == "id-100"


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b"1", b"{}", b'{"seq":Infinity,"hash":"","segment":"","position":""}']
)
def test_a_head_of_any_content_is_found(log: InMemoryDriver, content: bytes) -> None:
    log.put(paths.AUDIT_HEAD, content)
    assert [f.text.partition(" is ")[0] for f in findings(log)] == ["the head of the log"]


class TestRetention:
    NOW_NS = NOON_NS + 3 * DAY_NS

    def trim(self, log: StorageDriver, *, keep_days: float = 400, maxsize: int = 10**9, now_ns: int = NOW_NS) -> Writer:
        writer = Writer(log)
        Retention(log, Audit(enabled=True, keep_seconds=keep_days * 24 * 3600, maxsize=maxsize)).trim(writer, now_ns)
        writer.store_head()
        return writer

    def test_whole_days_go_that_are_too_old_and_the_rest_is_whole(self, log: InMemoryDriver) -> None:
        self.trim(log, keep_days=2)
        found = verdict(log)
        assert found.findings == []
        assert (found.first, found.segments) == (6, 3)

    def test_nothing_is_written_where_nothing_goes(self, log: InMemoryDriver) -> None:
        before = lines(log)
        self.trim(log)
        assert lines(log) == before

    @pytest.mark.parametrize("maxsize", [10**9, 1])
    def test_the_directory_of_an_old_day_without_segments_is_no_reason_to_write(
        self, filesystem: FilesystemDriver, tmp_path: Path, maxsize: int
    ) -> None:
        writer = Writer(filesystem)
        writer.add([delivered(1)], "1")
        (tmp_path / "registry/audit/20200101").mkdir()
        before = lines(filesystem)
        self.trim(filesystem, maxsize=maxsize)
        assert lines(filesystem) == before

    def test_the_last_segment_stays_whatever_its_age_and_size(self, log: InMemoryDriver) -> None:
        self.trim(log, keep_days=0.001, maxsize=1)
        found = verdict(log)
        assert found.findings == []
        assert found.first == 11

    def test_the_oldest_segments_go_where_there_is_too_much(self, driver: InMemoryDriver) -> None:
        writer = Writer(driver)
        for number in range(20):
            batch = [delivered(1000 * number + each, note="x" * 500) for each in range(500)]
            writer.add(batch, str(number))
        retention = Retention(driver, Audit(enabled=True, maxsize=4 * 1024 * 1024))
        for number in range(20, 40):
            writer.add([delivered(1000 * number + each, note="x" * 500) for each in range(500)], str(number))
            retention.trim(writer, self.NOW_NS)
            sizes = [Segments(driver).size(each) for each in Segments(driver).all()]
            assert sum(sizes) < 4 * 1024 * 1024 + 10_000
            assert len(sizes) >= 3
        writer.store_head()
        assert findings(driver) == []

    def test_what_a_crash_has_left_of_what_was_to_go_is_no_finding(self, log: InMemoryDriver) -> None:
        second = content(log, 1)
        self.trim(log, keep_days=1)
        assert verdict(log).first == 11
        rewrite(log, 1, second)
        assert findings(log) == []

    def test_days_that_are_removed_by_somebody_else_are_found_after_it(self, log: InMemoryDriver) -> None:
        self.trim(log, keep_days=2)
        log.delete(paths.audit_day(DAYS[1]))
        assert "lines 6 to 10 are missing at the beginning" in [str(each) for each in findings(log)]
