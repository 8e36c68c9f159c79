"""Each line is told to each output in order and at least once; one that is away holds up nothing."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.audit.outputs import Stdout, Telling
from registry.audit.syslog import Syslog
from registry.audit.writer import Writer, lines_of
from registry.config.outputs import SyslogTarget
from registry.jobs.job import JobFailedError
from registry.journal.entry import DELETE, MANIFEST, Entry
from registry.journal.reader import Delivered
from tests.audit.logs import DAY_NS, NOON_NS, delivered, lines
from tests.serving import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from registry.audit.chain import Line


class Receiver:
    """An output that can be away."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.is_away = False

    def __str__(self) -> str:
        return "the receiver"

    def emit(self, lines: list[Line]) -> None:
        for line in lines:
            if self.is_away:
                raise ConnectionRefusedError(111, "Connection refused")
            self.lines.append(line.line)

    @property
    def numbers(self) -> list[int]:
        return [json.loads(line)["seq"] for line in self.lines]


class Told:
    def __init__(self) -> None:
        self.driver = InMemoryDriver()
        self.writer = Writer(self.driver)
        self.receiver = Receiver()
        self.held = True
        self.telling = self.new_telling()

    def new_telling(self) -> Telling:
        telling = Telling(self.driver, "receiver", self.receiver, lambda: self.held, lambda: self.writer.head)
        telling.begin_at(self.writer.head)
        return telling

    def add(self, *numbers: int, days: int = 0) -> None:
        self.writer.add([delivered(each, at_ns=NOON_NS + days * DAY_NS) for each in numbers], str(numbers[-1]))


@pytest.fixture
def told() -> Told:
    return Told()


def test_lines_are_told_in_order_over_segments_and_once(told: Told) -> None:
    told.add(1, 2)
    told.telling.run()
    told.add(3, days=1)
    told.add(4, days=2)
    told.telling.run()
    told.telling.run()
    assert told.receiver.lines == lines(told.driver)


def test_another_process_goes_on_where_the_one_before_was(told: Told) -> None:
    told.add(1)
    told.telling.run()
    told.add(2)
    told.new_telling().run()
    assert told.receiver.numbers == [1, 2]


def test_an_output_that_is_new_is_told_what_comes_from_now_on() -> None:
    told = Told()
    told.add(1, 2)
    receiver = told.receiver = Receiver()
    telling = Telling(told.driver, "another", receiver, lambda: True, lambda: told.writer.head)
    telling.begin_at(told.writer.head)
    told.add(3)
    telling.run()
    assert receiver.numbers == [3]


def test_who_does_not_hold_the_lease_tells_nothing(told: Told) -> None:
    told.add(1)
    told.held = False
    told.telling.run()
    assert told.receiver.lines == []
    told.held = True
    told.telling.run()
    assert told.receiver.numbers == [1]


