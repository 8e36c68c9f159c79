from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NoSpaceError, UnavailableError
from drivers.filesystem.driver import FilesystemDriver
from tests.drivers.allocation import peak_of
from tests.drivers.filesystem.test_driver import PowerWatch, driver, medium
from tests.drivers.log_conformance import HOUR_SECONDS, LOG, Clock, read_all
from tests.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drivers.log import Record
    from tests.drivers.filesystem.test_driver import Directory

__all__ = ("driver", "medium")

SECOND = 10**9
TORN = b"1800000000000000000 0123"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def files(medium: Directory) -> list[Path]:
    """Return the files of the log, the oldest first."""
    return sorted(medium.file(LOG).iterdir())


def contents(records: Iterable[Record]) -> list[bytes]:
    return [record.content for record in records]


# Files


def test_a_log_has_one_file_for_all_that_one_process_appends(driver: FilesystemDriver, medium: Directory) -> None:
    log = driver.log(LOG)
    for number in range(100):
        log.append(b"%d" % number)
    driver.put(f"{LOG}-beside", b"")

    [file] = files(medium)
    assert file.read_bytes().count(b"\n") == 100
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(medium.file(f"{LOG}-beside").stat().st_mode)


def test_a_new_file_begins_after_8_mebibytes_or_an_hour(
    driver: FilesystemDriver, medium: Directory, clock: Clock
) -> None:
    log = driver.log(LOG)
    for _ in range(9):
        log.append(b"x" * 1024 * 1024)
    assert len(files(medium)) == 2

    clock.advance(HOUR_SECONDS - 10)
    log.append(b"in the hour")
    assert len(files(medium)) == 2
    clock.advance(11)
    log.append(b"later")
    assert len(files(medium)) == 3
    assert contents(read_all(log, clock=clock))[-2:] == [b"in the hour", b"later"]


def test_a_clock_that_is_set_back_begins_a_new_file(driver: FilesystemDriver, medium: Directory, clock: Clock) -> None:
    log = driver.log(LOG)
    times = [log.append(b"first")]
    clock.advance(-0.01)
    times.append(log.append(b"second"))
    assert len(files(medium)) == 1
    clock.advance(-10)
    times.append(log.append(b"third"))

    assert len(files(medium)) == 2
    assert times[2] < times[0] < times[1]
    assert contents(read_all(log, clock=clock)) == [b"third", b"first", b"second"]


def test_a_forked_process_appends_to_a_file_of_its_own(driver: FilesystemDriver, medium: Directory) -> None:
    log = driver.log(LOG)
    log.append(b"parent")
    child = os.fork()
    if not child:
        try:
            log.append(b"child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    log.append(b"parent again")

    assert len(files(medium)) == 2
    assert contents(read_all(log)) == [b"parent", b"child", b"parent again"]


def test_no_other_program_gets_the_file(driver: FilesystemDriver, medium: Directory) -> None:
    log = driver.log(LOG)
    log.append(b"record")

    listed = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True, close_fds=False)

    assert files(medium)[0].name not in listed.stdout


@pytest.mark.parametrize(
    "lose",
    [
        lambda file: file.unlink(),
        lambda file: shutil.rmtree(file.parent),
        lambda file: file.rename(file.with_name("elsewhere")),
        lambda file: file.parent.parent.rename(file.parents[2] / "elsewhere"),
        lambda file: (file.unlink(), file.write_bytes(b"")),
    ],
    ids=["deleted", "with its directory", "renamed", "with the directory above", "another one"],
)
def test_a_record_is_found_though_the_file_is_gone(
    driver: FilesystemDriver, medium: Directory, lose: Callable[[Path], object]
) -> None:
    log = driver.log(LOG)
    log.append(b"lost")
    position = log.after("", before_ns=time.time_ns(), limit=9).position
    lose(files(medium)[0])

    log.append(b"found")

    assert contents(read_all(log)) == contents(read_all(log, position)) == [b"found"]


