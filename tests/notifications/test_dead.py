from __future__ import annotations

from drivers.inmemory import InMemoryDriver
from registry.notifications.dead import DeadLetter
from registry.notifications.events import events_of
from tests.notifications.journals import Journal, deletion


def test_dead_letters_of_one_change_stay_in_the_order_of_its_events() -> None:
    journal = Journal(InMemoryDriver())
    events = list(events_of(deletion(tags=[f"v{number}" for number in range(12)]), 1))
    for event in reversed(events):
        journal.letters.add(DeadLetter("ci", event, "it answers 410 Gone", "410 Gone", 3, 2))
    assert [letter.id for letter in journal.letters.of("ci")] == [event.id for event in events]
