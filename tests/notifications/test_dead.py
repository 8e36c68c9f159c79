from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from registry.journal.entry import MANIFEST
from registry.notifications import docker
from registry.notifications.dead import DeadLetter, DeadLetters
from registry.notifications.events import events_of
from registry.storage import paths
from tests.notifications.journals import deletion, push

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from drivers.filesystem.driver import FilesystemDriver
    from drivers.inmemory import InMemoryDriver
    from registry.notifications.events import Event


@pytest.fixture(params=["inmemory", "filesystem"])
def medium(request: pytest.FixtureRequest, driver: InMemoryDriver, filesystem: FilesystemDriver) -> StorageDriver:
    return driver if request.param == "inmemory" else filesystem


def letter(event: Event, endpoint: str = "ci") -> DeadLetter:
    return DeadLetter(endpoint, event, "it answers 410 Gone", "410 Gone", 3, 99)


def event(tag: str, time_ns: int = 1) -> Event:
    return next(iter(events_of(push(tag), time_ns)))


def tags(letters: DeadLetters, endpoint: str = "ci") -> list[str]:
    return [each.event.tag for each in letters.of(endpoint)]


def test_a_letter_is_the_same_event_again_whatever_it_is_told_in(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 10)
    entry = deletion(MANIFEST, tags=("a", "b"), references=({"digest": "x"},), consumers=("ci",))
    each = list(events_of(entry, 1_721_000_000_123_456_789))
    for one in each:
        letters.add(letter(one))

    found = list(DeadLetters(medium, 10).of("ci"))

    assert sorted(found, key=lambda each: each.event.index) == [letter(one) for one in each]
    assert {json.dumps(docker.record(one.event)) for one in found} == {json.dumps(docker.record(one)) for one in each}


def test_letters_are_in_the_order_of_their_events_and_of_one_endpoint_only(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 10)
    for time_ns in (30, 10, 20):
        letters.add(letter(event(f"v{time_ns}", time_ns)))
    letters.add(letter(event("other"), "another/endpoint \u00e9"))

    assert tags(letters) == ["v10", "v20", "v30"]
    assert letters.count("ci") == 3
    assert sorted(letters.endpoints()) == ["another/endpoint \u00e9", "ci"]
    assert tags(letters, "another/endpoint \u00e9") == ["other"]


def test_a_letter_is_kept_once_and_gone_when_it_is_deleted(medium: StorageDriver) -> None:
    letters, one = DeadLetters(medium, 10), letter(event("a"))
    letters.add(one)
    letters.add(one)
    assert letters.count("ci") == 1

    letters.delete(one)
    letters.delete(one)
    assert tags(letters) == []
    assert list(letters.endpoints()) == []


def test_letters_are_purged_by_the_time_of_their_events(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 10)
    for time_ns in range(1, 6):
        letters.add(letter(event(f"v{time_ns}", time_ns)))

    assert letters.purge("ci", 4) == 3
    assert tags(letters) == ["v4", "v5"]
    assert letters.purge("nobody", 4) == 0


def test_the_oldest_letters_go_where_there_are_too_many_and_only_then(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 4)
    for time_ns in range(1, 7):
        letters.add(letter(event(f"v{time_ns}", time_ns)))
    assert tags(letters) == ["v3", "v4", "v5", "v6"]

    assert letters.purge("ci", 6) == 3
    for time_ns in range(7, 10):
        letters.add(letter(event(f"v{time_ns}", time_ns)))
    assert tags(letters) == ["v6", "v7", "v8", "v9"], "what another process has deleted is not counted"


def test_many_letters_stay_few_enough(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 200)
    for time_ns in range(1, 300):
        letters.add(letter(event(f"v{time_ns}", time_ns)))
        assert letters.count("ci") <= 200
    assert tags(letters)[-1] == "v299"
    assert letters.count("ci") > 190


def test_what_is_not_a_letter_is_passed_over(medium: StorageDriver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    letters = DeadLetters(medium, 10)
    one = letter(event("a"))
    letters.add(one)
    medium.put(paths.dead_letter("ci", 5, 0, one.id), b'{"torn')
    medium.put(paths.below(paths.dead_letters("ci"), "Thumbs.db"), b"x")

    assert tags(letters) == ["a"]
    assert "is passed over: not a dead letter" in caplog.text


def test_letters_of_one_change_stay_in_the_order_of_its_events(medium: StorageDriver) -> None:
    letters = DeadLetters(medium, 100)
    events = list(events_of(deletion(tags=[f"v{number}" for number in range(12)]), 1))
    for each in reversed(events):
        letters.add(letter(each))
    assert [each.id for each in letters.of("ci")] == [each.id for each in events]
