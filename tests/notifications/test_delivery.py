"""Deliveries to a receiver over HTTP, from a journal in a storage."""

from __future__ import annotations

import logging
import os
import threading
import time
import tracemalloc
from collections import deque
from contextlib import closing
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from drivers.base import NoSpaceError, UnavailableError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.notifications import delivery as deliveries
from tests.notifications.journals import POLL, Journal, deletion, endpoint, push
from tests.notifications.receiver import Answering, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.notifications.dead import DeadLetter
    from registry.notifications.delivery import Delivery

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(params=["inmemory", "filesystem"])
def journal(request: pytest.FixtureRequest, driver: InMemoryDriver, filesystem: FilesystemDriver) -> Iterator[Journal]:
    with closing(Journal(driver if request.param == "inmemory" else filesystem)) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def run_to_the_end(delivery: Delivery) -> None:
    """Run until the journal has nothing more, without the pauses between."""
    while delivery.run() != POLL:
        time.sleep(0.01)


def failing(times: int, status: int = 500, **answer: Any) -> Callable[[object], Answering]:
    left = iter(range(times))
    return lambda _: Answering(status, **answer) if next(left, None) is not None else Answering()


def letters(journal: Journal) -> list[DeadLetter]:
    return list(journal.letters.of("ci"))


def test_events_arrive_in_the_order_of_the_journal_one_a_request(journal: Journal, receiver: Receiver) -> None:
    journal.add(push("a"), push("b"), deletion(tags=["c"]))

    section = endpoint(receiver.url(), headers={"X-One": ("1",), "Authorization": ("Bearer x",)})
    run_to_the_end(journal.delivery(section))

    assert [event["action"] for event in receiver.taken] == ["push", "push", "delete", "delete"]
    assert receiver.tags == ["a", "b", "", "c"]
    assert len(receiver.requests) == 4
    first = receiver.requests[0].headers
    assert first["content-type"] == "application/vnd.docker.distribution.events.v2+json"
    assert (first["x-one"], first["authorization"]) == ("1", "Bearer x")
    assert first["user-agent"].startswith("registry/")


def test_what_was_delivered_is_not_delivered_again_by_another_process(journal: Journal, receiver: Receiver) -> None:
    journal.add(push("a"))
    run_to_the_end(journal.delivery(endpoint(receiver.url())))
    journal.add(push("b"))

    run_to_the_end(journal.delivery(endpoint(receiver.url())))

    assert receiver.tags == ["a", "b"]


class CountingDriver(InMemoryDriver):
    """Counts what is put."""

    puts = 0

    def put(self, path: str, content: bytes) -> None:
        self.puts += 1
        super().put(path, content)


def test_windows_that_follow_each_other_within_a_second_share_one_write_of_the_cursor(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_STEP_SECONDS", 1000.0)  # so that no test depends on how fast the machine is
    monkeypatch.setattr(deliveries, "_RUN_SECONDS", 1000.0)
    driver = CountingDriver()
    with closing(Journal(driver)) as journal:
        journal.add(push("first"))
        run_to_the_end(journal.delivery(endpoint(receiver.url())))
        journal.add(*(push(f"v{number}") for number in range(250)))
        before = driver.puts

        run_to_the_end(journal.delivery(endpoint(receiver.url(), batch=100)))
        assert driver.puts == before + 1

        run_to_the_end(journal.delivery(endpoint(receiver.url(), batch=100)))
        assert len(receiver.tags) == 251


def test_what_names_others_and_what_is_ignored_by_now_is_passed_over(journal: Journal, receiver: Receiver) -> None:
    journal.add(push("of-others", consumers=["audit"]), push("b"), deletion(tags=["c"]))

    section = endpoint(receiver.url(), ignore=type(endpoint("").ignore)(actions=("delete",)))
    run_to_the_end(journal.delivery(section))

    assert receiver.tags == ["b"]


def test_a_batch_is_several_events_of_one_request(journal: Journal, receiver: Receiver) -> None:
    journal.add(*(push(f"v{n}") for n in range(7)))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), batch=3)))

    assert [len(request.events) for request in receiver.requests] == [3, 3, 1]
    assert receiver.tags == [f"v{n}" for n in range(7)]


