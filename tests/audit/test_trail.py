"""What is noted is in the journal soon, in few entries, and takes little memory whatever is noted."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.audit.consumer import NAME
from registry.audit.record import DENIED, FAILED, LOGIN, SERVER, record_of
from registry.audit.trail import REPEAT_SECONDS, SETTLE_SECONDS, Noted, Trail, bounded
from registry.journal.entry import MANIFEST, PULL, Instance, Origin
from registry.journal.reader import Reader
from registry.storage import paths
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from registry.journal.entry import Entry


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Noting:
    """A trail whose clock only moves when it is told to, and whose thread, which looks at that clock, finds nothing."""

    def __init__(self) -> None:
        self.storage = FailingDriver(InMemoryDriver(), fail_at=0)
        self.clock = Clock()
        self.trail = Trail(self.storage.log(paths.JOURNAL), Instance("host:5000", "id"), self.clock)
        self._position = ""

    def entries(self, *, after_seconds: float) -> list[Entry]:
        self.clock.now += after_seconds
        self.trail.add()
        return self.added()

    def added(self) -> list[Entry]:
        reader = Reader(self.storage.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0)
        found: list[Entry] = []
        while (page := reader.page(self._position, limit=1000)).full:
            self._position = page.position
            found += [each.entry for each in page.entries]
        return found


@pytest.fixture
def noting() -> Noting:
    return Noting()


def guess(user: str = "alice", address: str = "192.0.2.1") -> Noted:
    return Noted(LOGIN, SERVER, FAILED, known=False, origin=Origin(claimed_user=user, client=address))


def counts(entries: list[Entry]) -> list[int]:
    return [int(entry.details["count"]) for entry in entries]


def test_what_is_alike_is_one_entry_soon_and_then_one_a_minute(noting: Noting) -> None:
    for _ in range(5):
        noting.trail.note(guess())
    assert counts(noting.entries(after_seconds=SETTLE_SECONDS)) == [5]
    for _ in range(3):
        noting.trail.note(guess())
        assert noting.entries(after_seconds=REPEAT_SECONDS / 5) == []
    assert counts(noting.entries(after_seconds=REPEAT_SECONDS)) == [3]
    assert noting.entries(after_seconds=REPEAT_SECONDS) == []
    noting.trail.note(guess())
    assert counts(noting.entries(after_seconds=SETTLE_SECONDS)) == [1]


def test_others_are_entries_of_their_own(noting: Noting) -> None:
    noting.trail.note(guess())
    noting.trail.note(guess("bob"))
    noting.trail.note(guess(address="192.0.2.2"))
    noting.trail.note(Noted(PULL, MANIFEST, DENIED, "team/app", origin=Origin(actor="alice", client="192.0.2.1")))
    noting.trail.note(Noted(PULL, MANIFEST, DENIED, "team/web", origin=Origin(actor="alice", client="192.0.2.1")))
    assert counts(noting.entries(after_seconds=SETTLE_SECONDS)) == [1] * 5


def test_a_flood_of_failures_takes_little_memory_and_few_entries_and_all_are_counted(noting: Noting) -> None:
    for number in range(5000):
        noting.trail.note(guess(f"user-{number}", f"2001:db8:1::{number:x}"))
    tracemalloc.start()
    for number in range(101_000):
        noting.trail.note(guess(f"stranger-{number}", str(IPv4Address(number))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000  # most of it for the addresses that are remembered
    entries = noting.entries(after_seconds=SETTLE_SECONDS)
    assert len(entries) < 1000
    assert sum(counts(entries)) == 106_000
    assert max(counts(entries)) > 100_000


def test_a_flood_of_strangers_leaves_room_for_users(noting: Noting) -> None:
    for number in range(20_000):
        noting.trail.note(guess(f"stranger-{number}"))
    noting.trail.note(Noted(LOGIN, SERVER, origin=Origin(actor="alice", client="192.0.2.1")))
    assert [entry.origin.actor for entry in noting.entries(after_seconds=SETTLE_SECONDS)].count("alice") == 1


def at_length(number: int, address: str) -> Noted:
    """Return a guess of a made-up user whose texts take as many bytes as they can."""
    long = "\U0001f600" * 500
    origin = Origin(claimed_user=f"{number}{long}", client=address, host=long, user_agent="é" * 512, request_id=long)
    return Noted(LOGIN, SERVER, FAILED, long, long, (long,), known=False, origin=origin)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::{:04x}"])
def test_a_flood_from_one_address_is_few_short_lines_a_minute_and_leaves_room_for_others(
    noting: Noting, address: str
) -> None:
    entries = []
    for number in range(40_000):
        noting.trail.note(at_length(number, address.format(number)))
        if number % 1000 == 0:  # each second and a half, for a minute
            entries += noting.entries(after_seconds=1.5)
    noting.trail.note(guess("alice", "198.51.100.7"))
    noting.trail.close()
    entries += noting.added()
    assert sum(counts(entries)) == 40_001
    assert [entry.origin.client for entry in entries].count("198.51.100.7") == 1
    assert len(entries) < 30
    assert sum(len(json.dumps(record_of(0, entry))) for entry in entries) < 60_000
    most = max(entries, key=lambda entry: int(entry.details["count"]))
    assert (most.origin.claimed_user, most.details["rule"]) == (
        "",
        "there were more of this client than are told apart",
    )
    assert most.origin.client in {"192.0.2.1", "2001:db8::/64"}


def test_who_has_flooded_is_told_apart_again_when_it_is_over(noting: Noting) -> None:
    for number in range(1000):
        noting.trail.note(guess(f"user-{number}"))
    noting.entries(after_seconds=SETTLE_SECONDS)
    for _ in range(3):
        noting.entries(after_seconds=REPEAT_SECONDS)
    noting.trail.note(guess("alice"))
    (entry,) = noting.entries(after_seconds=SETTLE_SECONDS)
    assert entry.origin.claimed_user == "alice"


def test_pulls_that_are_too_many_to_be_told_apart_are_counted(noting: Noting) -> None:
    for number in range(30_000):
        noting.trail.note(Noted(PULL, MANIFEST, repository=f"team/{number}", origin=Origin(actor="alice")))
    entries = noting.entries(after_seconds=SETTLE_SECONDS)
    assert len(entries) == 10_001
    dropped = [entry for entry in entries if not entry.repository]
    assert [(entry.action, entry.details["count"]) for entry in dropped] == [("pull", "20000")]
    assert "more than are told apart" in dropped[0].details["rule"]


def test_what_cannot_be_added_is_kept_and_counted_on(noting: Noting) -> None:
    noting.trail.note(guess())
    noting.trail.note(guess("bob"))
    noting.storage.fail_from_now_on()
    with pytest.raises(DriverError):
        noting.entries(after_seconds=SETTLE_SECONDS)
    noting.trail.note(guess())
    noting.storage.work_again()
    assert sorted(counts(noting.entries(after_seconds=SETTLE_SECONDS))) == [1, 2]


def test_closing_adds_what_was_noted_last(noting: Noting) -> None:
    noting.trail.note(guess())
    noting.trail.close()
    assert counts(noting.added()) == [1]


def test_closing_does_not_fail_where_the_storage_does(noting: Noting, caplog: pytest.LogCaptureFixture) -> None:
    noting.trail.note(guess())
    noting.storage.fail_from_now_on()
    noting.trail.close()
    assert "the audit log lacks what was noted last" in caplog.text


def test_a_thread_adds_what_was_noted() -> None:
    storage = InMemoryDriver()
    trail = Trail(storage.log(paths.JOURNAL), Instance())
    trail.note(guess())
    reader = Reader(storage.log(paths.JOURNAL), NAME, hold_seconds=lambda: 0)
    deadline = time.monotonic() + 60
    while not (entries := reader.page("", limit=10).entries) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert counts([each.entry for each in entries]) == [1]


def test_a_process_that_may_have_no_more_threads_is_not_held_up(
    noting: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError(f"can't start {thread.name}")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    noting.trail.note(guess())
    monkeypatch.undo()
    noting.trail.note(guess())
    assert counts(noting.entries(after_seconds=SETTLE_SECONDS)) == [2]


def test_threads_may_note_at_once(noting: Noting) -> None:
    def note() -> None:
        for number in range(1000):
            noting.trail.note(guess(f"user-{number % 7}"))

    threads = [threading.Thread(target=note) for _ in range(8)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        found += noting.entries(after_seconds=SETTLE_SECONDS)
    noting.trail.close()
    assert sum(counts(found + noting.added())) == 8000


def test_each_text_of_an_origin_is_bounded() -> None:
    origin = Origin(*["x" * 10_000] * 9)
    assert len(str(bounded(origin))) < 6000
    assert bounded(Origin(actor="alice")) == Origin(actor="alice")