def test_an_append_gives_up_where_files_go_as_fast_as_they_come(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def write_and_lose(fd: int, content: bytes) -> int:
        shutil.rmtree(medium.file(LOG))
        return write(fd, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_and_lose)
        with pytest.raises(UnavailableError, match="append /docker/log: its files are deleted, or take"):
            driver.log(LOG).append(b"record")


def test_a_record_whose_process_stood_still_before_it_was_written_is_written_again(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    log, reader = driver.log(LOG), driver.log(LOG)
    log.append(b"first")
    position, write, pauses = "", os.write, [3 * HOUR_SECONDS]

    def stand_still(fd: int, content: bytes) -> int:
        nonlocal position
        if pauses:
            clock.advance(pauses.pop())
            position = reader.after("", before_ns=clock.now(), limit=9).position
        return write(fd, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", stand_still)
        time_ns = log.append(b"second")

    assert clock.now() - time_ns < HOUR_SECONDS * SECOND
    found = read_all(reader, position)
    assert {*contents(found)} == {b"second"}  # perhaps twice
    assert found[-1].time_ns == time_ns


def test_nothing_is_appended_where_the_file_system_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FilesystemDriver(str(tmp_path))
    log = driver.log(LOG)
    log.append(b"record")
    shutil.rmtree(tmp_path / "docker")

    def check() -> None:
        raise UnavailableError("filesystem: nothing is mounted at /data any more")

    monkeypatch.setattr(log, "_check", check)
    with pytest.raises(UnavailableError, match="nothing is mounted"):
        log.append(b"record")
    assert list(tmp_path.iterdir()) == []


# What cannot be read


def test_a_torn_line_is_given_once_it_is_complete(driver: FilesystemDriver, medium: Directory) -> None:
    log = driver.log(LOG)
    log.append(b"first")
    log.append(b"second")
    [file] = files(medium)
    whole = file.read_bytes()
    for size in range(len(whole) // 2, len(whole)):
        file.write_bytes(whole[:size])
        page = log.after("", before_ns=time.time_ns(), limit=9)
        assert contents(page.records) == [b"first"]

        file.write_bytes(whole)
        assert contents(read_all(log, page.position)) == [b"second"]


@pytest.mark.parametrize("garbage", [TORN, b"\0" * 5000, b"\n", b"garbage\n", TORN + b"\n"])
def test_nothing_is_appended_behind_what_somebody_else_wrote(
    driver: FilesystemDriver, medium: Directory, garbage: bytes
) -> None:
    log = driver.log(LOG)
    log.append(b"first")
    with files(medium)[0].open("ab") as file:
        file.write(garbage)

    log.append(b"second")
    log.append(b"third")

    assert contents(read_all(log)) == [b"first", b"second", b"third"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 5000 + b"\n",
        b"\n\n",
        b"x" * 40_000 + b"\n",
        b"TIME 00000000 no such sum\n",
        b"TIME 00000000 " + b"y" * 20_000_000 + b"\n",
        b"TIME 00000000 no such sum\n\xff\n7\n",
        b"1234567890123456789 01234567 of another time\n",
        b"9876543210123456789 01234567 of another time\n",
    ],
    ids=["zeros", "empty", "long", "sum", "longest", "several", "past", "future"],
)
def test_what_cannot_be_read_in_an_old_file_is_passed_over_with_a_warning(
    driver: FilesystemDriver, medium: Directory, clock: Clock, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    log = driver.log(LOG)
    with clock.set_by(-3 * HOUR_SECONDS):
        log.append(b"first")
        log.append(b"second")
    [file] = files(medium)
    first, second = file.read_bytes().splitlines(keepends=True)
    garbage = garbage.replace(b"TIME", first[:19])
    file.write_bytes(garbage + first + garbage + second + garbage + TORN)
    driver.log(LOG).append(b"third")

    with caplog.at_level(logging.WARNING):
        page = log.after("", before_ns=time.time_ns(), limit=9)

    assert contents(page.records) == [b"first", b"second", b"third"]
    assert [record.getMessage() for record in caplog.records] == [
        f"filesystem: what cannot be read in {file} is passed over"
    ]
    caplog.clear()
    assert log.after(page.position, before_ns=time.time_ns(), limit=9).records == []
    assert not caplog.records


def test_what_is_not_whole_in_a_new_file_is_waited_for(driver: FilesystemDriver, medium: Directory) -> None:
    log = driver.log(LOG)
    for number in range(3):
        log.append(b"%d" % number * 5000)
    [file] = files(medium)
    whole = file.read_bytes()
    file.write_bytes(whole[:6000] + bytes(1000) + whole[7000:])  # as another host may see it for a moment

    page = log.after("", before_ns=time.time_ns(), limit=9)
    assert contents(page.records) == [b"0" * 5000]
    file.write_bytes(whole)
    assert contents(read_all(log, page.position)) == [b"1" * 5000, b"2" * 5000]


@pytest.mark.parametrize("seconds", [0, 30, 90])
def test_what_is_damaged_in_a_new_file_is_passed_over_after_a_minute(
    driver: FilesystemDriver, medium: Directory, clock: Clock, caplog: pytest.LogCaptureFixture, seconds: int
) -> None:
    log = driver.log(LOG)
    for number in range(5):
        log.append(b"%d" % number * 1000)
    [file] = files(medium)
    whole = file.read_bytes()
    file.write_bytes(whole[:1500] + b"damage" + whole[1506:2600] + b"damage" + whole[2606:])
    clock.advance(seconds)
    log.append(b"5")

    with caplog.at_level(logging.WARNING):
        found = contents(read_all(log, clock=clock))

    if seconds == 90:
        assert found == [b"0" * 1000, b"3" * 1000, b"4" * 1000, b"5"]
        assert len(caplog.records) == 1
    else:
        assert found == [b"0" * 1000]
        assert not caplog.records


def test_files_that_shrink_or_go_while_they_are_read_are_passed_over(
    driver: FilesystemDriver, medium: Directory
) -> None:
    logs = [driver.log(LOG) for _ in range(4)]
    for log in logs * 3:
        log.append(b"x")
    page = logs[0].after("", before_ns=time.time_ns(), limit=5)
    first, second, third, _ = files(medium)
    first.unlink()
    second.write_bytes(b"")
    third.unlink()
    third.mkdir()

    assert len(read_all(logs[0], page.position)) == 2
    assert logs[0].count(page.position) == 2


# Positions


def test_a_position_says_little_of_files_that_are_old_and_nothing_of_those_that_are_gone(
    driver: FilesystemDriver, clock: Clock
) -> None:
    for hours in range(50, 0, -1):
        with clock.set_by(-hours * HOUR_SECONDS):
            driver.log(LOG).append(b"x" * 100)
    log = driver.log(LOG)
    found, position = 0, ""
    while (page := log.after(position, before_ns=clock.now(), limit=7)).records:
        found += len(page.records)
        position = page.position
        assert len(position) < 100 + 25 * found
    assert found == 50

    log.trim(clock.now() - 10 * HOUR_SECONDS * SECOND)
    clock.advance(3 * HOUR_SECONDS)
    position = log.after(position, before_ns=clock.now(), limit=7).position
    assert len(position) < 100 + 25 * 11
    assert log.count(position) == 0
    driver.log(LOG).append(b"new")
    assert contents(read_all(log, position)) == [b"new"]


def test_only_new_files_are_looked_at_while_nothing_happens(
    driver: FilesystemDriver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in range(50, 0, -1):
        with clock.set_by(-hours * HOUR_SECONDS):
            driver.log(LOG).append(b"x")
    log = driver.log(LOG)
    page = log.after("", before_ns=clock.now(), limit=100)
    looked_at: list[str] = []
    look = os.stat

    def stat_(path: str) -> os.stat_result:
        looked_at.append(path)
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat_)
        patch.setattr(os, "open", None)
        log.after(page.position, before_ns=clock.now(), limit=100)

    assert 1 <= len(looked_at) <= 2


def test_to_look_in_vain_neither_reads_nor_writes_a_position(
    driver: FilesystemDriver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        driver.log(LOG).append(b"x")
    log = driver.log(LOG)
    position = log.after("", before_ns=clock.now(), limit=100).position
    position = log.after(position, before_ns=clock.now(), limit=100).position

    with monkeypatch.context() as patch:
        patch.setattr(json, "loads", None)
        patch.setattr(json, "dumps", None)
        for _ in range(5):
            assert log.after(position, before_ns=clock.now(), limit=100) == ([], position)

    driver.log(LOG).append(b"new")
    assert contents(read_all(log, position)) == [b"new"]


@pytest.mark.parametrize("minutes_ahead", [0, -55, 55])
def test_a_file_is_read_to_its_end_by_a_clock_that_is_an_hour_off(
    driver: FilesystemDriver, clock: Clock, minutes_ahead: int
) -> None:
    writer, reader = driver.log(LOG), driver.log(LOG)
    found, position = [], ""
    for number in range(200):
        clock.advance(60)
        with clock.set_by(60 * minutes_ahead):
            writer.append(b"%d" % number)
        page = reader.after(position, before_ns=clock.now(), limit=9)
        found += page.records
        position = page.position
    clock.advance(HOUR_SECONDS)
    found += read_all(reader, position)

    assert contents(found) == [b"%d" % number for number in range(200)]


def test_a_clock_that_was_ahead_for_a_while_loses_nothing(driver: FilesystemDriver, clock: Clock) -> None:
    for seconds in (600, 3000, 3500, 5400, 7000, 100_000):
        writer, reader = driver.log(f"{LOG}/{seconds}"), driver.log(f"{LOG}/{seconds}")
        writer.append(b"first")
        position = reader.after("", before_ns=clock.now(), limit=9).position
        with clock.set_by(seconds):
            position = reader.after(position, before_ns=clock.now(), limit=9).position
        writer.append(b"second")

        assert b"second" in contents(read_all(reader, position))


@pytest.mark.parametrize("seconds_behind", [3700, 7100, 7300, 100_000])
def test_what_a_host_appends_whose_clock_is_hours_behind_is_given_within_a_minute(
    driver: FilesystemDriver, clock: Clock, seconds_behind: int
) -> None:
    ours, theirs, reader = (driver.log(LOG) for _ in range(3))
    ours.append(b"ours")
    page = reader.after("", before_ns=clock.now(), limit=9)
    found, position = page.records, page.position
    for number in range(100):
        with clock.set_by(-seconds_behind):
            theirs.append(b"%d" % number)
        clock.advance(61)
        while (page := reader.after(position, before_ns=clock.now(), limit=9)).records:
            found += page.records
            position = page.position
        position = page.position
        assert contents(found)[-1] == b"%d" % number

    assert contents(found) == [b"ours", *(b"%d" % number for number in range(100))]


@pytest.mark.parametrize("hours_away", [0, 2.5, 4, 6, 30])
def test_what_is_appended_after_a_clock_was_set_back_is_given_however_long_the_reader_was_away(
    driver: FilesystemDriver, clock: Clock, hours_away: float
) -> None:
    writer, reader = driver.log(LOG), driver.log(LOG)
    with clock.set_by(5 * HOUR_SECONDS):
        writer.append(b"first")
        position = reader.after("", before_ns=clock.now(), limit=9).position
        position = reader.after(position, before_ns=clock.now(), limit=9).position
    driver.log(LOG).append(b"second")
    clock.advance(hours_away * HOUR_SECONDS)
    driver.log(LOG).append(b"third")

    assert contents(read_all(reader, position)) == [b"second", b"third"]


def test_a_file_that_is_appended_to_while_the_readers_clock_is_far_ahead_is_read_on(
    driver: FilesystemDriver, clock: Clock
) -> None:
    writer, reader = driver.log(LOG), driver.log(LOG)
    writer.append(b"first")
    with clock.set_by(30 * HOUR_SECONDS):
        position = reader.after("", before_ns=clock.now(), limit=9).position
        position = reader.after(position, before_ns=clock.now(), limit=9).position
    writer.append(b"second")
    with clock.set_by(30 * HOUR_SECONDS + 61):
        assert contents(read_all(reader, position)) == [b"second"]

    assert contents(read_all(reader, position)) == [b"second"]


def test_a_trimmed_log_keeps_files_that_may_still_grow(
    driver: FilesystemDriver, medium: Directory, clock: Clock
) -> None:
    log = driver.log(LOG)
    with clock.set_by(-1.5 * HOUR_SECONDS):
        log.append(b"record")

    log.trim(clock.now())
    assert contents(read_all(log)) == [b"record"]
    clock.advance(HOUR_SECONDS)
    log.trim(clock.now())
    assert files(medium) == []


# Durability


def test_a_record_is_durable_with_its_file_and_the_directories(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ordered in (False, True):
        with monkeypatch.context() as patch:
            watch = PowerWatch(medium.root, patch, ordered=ordered)
            log = driver.log(f"{LOG}/{ordered}")
            for _ in range(3):
                log.append(b"record")
                watch.assert_nothing_at_risk()
            driver.delete(f"{LOG}/{ordered}")
            watch.assert_nothing_at_risk()
            log.append(b"record")
            assert not watch.names_at_risk
            [file] = medium.file(f"{LOG}/{ordered}").iterdir()
            assert file.stat().st_ino not in watch.bytes_at_risk


def test_threads_share_syncs_and_none_returns_before_its_record_is_durable(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = driver.log(LOG)
    log.append(b"first")
    durable, syncs, sync = 0, 0, os.fdatasync

    def slow(fd: int) -> None:
        nonlocal durable, syncs
        size = os.fstat(fd).st_size
        time.sleep(0.01)
        sync(fd)
        durable, syncs = max(durable, size), syncs + 1

    def append(number: int) -> bool:
        content = b"%08d" % number
        log.append(content)
        with open(file, "rb") as lines:  # noqa: PTH123  the test's own
            return lines.read(durable).find(content) >= 0

    [file] = Path(driver.local_path(LOG)).iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", slow)
        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(append, range(200)))

    assert syncs < 150
    assert len(read_all(log)) == 201


def test_a_sync_that_fails_fails_for_all_whose_records_may_be_lost(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = driver.log(LOG)
    log.append(b"first")
    sync, failing = os.fdatasync, threading.Event()
    failing.set()

    def once(fd: int) -> None:
        time.sleep(0.05)
        if failing.is_set():
            failing.clear()
            raise OSError(5, "Input/output error")  # the kernel says it once
        sync(fd)

    def append(number: int) -> bytes | None:
        try:
            log.append(b"%d" % number)
        except UnavailableError:
            return None
        return b"%d" % number

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", once)
        with ThreadPoolExecutor(8) as pool:
            acknowledged = {content for content in pool.map(append, range(40)) if content is not None}

    before, after = files(medium)
    assert 30 <= len(acknowledged) < 40
    assert all(b" %b\n" % content in after.read_bytes() for content in acknowledged)
    assert b"first" in before.read_bytes()
    assert acknowledged | {b"first"} <= {*contents(read_all(log))}


def test_a_medium_that_fails_is_not_filled_with_files(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = driver.log(LOG)
    with monkeypatch.context() as patch:

        def fail(fd: int) -> None:
            raise OSError(28, f"No space left on device, not for {fd}")

        patch.setattr(os, "fdatasync", fail)
        for _ in range(20):
            with pytest.raises(NoSpaceError, match="append /docker/log: "):
                log.append(b"record")
        assert files(medium) == []
        patch.setattr(os, "fdatasync", os.fsync)
        patch.setattr(os, "fsync", fail)
        for _ in range(20):
            with pytest.raises(NoSpaceError):
                log.append(b"record")
        assert files(medium) == []

    log.append(b"record")
    assert contents(read_all(log)) == [b"record"]


def fill(root: str) -> None:
    """Append until the medium is full, and then again once there is room; print what was acknowledged."""
    log = FilesystemDriver(root).log(LOG)
    acknowledged = 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))
    for number in range(100):
        try:
            log.append(b"%d" % number * 1000)
            acknowledged += 1
        except NoSpaceError:
            continue
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    log.append(b"last")
    print(acknowledged)


def test_a_record_for_which_there_is_no_room_hurts_no_other(driver: FilesystemDriver, medium: Directory) -> None:
    script = f"from tests.drivers.filesystem.test_log import fill; fill('{medium.root}')"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    acknowledged = int(printed.stdout)

    assert 50 < acknowledged < 100
    [file] = files(medium)
    assert file.read_bytes().endswith(b" last\n")
    assert len(read_all(driver.log(LOG))) == acknowledged + 1


def test_what_is_half_written_and_cannot_be_taken_back_is_left_behind(
    driver: FilesystemDriver, medium: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = driver.log(LOG)
    log.append(b"first")
    write = os.write
    with monkeypatch.context() as patch:

        def half(fd: int, content: bytes) -> int:
            if len(content) < 30:
                raise OSError(28, "No space left on device")
            return write(fd, content[:20])

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(DriverError):
            log.append(b"second")

    log.append(b"third")
    assert len(files(medium)) == 2
    assert contents(read_all(log)) == [b"first", b"third"]


# Processes that are killed


def append_until_killed(root: str) -> None:
    """Kill a child at each call of an append in turn; print a line for each: what was acknowledged, what is found."""
    faults = Faults(os.environ)
    for first in (True, False):
        for moment in range(100):
            driver = FilesystemDriver(f"{root}/{first}{moment}")
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                log = driver.log(LOG)
                if not first:
                    log.append(b"0")
                    os.write(writing, b"0")
                with faults.killing(f"{first}{moment}", after=moment):
                    for number in (b"1", b"2"):
                        log.append(number)
                        os.write(writing, number)
                os._exit(0)
            os.close(writing)
            _, status = os.waitpid(child, 0)
            with faults.raising("", 0, ""):
                acknowledged = os.read(reading, 9).decode()
                driver.log(LOG).append(b"later")
                found = b"".join(contents(read_all(driver.log(LOG)))).decode()
            os.close(reading)
            print(os.WTERMSIG(status), acknowledged or "-", found)
            if not os.WTERMSIG(status):
                break


def test_whoever_is_killed_at_any_call_has_lost_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    faults = Faults.build(tmp_path)
    script = f"from tests.drivers.filesystem.test_log import append_until_killed; append_until_killed('{tmp_path}')"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], **faults.environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    rounds = [line.split() for line in printed.stdout.splitlines()]
    assert [signal for signal, _, _ in rounds].count("0") == 2
    assert len(rounds) > 15
    for _, acknowledged, found in rounds:
        assert found.endswith("later")
        assert found.removesuffix("later").startswith(acknowledged.strip("-"))
        assert found.removesuffix("later") in ("", "0", "1", "01", "12", "012")


def append_for_ever(root: str, writer: str) -> None:
    """Append numbers, with a few threads, and print each that was acknowledged."""
    log = FilesystemDriver(root).log(LOG)

    def append(thread: int) -> None:
        number = 0
        while True:
            content = f"{writer}.{thread}.{number}"
            log.append(content.encode())
            os.write(1, f"{content}\n".encode())
            number += 1

    for thread in range(3):
        threading.Thread(target=append, args=(thread,)).start()


def test_processes_that_are_killed_again_and_again_lose_nothing(driver: FilesystemDriver, medium: Directory) -> None:
    found: list[bytes] = []
    acknowledged: list[bytes] = []
    position, log = "", driver.log(LOG)
    for round_ in range(4):
        script = (
            "import sys; from tests.drivers.filesystem.test_log import append_for_ever; append_for_ever(*sys.argv[1:])"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", script, medium.root, f"{round_}.{each}"], stdout=subprocess.PIPE)
            for each in range(2)
        ]
        told: list[bytes] = []
        readers = [threading.Thread(target=_collect, args=(writer, told)) for writer in writers]
        for reader in readers:
            reader.start()
        while len(told) < 200:
            page = log.after(position, before_ns=time.time_ns(), limit=50)
            found += contents(page.records)
            position = page.position
        for writer in writers:
            writer.kill()
            writer.wait()
        for reader in readers:
            reader.join()
        acknowledged += told

    found += contents(read_all(log, position))
    assert {*acknowledged} <= {*found}
    assert max(Counter(found).values()) == 1
    for prefix in {content.rpartition(b".")[0] for content in found}:
        numbers = [int(content.rpartition(b".")[2]) for content in found if content.startswith(prefix + b".")]
        assert numbers == [*range(len(numbers))]


def _collect(writer: subprocess.Popen[bytes], told: list[bytes]) -> None:
    assert writer.stdout
    with writer.stdout as lines:
        told.extend(line.rstrip() for line in lines)


# Size


def test_a_long_log_of_many_files_is_read_at_constant_memory(
    driver: FilesystemDriver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        log, found, position = driver.log(LOG), 0, ""
        while (page := log.after(position, before_ns=time.time_ns(), limit=1000)).records:
            found += len(page.records)
            position = page.position
        assert found == log.count("")
        return found

    def append(hours: range) -> None:
        for hour in hours:
            with clock.set_by(-hour * HOUR_SECONDS):
                logs = [driver.log(LOG) for _ in range(8)]
                for number in range(4_000):
                    logs[number % 8].append(b"x" * 300)

    monkeypatch.setattr(os, "fdatasync", lambda _: None)  # 100,000 of them take a disk half a minute
    append(range(30, 28, -1))
    assert read() == 8_000
    few = peak_of(read)
    append(range(28, 5, -1))

    assert read() == 100_000
    assert peak_of(read) < few + 300_000
