"""The suite that the logs of every driver pass: a test for each sentence of drivers/log.py that can be tested.

It is a part of tests/drivers/conformance.py, whose fixtures it uses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.base import InvalidPathError, PathNotFoundError
from drivers.log import MOST_BYTES, Log, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from tests.drivers.conformance import Medium

LOG = "/docker/log"
HOUR_SECONDS = 3600
_LARGE = 5 * 1024 * 1024


class Clock:
    """The clock by which logs tell the time, which a test can set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._real = time.time_ns
        self._shift_ns = 0
        patch.setattr(time, "time_ns", self.now)

    def now(self) -> int:
        return self._real() + self._shift_ns

    def advance(self, seconds: float) -> None:
        self._shift_ns += int(seconds * 1e9)

    @contextmanager
    def set_by(self, seconds: float) -> Iterator[None]:
        """Let the clock show so many seconds more in the block, or fewer."""
        before = self._shift_ns
        self._shift_ns += int(seconds * 1e9)
        try:
            yield
        finally:
            self._shift_ns = before


class LogConformance:
    """Subclass it with the fixtures `driver`, `colleague` and `medium`."""

    log_appends: ClassVar[int] = 25
    """How many records each of a few writers at once appends."""

    log_examples: ClassVar[int] = 30
    """How many random histories of a log are compared with a list."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        return Clock(monkeypatch)

    def test_a_log_without_records_gives_none(self, driver: StorageDriver, medium: Medium) -> None:
        log = driver.log(LOG)

        page = log.after("", before_ns=time.time_ns(), limit=10)

        assert page.records == []
        assert log.after(page.position, before_ns=time.time_ns(), limit=10).records == []
        assert log.count("") == log.count(page.position) == 0
        log.trim(time.time_ns() - 2 * HOUR_SECONDS * 10**9)
        assert medium.everything() == set()

    def test_a_log_needs_a_valid_path(self, driver: StorageDriver) -> None:
        for path in ("log", "/a/../log", "/.log", ""):
            with pytest.raises(InvalidPathError):
                driver.log(path).append(b"record")

    @pytest.mark.parametrize("content", [b"", b"{}", b" 12 ", b"\0\r\t\xff", b"x" * 70_000], ids=len)
    def test_a_record_is_given_as_it_was_appended(
        self, driver: StorageDriver, colleague: StorageDriver, content: bytes
    ) -> None:
        began = time.time_ns()
        time_ns = driver.log(LOG).append(content)
        ended = time.time_ns()

        assert began <= time_ns <= ended
        assert read_all(colleague.log(LOG)) == [Record(time_ns, content)]

    @pytest.mark.parametrize("content", [b"two\nlines", b"\n", b"x" * (MOST_BYTES + 1)], ids=len)
    def test_what_is_not_a_record_is_not_appended(self, driver: StorageDriver, medium: Medium, content: bytes) -> None:
        with pytest.raises(ValueError, match="one line"):
            driver.log(LOG).append(content)
        assert medium.everything() == set()

    def test_records_of_several_writers_are_given_in_the_order_of_their_times(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        logs = [driver.log(LOG), colleague.log(LOG), driver.log(LOG)]

        appended = [Record(logs[number % 3].append(b"%d" % number), b"%d" % number) for number in range(12)]

        assert read_all(colleague.log(LOG)) == appended
        assert appended == sorted(appended)
        assert len({record.time_ns for record in appended}) == len(appended)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_a_position_leads_on_in_another_process(
        self, driver: StorageDriver, colleague: StorageDriver, limit: int
    ) -> None:
        log = driver.log(LOG)
        for number in range(7):
            log.append(b"%d" % number)

        found: list[Record] = []
        position = ""
        for number in range(8):
            reader = (driver, colleague)[number % 2].log(LOG)
            assert reader.count(position) == 7 - len(found)
            page = reader.after(position, before_ns=time.time_ns(), limit=limit)
            assert len(page.records) <= limit
            assert page.position.isascii()
            found += page.records
            position = page.position

        assert [record.content for record in found] == [b"%d" % number for number in range(7)]
        log.append(b"later")
        assert [record.content for record in read_all(log, position)] == [b"later"]

    def test_only_records_before_a_time_are_given_and_the_others_later(self, driver: StorageDriver) -> None:
        log, other = driver.log(LOG), driver.log(LOG)
        times = [each.append(b"%d" % number) for number, each in enumerate((log, other, log, other))]

        page = log.after("", before_ns=times[2], limit=10)
        assert [record.time_ns for record in page.records] == times[:2]
        assert log.count(page.position) == 2
        assert log.after(page.position, before_ns=times[2], limit=10).records == []
        assert log.after(page.position, before_ns=times[0], limit=10).records == []
        assert [record.time_ns for record in read_all(log, page.position)] == times[2:]

    def test_a_page_has_at_most_so_many_bytes_or_one_record(self, driver: StorageDriver) -> None:
        log = driver.log(LOG)
        sizes = [_LARGE, _LARGE, 10, MOST_BYTES, 10]
        for number, size in enumerate(sizes):
            log.append(b"%d" % number * size)

        pages, position = [], ""
        while (page := log.after(position, before_ns=time.time_ns(), limit=100)).records:
            pages.append([len(record.content) for record in page.records])
            position = page.position

        assert pages == [[_LARGE], [_LARGE, 10], [MOST_BYTES], [10]]

    def test_nothing_is_lost_where_many_append_and_one_reads(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        shared = driver.log(LOG)
        writers = [shared, shared, shared, colleague.log(LOG), driver.log(LOG)]
        reader = colleague.log(LOG)
        over = threading.Event()

        def append(writer: int) -> None:
            for number in range(self.log_appends):
                writers[writer].append(b"%d %d" % (writer, number))

        def read() -> list[Record]:
            found, position = [], ""
            while True:
                last = over.is_set()
                page = reader.after(position, before_ns=time.time_ns(), limit=7)
                found += page.records
                position = page.position
                if last and not page.records:
                    return found

        with ThreadPoolExecutor(len(writers) + 1) as pool:
            reading = pool.submit(read)
            try:
                list(pool.map(append, range(len(writers))))
            finally:
                over.set()
            found = reading.result()

        expected = Counter(
            b"%d %d" % (writer, number) for writer in range(len(writers)) for number in range(self.log_appends)
        )
        assert Counter(record.content for record in found) == expected
        for writer in range(len(writers)):
            own = [record for record in found if record.content.startswith(b"%d " % writer)]
            assert all(before.time_ns < after.time_ns for before, after in pairwise(own))
            assert [record.content for record in own] == [b"%d %d" % (writer, n) for n in range(self.log_appends)]

    def test_what_other_programs_left_there_is_passed_over(self, driver: StorageDriver, medium: Medium) -> None:
        log = driver.log(LOG)
        time_ns = log.append(b"record")
        for name in ("README", "0000000", "0490000/README", f"{time_ns}-x", f"{time_ns // (3600 * 10**9):07}/x"):
            medium.write(f"{LOG}/{name}", b"no record\n")

        assert [record.content for record in read_all(log)] == [b"record"]
        assert log.count("") == 1
        log.trim(time.time_ns() - 2 * HOUR_SECONDS * 10**9)
        assert [record.content for record in read_all(log)] == [b"record"]

    @pytest.mark.parametrize(
        "position", ["{}", "[]", "7", "not JSON", '{"at":"x","given":[]}', '{"0123-ab":5}', '{"at":1,"given":[1,"y"]}']
    )
    def test_a_text_that_is_no_position_of_this_log_leads_to_the_beginning(
        self, driver: StorageDriver, position: str
    ) -> None:
        log = driver.log(LOG)
        log.append(b"record")

        assert [record.content for record in read_all(log, position)] == [b"record"]
        assert log.count(position) == 1

    def test_a_deleted_log_begins_again(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        log = driver.log(LOG)
        log.append(b"deleted")
        page = log.after("", before_ns=time.time_ns(), limit=10)
        colleague.delete(LOG)

        assert log.count("") == 0
        assert read_all(log) == read_all(log, page.position) == []
        log.append(b"new")
        assert [record.content for record in read_all(log, page.position)] == [b"new"]
        assert [record.content for record in read_all(colleague.log(LOG))] == [b"new"]

    def test_trim_deletes_what_is_old_and_nothing_else(self, driver: StorageDriver, clock: Clock) -> None:
        old = driver.log(LOG)
        for hours in (30, 9, 5):
            with clock.set_by(-hours * HOUR_SECONDS):
                old.append(b"%d" % hours)
                old = driver.log(LOG)
        young = driver.log(LOG)
        young.append(b"0")
        middle = read_all(young)[:2]

        young.trim(clock.now() - 7 * HOUR_SECONDS * 10**9)

        assert [record.content for record in read_all(driver.log(LOG))] == [b"5", b"0"]
        assert young.count("") == 2
        assert [record.content for record in middle] == [b"30", b"9"]
        young.trim(clock.now() - 3 * HOUR_SECONDS * 10**9)
        young.append(b"1")
        assert [record.content for record in read_all(driver.log(LOG))] == [b"0", b"1"]

    def test_a_record_of_a_time_to_come_is_told_of_once(
        self, driver: StorageDriver, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = driver.log(LOG)
        driver.log(LOG).append(b"now")
        with caplog.at_level(logging.WARNING):
            log.trim(clock.now() - 2 * HOUR_SECONDS * 10**9)
            assert not caplog.records
            with clock.set_by(26 * HOUR_SECONDS):
                driver.log(LOG).append(b"a day ahead")
            for _ in range(3):
                log.trim(clock.now() - 2 * HOUR_SECONDS * 10**9)

        (record,) = caplog.records
        assert "was made by a clock that is " in record.getMessage()
        assert [record.content for record in read_all(log)] == [b"now"]

    def test_a_position_of_long_ago_leads_on(self, driver: StorageDriver, clock: Clock) -> None:
        log = driver.log(LOG)
        with clock.set_by(-50 * HOUR_SECONDS):
            driver.log(LOG).append(b"first")
            position = log.after("", before_ns=clock.now(), limit=10).position
        with clock.set_by(-30 * HOUR_SECONDS):
            driver.log(LOG).append(b"second")
        driver.log(LOG).append(b"third")

        assert log.count(position) == 2
        assert [record.content for record in read_all(log, position)] == [b"second", b"third"]

    @pytest.mark.parametrize("seconds", [1, 100, 2 * HOUR_SECONDS])
    def test_a_clock_that_is_set_back_loses_nothing(self, driver: StorageDriver, clock: Clock, seconds: int) -> None:
        log = driver.log(LOG)
        found = []
        with clock.set_by(seconds):
            log.append(b"before")
            page = log.after("", before_ns=clock.now(), limit=10)
            found += page.records

        log.append(b"after")
        driver.log(LOG).append(b"of another writer")

        found += read_all(log, page.position, clock)
        assert {record.content for record in found} == {b"before", b"after", b"of another writer"}

    def test_any_history_gives_each_record_once_and_again_only_from_an_earlier_position(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        @settings(
            max_examples=self.log_examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(st.sampled_from(_STEPS), max_size=25))
        def history(steps: list[str]) -> None:
            model = _History(driver, colleague)
            for step in steps:
                getattr(model, step)()
            model.read_on()

        history()


_STEPS = ["append", "append_elsewhere", "begin_writer", "read_one", "read_some", "save", "restore", "count"]


class _History:
    """A log and, beside it, the list of what was appended."""

    def __init__(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        with suppress(PathNotFoundError):
            driver.delete(LOG)
        self._drivers = (driver, colleague)
        self._log = driver.log(LOG)
        self._elsewhere = colleague.log(LOG)
        self._position = self._saved = ""
        self._appended: list[Record] = []
        self._at = self._saved_at = 0

    def append(self) -> None:
        content = b"%d" % len(self._appended)
        self._appended.append(Record(self._log.append(content), content))

    def append_elsewhere(self) -> None:
        self._log, self._elsewhere = self._elsewhere, self._log
        self.append()

    def begin_writer(self) -> None:
        self._elsewhere = self._drivers[len(self._appended) % 2].log(LOG)

    def read_one(self) -> None:
        self._read(1)

    def read_some(self) -> None:
        self._read(3)

    def read_on(self) -> None:
        while self._at < len(self._appended):
            self._read(10)
        self._read(10)

    def _read(self, limit: int) -> None:
        page = self._log.after(self._position, before_ns=time.time_ns(), limit=limit)
        assert page.records == self._appended[self._at : self._at + limit]
        self._at += len(page.records)
        self._position = page.position

    def save(self) -> None:
        self._saved, self._saved_at = self._position, self._at

    def restore(self) -> None:
        self._position, self._at = self._saved, self._saved_at

    def count(self) -> None:
        assert self._elsewhere.count(self._position) == len(self._appended) - self._at


def read_all(log: Log, position: str = "", clock: Clock | None = None) -> list[Record]:
    """Return all records behind `position`, a few at a time; with a `clock`, also those of its future."""
    found = []
    before_ns = time.time_ns() + (3 * HOUR_SECONDS * 10**9 if clock else 0)
    while (page := log.after(position, before_ns=before_ns, limit=5)).records:
        found += page.records
        position = page.position
    return found