def test_a_signed_request_is_verified_and_each_attempt_has_the_same_id(journal: Journal, receiver: Receiver) -> None:
    seen = []
    answer = failing(1)

    def answering(request: Any) -> Answering:
        seen.append(request.headers["webhook-id"])
        return answer(request)

    receiver.answer = answering
    journal.add(push("a"))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), secret=SECRET)))

    (request,) = receiver.requests
    assert Webhook(SECRET).verify(request.body, dict(request.headers))["events"]
    assert seen == [request.events[0]["id"]] * 2


def test_cloud_events_are_sent_as_such(journal: Journal, receiver: Receiver) -> None:
    journal.add(push("a"), push("b"))
    run_to_the_end(journal.delivery(endpoint(receiver.url(), format="cloudevents")))
    assert [each.headers["content-type"] for each in receiver.requests] == ["application/cloudevents+json"] * 2

    journal.add(push("c"))
    run_to_the_end(journal.delivery(endpoint(receiver.url(), format="cloudevents", batch=10)))
    assert receiver.requests[-1].headers["content-type"] == "application/cloudevents-batch+json"
    assert receiver.requests[-1].body.startswith(b"[{")


def test_a_failing_endpoint_is_tried_at_once_and_then_after_pauses_and_gets_everything_in_order(
    journal: Journal, receiver: Receiver
) -> None:
    receiver.answer = failing(3)
    journal.add(push("a"), push("b"))
    delivery = journal.delivery(endpoint(receiver.url(), threshold=2, backoff_seconds=30.0, maxbackoff_seconds=60.0))

    pause = delivery.run()

    assert not receiver.requests
    assert 29 < pause <= 30 * 1.25
    assert delivery.run() > 29 - 5, "no attempt before its time"
    run_to_the_end(journal.delivery(endpoint(receiver.url())))
    assert receiver.tags == ["a", "b"]
    assert letters(journal) == []


def test_pauses_double_up_to_maxbackoff(receiver: Receiver, journal: Journal) -> None:
    receiver.answer = failing(100)
    journal.add(push("a"))
    delivery = journal.delivery(endpoint(receiver.url(), threshold=1, backoff_seconds=0.1, maxbackoff_seconds=0.4))

    pauses = []
    for _ in range(4):
        pauses.append(delivery.run())
        time.sleep(pauses[-1])

    for pause, least in zip(pauses, [0.1, 0.2, 0.4, 0.4], strict=True):
        assert least * 0.8 < pause <= least * 1.25


def test_retry_after_is_obeyed_up_to_maxbackoff(journal: Journal, receiver: Receiver) -> None:
    journal.add(push("a"))
    receiver.answer = failing(1, 503, headers={"Retry-After": "20"})
    section = endpoint(receiver.url(), threshold=5, maxbackoff_seconds=60.0)
    assert 19 < journal.delivery(section).run() <= 25

    receiver.answer = failing(1, 429, headers={"Retry-After": "100000"})
    assert 59 < journal.delivery(section).run() <= 75


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_what_will_never_be_taken_becomes_a_dead_letter_and_holds_up_nothing(
    journal: Journal, receiver: Receiver, status: int
) -> None:
    tries = []

    def answer(request: Any) -> Answering:
        if request.events[0]["target"].get("tag") == "poison":
            tries.append(status)
            return Answering(status)
        return Answering()

    receiver.answer = answer
    journal.add(push("a"), push("poison"), push("b"))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), threshold=3)))

    assert receiver.tags == ["a", "b"]
    assert len(tries) == 3
    (letter,) = letters(journal)
    assert letter.event.tag == "poison"
    assert (letter.status.partition(" ")[0], letter.tries) == (str(status), 3)
    assert str(status) in letter.error