def test_an_output_that_is_away_is_told_all_of_it_when_it_is_back_and_the_log_hears_of_it_once_a_minute(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told.receiver.is_away = True
    levels = []
    for number in range(1, 6):
        told.add(number)
        with pytest.raises(JobFailedError, match=f"the receiver does not take the audit log, {number} lines wait") as e:
            told.telling.run()
        levels.append(e.value.level)
    assert levels == [logging.WARNING, *[logging.DEBUG] * 4]
    told.receiver.is_away = False
    told.telling.run()
    assert told.receiver.numbers == [1, 2, 3, 4, 5]
    assert caplog.messages[-1] == "the receiver takes the audit log again"


def test_an_output_that_nobody_reads_is_told_of_once_and_waited_for(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("registry.audit.outputs._STALL_SECONDS", 0.05)
    reading, writing = os.pipe()
    monkeypatch.setattr("registry.audit.outputs._STDOUT", writing)
    telling = Telling(told.driver, "stdout", Stdout(), lambda: True, lambda: told.writer.head)
    telling.begin_at(told.writer.head)
    told.add(*range(900))  # more than a pipe holds
    running = threading.Thread(target=telling.run, daemon=True)
    running.start()

    wait_until("it says so", lambda: caplog.messages)
    time.sleep(0.2)
    said = "standard output has not taken the audit log for 0 s, 900 lines wait: does anything read it?"
    assert caplog.messages == [said]

    read = b""
    while read.count(b"\n") < 900:
        read += os.read(reading, 65536)
    running.join()
    assert read.splitlines() == lines(told.driver)
    assert caplog.messages == [said, "standard output takes the audit log again"]
    os.close(reading)
    os.close(writing)


def test_a_syslog_that_cannot_be_looked_up_is_one_line_a_minute(told: Told) -> None:
    told.add(1)
    syslog = Syslog(SyslogTarget("udp", "a..b", 514))
    telling = Telling(told.driver, "receiver", syslog, lambda: True, lambda: told.writer.head)
    for level in (logging.WARNING, logging.DEBUG):
        with pytest.raises(JobFailedError, match=r"udp://a\.\.b:514 does not take the audit log, 1 lines") as e:
            telling.run()
        assert e.value.level == level


def test_lines_that_were_deleted_before_they_were_told_are_counted(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told.add(1)
    told.telling.run()
    told.add(2, 3, 4)
    told.add(5, days=1)
    told.driver.delete("/registry/audit/20251127")
    told.telling.run()
    assert told.receiver.numbers == [1, 6]
    assert "4 lines of the audit log were deleted before the receiver took them" in caplog.text


def test_thousands_of_lines_are_told_in_pieces(told: Told) -> None:
    for number in range(5):
        told.add(*range(number * 1000, number * 1000 + 900))
    told.telling.run()
    assert told.receiver.lines == lines(told.driver)


def test_standard_output_gets_a_line_each(capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    told.add(1, 2)
    Stdout().emit([line for each in lines(told.driver) for line in lines_of(each)])
    assert capfd.readouterr().out.encode().splitlines() == lines(told.driver)


MESSAGE = re.compile(rb"<(110|108)>1 2025-11-27T12:00:00\.\d{6}Z \S+ registry \d+ (push|delete) - (\{.*\})")


def some_lines(*entries: Delivered) -> list[Line]:
    driver = InMemoryDriver()
    Writer(driver).add(entries or [delivered(1), delivered(2)], "")
    return [line for each in lines(driver) for line in lines_of(each)]


def test_a_syslog_gets_a_datagram_of_rfc_5424_each() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        with closing(Syslog(SyslogTarget("udp", "127.0.0.1", listener.getsockname()[1]))) as syslog:
            syslog.emit(some_lines())
        for line in some_lines():
            found = MESSAGE.fullmatch(listener.recv(70_000))
            assert found
            assert json.loads(found[3])["id"] == line.record["id"]


def test_a_line_that_is_longer_than_a_datagram_is_sent_without_its_tags() -> None:
    tags = [f"tag-{number}" * 10 for number in range(2000)]
    entry = Entry("id", DELETE, MANIFEST, repository="team/app", digest="sha256:0", tags=tags)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        with closing(Syslog(SyslogTarget("udp", "127.0.0.1", listener.getsockname()[1]))) as syslog:
            syslog.emit(some_lines(Delivered(NOON_NS, entry)))
        found = MESSAGE.fullmatch(listener.recv(70_000))
    assert found
    told = json.loads(found[3])
    assert (told["repository"], told["shortened"], "tags" in told) == ("team/app", True, False)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_the_socket_of_this_machine_may_be_of_either_kind(tmp_path: Path, kind: socket.SocketKind) -> None:
    path = str(tmp_path / "log")
    with closing(socket.socket(socket.AF_UNIX, kind)) as listener:
        listener.bind(path)
        listener.settimeout(10)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        syslog = Syslog(SyslogTarget("unix", path=path))
        syslog.emit(some_lines())
        connection = listener.accept()[0] if kind == socket.SOCK_STREAM else listener
        assert b"<110>1 " in connection.recv(70_000)
        syslog.close()
        connection.close()


def test_tcp_counts_octets_and_connects_again_to_a_syslog_that_was_started_again() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    syslog = Syslog(SyslogTarget("tcp", "127.0.0.1", listener.getsockname()[1]))
    first, second = some_lines()
    syslog.emit([first])
    connection, _ = listener.accept()
    length, _, message = connection.recv(70_000).partition(b" ")
    assert int(length) == len(message)
    assert MESSAGE.fullmatch(message)
    connection.send(b"what nobody waits for")
    began = time.monotonic()
    syslog.emit([second])
    assert time.monotonic() - began < 2
    assert str(second.record["id"]).encode() in connection.recv(70_000)
    connection.close()
    syslog.emit([second])
    connection, _ = listener.accept()
    assert str(second.record["id"]).encode() in connection.recv(70_000)
    syslog.close()
    connection.close()
    listener.close()
    with pytest.raises(OSError, match="refused"):
        syslog.emit([first])


def test_a_syslog_that_takes_nothing_is_given_up_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.audit.syslog._TIMEOUT_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    syslog = Syslog(SyslogTarget("tcp", "127.0.0.1", listener.getsockname()[1]))
    many = some_lines(*(delivered(number, note="x" * 500) for number in range(30_000)))
    ended = threading.Event()

    def emit() -> None:
        with pytest.raises(TimeoutError):
            syslog.emit(many)
        ended.set()

    threading.Thread(target=emit, daemon=True).start()
    assert ended.wait(60)
    listener.close()
