from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.journal.cursors import Cursor, Cursors
from registry.journal.entry import Entry
from registry.journal.reader import Reader
from registry.journal.retention import trim
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

HOUR_NS = 3600 * 10**9
DAY_SECONDS = 24 * 3600.0
AGES = [200, 100, 30, 20, 3, 0]
"""How many hours ago there was an entry."""


class Storage:
    """A journal with an entry for each of AGES."""

    def __init__(self, at: Callable[[int], None]) -> None:
        self.driver = InMemoryDriver()
        self.cursors = Cursors(self.driver)
        self.log = self.driver.log(paths.JOURNAL)
        self.now_ns = time.time_ns()
        for hours in AGES:
            at(self.now_ns - hours * HOUR_NS)
            self.log.append(Entry(str(hours), "push", "manifest", consumers=["ci"]).encode())
        at(self.now_ns + 10**9)

    def has(self, name: str, *, through: float, stored: float = 0) -> None:
        """Let a consumer be through up to so many hours ago, and have stored its cursor so many hours ago."""
        self.cursors.put(name, Cursor("position", self.now_ns - int(through * HOUR_NS), {"kept": True}))
        path = paths.cursor(name)
        content = json.loads(self.driver.get(path, limit=1000))
        content["stored_ns"] = self.now_ns - int(stored * HOUR_NS)
        self.driver.put(path, json.dumps(content).encode())

    def trimmed(self, consumers: Collection[str], *, keep_seconds: float = DAY_SECONDS) -> list[int]:
        """Return how many hours old the entries are that are left."""
        trim(self.log, self.cursors, consumers, keep_seconds=keep_seconds)
        reader = Reader(self.log, "ci", hold_seconds=lambda: 0.0)
        return [int(each.entry.id) for each in reader.since(0)]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(lambda now_ns: monkeypatch.setattr(time, "time_ns", lambda: now_ns))


def test_what_all_were_given_stays_as_long_as_it_is_to_be_kept(storage: Storage) -> None:
    storage.has("ci", through=0)
    storage.has("ui", through=1)

    assert storage.trimmed({"ci", "ui"}) == [20, 3, 0]
    assert storage.trimmed({"ci", "ui"}, keep_seconds=10 * 3600) == [3, 0]


def test_nothing_younger_than_an_hour_goes(storage: Storage) -> None:
    storage.has("ci", through=0)

    assert storage.trimmed({"ci"}, keep_seconds=1) == [0]


def test_what_a_consumer_was_not_given_stays_however_old_it_is(storage: Storage) -> None:
    storage.has("ci", through=100.01)
    storage.has("ui", through=0)

    assert storage.trimmed({"ci", "ui"}) == [100, 30, 20, 3, 0]


def test_an_entry_that_may_have_become_visible_late_stays(storage: Storage) -> None:
    storage.has("ci", through=99.9)

    assert 100 in storage.trimmed({"ci"})


@pytest.mark.parametrize("hours", [0.5, 0.99])
def test_an_entry_of_a_host_whose_clock_is_behind_stays_until_it_was_given(storage: Storage, hours: float) -> None:
    storage.has("ci", through=100 - hours)

    assert 100 in storage.trimmed({"ci"})


def test_while_a_consumer_is_through_up_to_a_time_in_the_future_everything_stays(storage: Storage) -> None:
    storage.has("ci", through=-5)  # its clock has been set back

    assert storage.trimmed({"ci"}) == AGES


def test_for_a_consumer_that_has_not_begun_everything_stays(storage: Storage) -> None:
    storage.has("ci", through=0)

    assert storage.trimmed({"ci", "new"}) == AGES


def test_a_cursor_that_cannot_be_read_lets_nothing_go(storage: Storage) -> None:
    storage.has("ci", through=0)
    storage.driver.put(paths.cursor("ci"), b"{")

    assert storage.trimmed({"ci"}) == AGES


def test_what_a_consumer_of_another_host_waits_for_stays(storage: Storage) -> None:
    storage.has("ci", through=0)
    storage.has("other", through=101, stored=0.2)

    assert storage.trimmed({"ci"}) == [100, 30, 20, 3, 0]
    assert storage.trimmed({}) == [100, 30, 20, 3, 0]
    storage.has("other", through=101, stored=0.3)
    assert storage.trimmed({"ci"}) == [20, 3, 0]


def test_without_a_consumer_the_journal_goes_with_time(storage: Storage) -> None:
    assert storage.trimmed({}) == [20, 3, 0]


def test_a_cursor_is_forgotten_a_week_after_its_consumer(storage: Storage) -> None:
    storage.has("ci", through=0, stored=8 * 24)
    storage.has("lately", through=0, stored=6 * 24)
    storage.has("long ago", through=0, stored=8 * 24)

    storage.trimmed({"ci"})

    assert sorted(storage.cursors.names()) == ["ci", "lately"]