def test_of_a_batch_that_is_refused_only_what_is_wrong_becomes_a_dead_letter(
    journal: Journal, receiver: Receiver
) -> None:
    def answer(request: Any) -> Answering:
        return Answering(422 if any(each["target"].get("tag") == "poison" for each in request.events) else 200)

    receiver.answer = answer
    journal.add(push("a"), push("poison"), push("b"), push("c"), push("d"))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), batch=4)))

    assert receiver.tags == ["a", "b", "c", "d"]
    assert [letter.event.tag for letter in letters(journal)] == ["poison"]


def test_what_is_too_old_becomes_a_dead_letter_once_an_attempt_has_failed(journal: Journal, receiver: Receiver) -> None:
    receiver.answer = failing(10_000)
    journal.add(*(push(f"v{n}") for n in range(250)))
    time.sleep(0.05)

    run_to_the_end(journal.delivery(endpoint(receiver.url(), maxage_seconds=0.01)))
    assert [letter.event.tag for letter in letters(journal)] == [f"v{n}" for n in range(250)]

    receiver.answer = failing(0)
    journal.add(push("old"))
    time.sleep(0.05)
    run_to_the_end(journal.delivery(endpoint(receiver.url(), maxage_seconds=0.01)))
    assert receiver.tags == ["old"], "an endpoint that takes events gets old ones, too"


def test_the_oldest_events_are_dropped_where_too_many_wait(
    journal: Journal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = failing(1)
    journal.add(*(push(f"v{n}") for n in range(300)))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), threshold=1), most=40))

    assert receiver.tags == [f"v{n}" for n in range(260, 300)]
    assert "260 events are dropped" in caplog.text


@pytest.mark.parametrize("parallel", [1, 8])
def test_no_more_events_are_dropped_than_are_too_many(
    journal: Journal, receiver: Receiver, caplog: pytest.LogCaptureFixture, parallel: int
) -> None:
    receiver.answer = failing(parallel)
    journal.add(*(push(f"v{n}", repository=f"team/app{n % 7}") for n in range(201)))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), threshold=1, parallel=parallel), most=200))

    assert sorted(receiver.tags) == sorted(f"v{n}" for n in range(1, 201))
    assert "1 events are dropped" in caplog.text


def test_what_others_are_told_of_is_not_too_many_events_of_an_endpoint(
    journal: Journal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = failing(1)
    for n in range(5):
        journal.add(push(f"v{n}"))
        journal.add(*(push("of-others", consumers=["audit"]) for _ in range(30)))
        journal.add(*(push("ignored", repository="other") for _ in range(30)))

    section = endpoint(receiver.url(), threshold=1, repositories=("team/**",))
    run_to_the_end(journal.delivery(section, most=20))

    assert receiver.tags == [f"v{n}" for n in range(5)]
    assert "dropped" not in caplog.text


def test_each_event_of_a_change_counts_where_too_many_wait(journal: Journal, receiver: Receiver) -> None:
    receiver.answer = failing(1)
    journal.add(*(push("", tags=["a", "b", "c"]) for _ in range(60)), push("d"))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), threshold=1), most=5))

    assert receiver.tags == ["c", "a", "b", "c", "d"]


