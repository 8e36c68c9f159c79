from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import UnavailableError
from drivers.delegating import DelegatingDriver
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from drivers.log import LATE_SECONDS, MOST_BYTES
from drivers.object_log import ObjectLog
from tests.drivers.allocation import peak_of
from tests.drivers.failing import FailingDriver, PowerLossError
from tests.drivers.interleaving import InterleavingDriver
from tests.drivers.log_conformance import HOUR_SECONDS, LOG, Clock, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SECOND = 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class _LateStore(DelegatingDriver):
    """A store that lists an object only so many seconds after it was put, as where the put takes that long."""

    def __init__(self) -> None:
        super().__init__(InMemoryDriver())
        self.now_ns = 1_800_000_000 * SECOND
        self._visible_ns: dict[str, int] = {}

    def put_late(self, content: bytes, seconds: float) -> None:
        ObjectLog(self, LOG).append(content)
        for path in self._everything():
            self._visible_ns.setdefault(path, self.now_ns + int(seconds * SECOND))

    def _everything(self) -> Iterator[str]:
        for hour in self._inner.list(LOG, limit=100):
            for name in self._inner.list(f"{LOG}/{hour}", limit=1000):
                yield f"{LOG}/{hour}/{name}"

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        found = self._inner.list(path, after=after, limit=1000)
        return [name for name in found if self._visible_ns.get(f"{path}/{name}", 0) <= self.now_ns][:limit]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.001, 0.5, 3.0, 30.0, 700.0, 5000.0]),
            st.sampled_from(["read", "read", "append"]),
            st.sampled_from([0.0, 0.4, 5.0, LATE_SECONDS - 0.001]),
            st.sampled_from([0.0, 0.0, -24.0, 24.0, -440.0, 440.0]),
        ),
        max_size=40,
    ),
    limit=st.sampled_from([1, 2, 100]),
    wait=st.sampled_from([-5.0, 0.0, 2.0]),
    reader_ahead=st.sampled_from([0.0, -24.0, 24.0, 440.0, -440.0]),
)
def test_a_record_that_becomes_visible_late_is_given_once_by_whatever_clocks(
    steps: list[tuple[float, str, float, float]], limit: int, wait: float, reader_ahead: float
) -> None:
    store, position, ahead = _LateStore(), "", 0.0
    appended: list[bytes] = []
    found: list[bytes] = []

    def read() -> None:
        nonlocal position
        page = ObjectLog(store, LOG).after(position, before_ns=time.time_ns() - int(wait * SECOND), limit=limit)
        position = page.position
        found.extend(record.content for record in page.records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: store.now_ns + int(ahead * SECOND))
        for seconds, step, late, writer_ahead in steps:
            store.now_ns += int(seconds * SECOND) + 1
            ahead = writer_ahead if step == "append" else reader_ahead
            if step == "append":
                appended.append(b"%d" % len(appended))
                store.put_late(appended[-1], late)
            else:
                read()
        store.now_ns += 960 * SECOND
        ahead = reader_ahead
        for _ in range(len(appended) + 1):
            read()

    assert Counter(found) == Counter(appended)


@pytest.mark.parametrize("seconds", [30, 61, 600, 880])
@pytest.mark.parametrize("many", [0, 600], ids=["few", "many"])
def test_a_record_of_a_host_whose_clock_is_behind_is_given(clock: Clock, seconds: int, many: int) -> None:
    log = ObjectLog(InMemoryDriver(), LOG)
    for _ in range(many + 1):
        log.append(b"ours")
    found, position = [], ""
    while (page := log.after(position, before_ns=clock.now(), limit=50)).records:
        found += page.records
        position = page.position
    with clock.set_by(-seconds):
        log.append(b"theirs")

    for _ in range(40):
        page = log.after(position, before_ns=clock.now(), limit=50)
        found += page.records
        position = page.position
        clock.advance(1)

    assert Counter(record.content for record in found) == {b"ours": many + 1, b"theirs": 1}


