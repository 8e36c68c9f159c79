"""How many events are said to wait for an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.config.events import Notifications
from registry.journal.reader import Reader
from registry.notifications.backlog import Backlog
from registry.notifications.consumers import EndpointConsumer
from registry.notifications.overview import overviews
from tests.notifications.journals import Journal, deletion, endpoint, push

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver


def backlog_of(journal: Journal, position: str = "") -> Backlog:
    section = endpoint("http://127.0.0.1:1/", repositories=("team/**",))
    reader = Reader(journal.log, "ci", hold_seconds=lambda: 0.0)
    return Backlog(reader, EndpointConsumer(section, wants_references=False), position)


def test_events_are_counted_that_the_endpoint_wants(driver: InMemoryDriver) -> None:
    journal = Journal(driver)
    journal.add(push("a"), push("b", consumers=["audit"]), push("c", repository="other"), deletion(tags=["d", "e"]))
    journal.add(*(push("f", consumers=["audit"]) for _ in range(300)), push("g"))

    backlog = backlog_of(journal)

    assert backlog.count(goes_on=lambda: True)
    assert (backlog.certain, backlog.about()) == (5, 5)


def test_what_was_taken_before_it_was_counted_is_not_counted(driver: InMemoryDriver) -> None:
    journal = Journal(driver)
    journal.add(*(push(f"v{n}") for n in range(10)))
    backlog = backlog_of(journal)

    backlog.take(4)
    assert (backlog.certain, backlog.about()) == (0, 6)
    assert backlog.count(goes_on=lambda: True)
    assert backlog.certain == 6

    backlog.take(6)
    journal.add(push("new"))
    assert backlog.count(goes_on=lambda: True)
    assert (backlog.certain, backlog.about()) == (1, 1)


def test_a_count_that_had_no_time_says_about_how_many_wait(driver: InMemoryDriver) -> None:
    journal = Journal(driver)
    journal.add(*(push(f"v{n}") for n in range(250)))
    backlog = backlog_of(journal)
    pages = iter([True, False])

    assert not backlog.count(goes_on=lambda: next(pages))
    assert (backlog.certain, backlog.about()) == (100, 250)


def test_commands_count_what_an_endpoint_wants_however_much_there_is_for_others(driver: InMemoryDriver) -> None:
    journal = Journal(driver)
    journal.add(push("a"))
    other = push("b", consumers=["audit"]).encode()
    for _ in range(12_000):
        journal.log.append(other)
    journal.add(push("c"))

    (overview,) = overviews(Notifications(endpoints=(endpoint("http://127.0.0.1:1/"),)), driver)

    assert overview.waiting == 2
