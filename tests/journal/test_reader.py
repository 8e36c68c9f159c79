from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.journal.entry import Entry
from registry.journal.reader import Delivered, Reader
from registry.storage import paths

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver
    from drivers.log import Log


@pytest.fixture(params=["inmemory", "filesystem"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    inmemory = request.param == "inmemory"
    driver: StorageDriver = InMemoryDriver() if inmemory else FilesystemDriver(str(tmp_path / "root"))
    return driver.log(paths.JOURNAL)


def reader_of(log: Log, name: str = "ci", *, hold_seconds: float = 0.0) -> Reader:
    return Reader(log, name, hold_seconds=lambda: hold_seconds)


def entry(number: int, *consumers: str) -> Entry:
    return Entry(id=str(number), action="push", kind="manifest", consumers=consumers, repository="team/app")


def ids(entries: list[Delivered]) -> list[str]:
    return [each.entry.id for each in entries]


def read_all(reader: Reader, *, limit: int) -> list[str]:
    found, position, full = [], "", True
    while full:
        page = reader.page(position, limit=limit)
        found += ids(page.entries)
        position, full = page.position, page.full
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_consumer_is_given_the_entries_that_name_it_in_order(log: Log, limit: int) -> None:
    wanting = [["ci"], ["ui"], ["ci", "ui"], [], ["cicd"], ["ci"], ["audit"]]
    for number, consumers in enumerate(wanting):
        log.append(entry(number, *consumers).encode())

    assert read_all(reader_of(log), limit=limit) == ["0", "2", "5"]
    assert read_all(reader_of(log, "ui"), limit=limit) == ["1", "2"]
    assert read_all(reader_of(log, "new"), limit=limit) == []


def test_a_position_leads_on_and_the_time_of_an_entry_is_that_of_its_record(log: Log) -> None:
    first = log.append(entry(1, "ci").encode())
    page = reader_of(log).page("", limit=10)
    second = log.append(entry(2, "ci").encode())

    assert [(each.time_ns, each.entry) for each in page.entries] == [(first, entry(1, "ci"))]
    following = reader_of(log).page(page.position, limit=10)
    assert [each.time_ns for each in following.entries] == [second]


def test_what_is_through_grows_to_the_time_of_the_call_once_everything_was_given(log: Log) -> None:
    reader = reader_of(log)
    times = [log.append(entry(number, "ui").encode()) for number in range(3)]

    page = reader.page("", limit=2)
    assert (page.full, page.through_ns, page.entries) == (True, times[1], [])
    page = reader.page(page.position, limit=2)
    assert (page.full, page.through_ns) == (True, times[2])
    began = time.time_ns()
    page = reader.page(page.position, limit=2)
    assert not page.full
    assert began <= page.through_ns <= time.time_ns()


def test_an_entry_is_held_for_so_long(log: Log) -> None:
    log.append(entry(1, "ci").encode())
    began = time.time_ns()

    held = reader_of(log, hold_seconds=3600).page("", limit=10)

    assert held.entries == []
    assert not held.full
    assert held.through_ns <= began - 3599 * 10**9
    assert ids(reader_of(log).page(held.position, limit=10).entries) == ["1"]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"7", b"null", b'"ci"', b"{}", b'{"id": "1"}', b"\xff\xfe"])
def test_what_is_not_an_entry_is_passed_over_and_said_once(
    log: Log, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader = reader_of(log)
    for content in (damaged, entry(1, "ci").encode(), damaged, entry(2, "ci").encode()):
        log.append(content)

    with caplog.at_level(logging.WARNING):
        assert read_all(reader, limit=1) == ["1", "2"]

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the journal has a record that is passed over"
    ]


@pytest.mark.parametrize(
    "damaged",
    [
        '{"consumers": null}',
        '{"consumers": "ci"}',
        '{"consumers": [7]}',
        '{"consumers": ["ci"], "tags": "v1"}',
        '{"consumers": ["ci"], "tags": [["v1"]]}',
        '{"consumers": ["ci"], "size": "1"}',
        '{"consumers": ["ci"], "origin": []}',
        '{"consumers": ["ci"], "origin": {"actor": 7}}',
        '{"consumers": ["ci"], "references": [1]}',
        '{"consumers": ["ci"], "previous": ["v1"]}',
    ],
)
def test_a_member_of_another_type_makes_it_no_entry(log: Log, damaged: str) -> None:
    log.append(f'{{"id": "1", "action": "push", "kind": "manifest", {damaged[1:]}'.encode())

    assert read_all(reader_of(log), limit=10) == []
    assert list(reader_of(log).since(0)) == []


def test_members_that_a_later_version_has_added_are_passed_over(log: Log) -> None:
    log.append(b'{"id":"1","action":"push","kind":"manifest","consumers":["ci"],"new":{"x":1},"origin":{"newer":[]}}')

    [given] = reader_of(log).page("", limit=10).entries

    assert given.entry == Entry(id="1", action="push", kind="manifest", consumers=("ci",))


def test_all_entries_since_a_time_are_given_whomever_they_name(log: Log) -> None:
    times = [log.append(entry(number, name).encode()) for number, name in enumerate(["ci", "ui", "", "audit"])]
    log.append(b"damaged")

    assert ids(list(reader_of(log).since(0))) == ["0", "1", "2", "3"]
    assert ids(list(reader_of(log, hold_seconds=3600).since(times[2]))) == ["2", "3"]
    assert list(reader_of(log).since(time.time_ns() + 10**9)) == []


def test_waiting_are_the_records_behind_a_position(log: Log) -> None:
    reader = reader_of(log)
    assert reader.waiting("") == 0
    for number in range(3):
        log.append(entry(number, "ci").encode())

    assert reader.waiting("") == 3
    assert reader.waiting(reader.page("", limit=2).position) == 1