@pytest.mark.parametrize("ahead", [1000, HOUR_SECONDS, 50 * HOUR_SECONDS])
def test_a_record_is_given_though_the_reader_was_away_for_a_while_after_its_clock_was_set_back(
    clock: Clock, ahead: int
) -> None:
    log = ObjectLog(InMemoryDriver(), LOG)
    with clock.set_by(ahead):
        log.append(b"first")
        position = log.after("", before_ns=clock.now(), limit=9).position
        position = log.after(position, before_ns=clock.now(), limit=9).position
    log.append(b"second")
    clock.advance(ahead / 2)

    assert b"second" in [record.content for record in read_all(log, position)]


def test_records_of_one_millisecond_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    log, now_ns = ObjectLog(InMemoryDriver(), LOG), 1_800_000_000 * SECOND
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0" * 2 * size)
    for number in range(1000):
        log.append(b"%d" % number)
        now_ns += 1000

    assert [record.content for record in read_all(log)] == [b"%d" % number for number in range(1000)]


def test_a_busy_log_is_not_listed_from_the_beginning_of_the_window_each_time(clock: Clock) -> None:
    driver = InMemoryDriver()
    log = ObjectLog(driver, LOG)
    for _ in range(3000):
        log.append(b"record")
    position = ""
    while (page := log.after(position, before_ns=clock.now(), limit=1000)).records:
        position = page.position
    assert len(position) < 3000 * 16 + 60
    clock.advance(120)
    listed = 0

    class Store(DelegatingDriver):
        def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
            nonlocal listed
            found = super().list(path, after=after, limit=limit)
            listed += len(found)
            return found

    busy = ObjectLog(Store(driver), LOG)
    for _ in range(10):
        position = busy.after(position, before_ns=clock.now(), limit=100).position

    assert listed == 3000  # once in half a minute


def test_a_record_that_is_listed_before_it_can_be_had_is_given_once_it_can() -> None:
    class Store(DelegatingDriver):
        can_be_had = False

        def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
            for path in paths:
                yield self.get(path, limit=limit) if self.can_be_had or path.endswith(first) else None

    store = Store(InMemoryDriver())
    log = ObjectLog(store, LOG)
    times = [log.append(b"%d" % number) for number in range(3)]
    [first, *_] = store.list(f"{LOG}/{times[0] // (HOUR_SECONDS * SECOND):07}", limit=9)

    page = log.after("", before_ns=time.time_ns(), limit=9)
    assert [record.content for record in page.records] == [b"0"]
    assert log.after(page.position, before_ns=time.time_ns(), limit=9).records == []
    store.can_be_had = True
    assert [record.content for record in read_all(log, page.position)] == [b"1", b"2"]


class _SlowStore(DelegatingDriver):
    """A store whose next puts take so many seconds."""

    def __init__(self, patch: pytest.MonkeyPatch, *seconds: float) -> None:
        super().__init__(InMemoryDriver())
        self._clock = Clock(patch)
        self._seconds = list(seconds)
        self._monotonic = time.monotonic
        self._waited = 0.0
        patch.setattr(time, "monotonic", lambda: self._monotonic() + self._waited)

    def put(self, path: str, content: bytes) -> None:
        super().put(path, content)
        seconds = self._seconds.pop(0) if self._seconds else 0.0
        self._waited += seconds
        self._clock.advance(seconds)


@pytest.mark.parametrize(("seconds", "puts"), [((9.0,), 1), ((11.0,), 2), ((11.0, 60.0, 1.0), 3)])
def test_a_record_whose_put_took_too_long_is_put_again(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, ...], puts: int
) -> None:
    log = ObjectLog(_SlowStore(monkeypatch, *seconds), LOG)

    time_ns = log.append(b"slow")

    found = read_all(log)
    assert [record.content for record in found] == [b"slow"] * puts
    assert found[-1].time_ns == time_ns


def test_a_store_that_takes_too_long_each_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="inmemory: append /docker/log: each put takes 10 s or more"):
        ObjectLog(_SlowStore(monkeypatch, 11, 11, 11), LOG).append(b"slow")


def test_a_record_is_put_again_if_the_clock_was_set_back_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, steps = Clock(monkeypatch), [-300.0]

    class Store(DelegatingDriver):
        def put(self, path: str, content: bytes) -> None:
            super().put(path, content)
            clock.advance(steps.pop() if steps else 0)

    log = ObjectLog(Store(InMemoryDriver()), LOG)

    time_ns = log.append(b"record")

    assert time_ns <= time.time_ns()
    assert [record.content for record in read_all(log)] == [b"record"]