def test_what_comes_while_an_endpoint_fails_is_counted_with_what_waited_before(
    journal: Journal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_COUNT_SECONDS", 0.0)
    receiver.answer = failing(10_000)
    delivery = journal.delivery(endpoint(receiver.url(), threshold=1, backoff_seconds=0.001), most=40)
    sent = 0
    for number in (150, 30, 7, 1, 0):
        journal.add(*(push(f"v{n}") for n in range(sent, sent + number)))
        sent += number
        delivery.run()

    receiver.answer = failing(0)
    run_to_the_end(delivery)

    assert receiver.tags == [f"v{n}" for n in range(sent - 40, sent)]


def test_the_oldest_are_dropped_also_where_an_endpoint_fails_that_has_taken_all_until_then(
    journal: Journal, receiver: Receiver
) -> None:
    delivery = journal.delivery(endpoint(receiver.url(), threshold=1, backoff_seconds=0.001), most=40)
    journal.add(push("taken"))
    run_to_the_end(delivery)
    receiver.answer = failing(10_000)
    journal.add(*(push(f"v{n}") for n in range(150)))
    delivery.run()

    receiver.answer = failing(0)
    run_to_the_end(delivery)

    assert receiver.tags == ["taken", *(f"v{n}" for n in range(110, 150))]


def test_only_who_is_elected_delivers_and_stops_at_once_when_it_no_longer_is(
    journal: Journal, receiver: Receiver
) -> None:
    held = [True]

    def lose(request: Any) -> Answering:
        held[0] = request.events[0]["target"]["tag"] != "b"
        return Answering()

    receiver.answer = lose
    journal.add(push("a"), push("b"), push("c"))
    delivery = journal.delivery(endpoint(receiver.url()), held=lambda: held[0])

    assert delivery.run() == POLL
    assert delivery.run() == POLL
    assert receiver.tags == ["a", "b"]
    receiver.answer, held[0] = failing(0), True
    run_to_the_end(delivery)
    assert receiver.tags[2:] == ["a", "b", "c"], "another one may have come no further than the cursor in the storage"


class KilledError(BaseException):
    """The process ends here."""


def test_a_process_that_is_killed_repeats_no_more_than_a_step(
    journal: Journal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "_STEP_SECONDS", 0.02)
    journal.add(*(push(f"v{n}") for n in range(30)))
    attempts = iter(range(25))

    def answer(_: object) -> Answering:
        time.sleep(0.005)
        return Answering()

    def held() -> bool:
        if next(attempts, None) is None:
            raise KilledError
        return True

    receiver.answer = answer
    section = endpoint(receiver.url())
    with pytest.raises(KilledError):
        run_to_the_end(journal.delivery(section, held=held))
    before = len(receiver.tags)

    run_to_the_end(journal.delivery(section))

    assert sorted(set(receiver.tags)) == sorted(f"v{n}" for n in range(30))
    assert receiver.tags[:before] == [f"v{n}" for n in range(before)]
    assert 10 < before < 30
    assert len(receiver.tags) <= 30 + 5


class FullDriver(InMemoryDriver):
    """Is full when it is told so."""

    is_full = False

    def put(self, path: str, content: bytes) -> None:
        if self.is_full:
            raise NoSpaceError("inmemory: put: No space left on device")
        super().put(path, content)


def test_events_are_not_repeated_while_the_disk_is_full(receiver: Receiver) -> None:
    full = FullDriver()
    with closing(Journal(full)) as journal:
        journal.add(*(push(f"v{n}") for n in range(250)))
        section = endpoint(receiver.url())
        delivery = journal.delivery(section)
        full.is_full = True
        for _ in range(3):
            with pytest.raises(NoSpaceError):
                delivery.run()
        full.is_full = False
        run_to_the_end(delivery)
        run_to_the_end(journal.delivery(section))
    assert receiver.tags == [f"v{n}" for n in range(250)]


def test_a_process_that_does_not_know_whether_it_leads_begins_anew_from_the_cursor(
    journal: Journal, receiver: Receiver
) -> None:
    knows = [True]

    def held() -> bool:
        if not knows[0]:
            raise UnavailableError("the storage does not answer")
        return True

    def lose(request: Any) -> Answering:
        knows[0] = request.events[0]["target"]["tag"] != "b"
        return Answering()

    receiver.answer = lose
    journal.add(push("a"), push("b"), push("c"))
    delivery = journal.delivery(endpoint(receiver.url()), held=held)
    with pytest.raises(UnavailableError):
        delivery.run()
    receiver.answer, knows[0] = failing(0), True
    run_to_the_end(delivery)
    assert receiver.tags == ["a", "b", "a", "b", "c"]


def test_a_process_that_stops_repeats_nothing(journal: Journal, receiver: Receiver) -> None:
    journal.add(*(push(f"v{n}") for n in range(30)))
    section = endpoint(receiver.url(), parallel=1)

    journal.delivery(section, stopping=lambda: len(receiver.requests) >= 10).run()

    assert len(receiver.tags) == 10
    run_to_the_end(journal.delivery(section))
    assert receiver.tags == [f"v{n}" for n in range(30)]


def test_what_a_log_gives_twice_is_delivered_once(journal: Journal, receiver: Receiver) -> None:
    twice = push("a")
    journal.add(twice, push("b"), twice)
    run_to_the_end(journal.delivery(endpoint(receiver.url())))
    assert receiver.tags == ["a", "b"]


def test_memory_does_not_grow_with_what_waits_and_what_was_delivered(
    receiver: Receiver,
) -> None:
    receiver.requests = deque(maxlen=1)

    def held_after(number: int) -> int:
        """Return the bytes that a delivery of so many events has taken and not given back, at its end."""
        journal.add(*(push(f"v{n}") for n in range(number)))
        tracemalloc.start()
        try:
            run_to_the_end(delivery)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    # In memory, as a disk would be asked to write each entry down.
    with TemporaryDirectory(dir=_MEMORY) as directory, closing(Journal(FilesystemDriver(directory))) as journal:
        delivery = journal.delivery(endpoint(receiver.url(), batch=100))
        held_after(200)
        few, many = held_after(500), held_after(3500)
    assert receiver.tags[-1] == "v3499"
    assert many < few + 150_000


def test_lanes_keep_the_order_of_each_repository_and_do_not_wait_for_each_other(
    journal: Journal, receiver: Receiver
) -> None:
    at_once = threading.Barrier(2)

    def answer(request: Any) -> Answering:
        if request.events[0]["target"]["tag"] == "v0":
            at_once.wait(10)
        return Answering()

    receiver.answer = answer
    # Two repositories whose lanes differ.
    for n in range(50):
        journal.add(push(f"v{n}", repository="team/a"), push(f"v{n}", repository="team/b"))

    run_to_the_end(journal.delivery(endpoint(receiver.url(), parallel=8)))

    for repository in ("team/a", "team/b"):
        tags = [each["target"]["tag"] for each in receiver.taken if each["target"]["repository"] == repository]
        assert tags == [f"v{n}" for n in range(50)]


def test_the_log_says_once_that_an_endpoint_fails_and_once_that_it_works_again_without_secrets(
    journal: Journal, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.answer = failing(20)
    journal.add(push("a"), push("b"))
    section = endpoint(
        f"http://user:hunter2@127.0.0.1:{receiver.port}/hook?code=hunter3", headers={"X-Key": ("hunter4",)}
    )

    run_to_the_end(journal.delivery(section))

    lines = [record.getMessage() for record in caplog.records if "endpoint ci" in record.getMessage()]
    assert len(lines) == 2
    assert lines[0] == "endpoint ci does not take events: it answers 500 Internal Server Error"
    assert lines[1].startswith("endpoint ci takes events again, after ")
    assert "hunter" not in caplog.text


def test_the_cursor_says_how_the_endpoint_stands(journal: Journal, receiver: Receiver) -> None:
    began = time.time()
    journal.add(push("a"))
    delivery = journal.delivery(endpoint(receiver.url(), backoff_seconds=30.0, maxbackoff_seconds=60.0, threshold=1))
    delivery.run()
    receiver.answer = failing(100)
    journal.add(push("b"))
    delivery.run()

    cursor = journal.cursors.get("ci")
    assert cursor
    assert began <= cursor.state["last_success"] <= cursor.state["failing_since"] <= time.time()
    assert cursor.state["last_error"] == "it answers 500 Internal Server Error"