def test_to_look_in_vain_costs_one_listing() -> None:
    counting = FailingDriver(InMemoryDriver(), fail_at=0)
    log = ObjectLog(counting, LOG)
    at_noon = 1_800_000_000 // 3600 * 3600 * SECOND + 1800 * SECOND
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: at_noon)
        log.append(b"record")
        position = log.after("", before_ns=at_noon + 1, limit=100).position
        patch.setattr(time, "time_ns", lambda: at_noon + 600 * SECOND)
        position = log.after(position, before_ns=time.time_ns(), limit=100).position
        counting.calls = 0

        for _ in range(10):
            page = log.after(position, before_ns=time.time_ns(), limit=100)
            position = page.position

    assert counting.calls == 10
    assert len(position) < 60


def test_a_record_appended_at_any_moment_of_a_reading_is_given_once() -> None:
    for moment in range(1, 12):
        inner = InMemoryDriver()
        for number in range(4):
            ObjectLog(inner, LOG).append(b"%d" % number)
        driver = InterleavingDriver(inner, moment, lambda: ObjectLog(inner, LOG).append(b"late"))  # noqa: B023  at once
        log, position, found = ObjectLog(driver, LOG), "", []

        for _ in range(8):
            page = log.after(position, before_ns=time.time_ns(), limit=2)
            position = page.position
            found += page.records

        assert sorted(record.content for record in found) == [b"0", b"1", b"2", b"3", b"late"]


def test_what_is_trimmed_at_any_moment_of_a_reading_is_passed_over(clock: Clock) -> None:
    for moment in range(1, 9):
        inner = InMemoryDriver()
        with clock.set_by(-5 * HOUR_SECONDS):
            ObjectLog(inner, LOG).append(b"old")
        ObjectLog(inner, LOG).append(b"young")
        driver = InterleavingDriver(
            inner,
            moment,
            lambda: ObjectLog(inner, LOG).trim(clock.now() - 2 * HOUR_SECONDS * SECOND),  # noqa: B023  at once
        )

        found = [record.content for record in read_all(ObjectLog(driver, LOG))]

        assert found in ([b"young"], [b"old", b"young"])


def test_an_append_that_fails_is_told_and_leaves_whole_records_only() -> None:
    inner = InMemoryDriver()
    ObjectLog(inner, LOG).append(b"first")

    with pytest.raises(PowerLossError):
        ObjectLog(FailingDriver(inner, fail_at=1), LOG).append(b"second")

    assert [record.content for record in read_all(ObjectLog(inner, LOG))] == [b"first"]


def test_an_object_that_is_too_large_is_passed_over() -> None:
    driver = InMemoryDriver()
    log = ObjectLog(driver, LOG)
    time_ns = log.append(b"first")
    driver.put(f"{LOG}/{time_ns // (HOUR_SECONDS * SECOND):07}/{time_ns + 1}-{0:016x}", b"x" * (MOST_BYTES + 1))
    log.append(b"last")

    assert [record.content for record in read_all(log)] == [b"first", b"last"]


def test_hours_that_are_over_are_trimmed_however_many_there_are(clock: Clock) -> None:
    driver = InMemoryDriver()
    log = ObjectLog(driver, LOG)
    for hours in range(1100, 0, -1):
        with clock.set_by(-hours * HOUR_SECONDS):
            log.append(b"%d" % hours)

    log.trim(clock.now() - 2 * HOUR_SECONDS * SECOND)

    assert [record.content for record in read_all(log)][-2:] == [b"2", b"1"]
    assert log.count("") in (2, 3)


def test_a_long_log_is_read_at_constant_memory(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of them take a disk seconds
    driver = FilesystemDriver(str(tmp_path))
    log = ObjectLog(driver, LOG)

    def read() -> int:
        found, position = 0, ""
        while (page := log.after(position, before_ns=time.time_ns(), limit=50)).records:
            found += len(page.records)
            position = page.position
        return found + log.count("")

    def append(hours: range) -> None:
        for hour in hours:
            with clock.set_by(-hour * HOUR_SECONDS):
                for _ in range(100):
                    log.append(b"x" * 1000)

    append(range(3, 6))
    assert read() == 600
    few = peak_of(read)
    append(range(6, 24))

    assert peak_of(read) < few + 200_000
