"""What a writer does, and what it costs, while no garbage collection runs and while one does."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, UnavailableError
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths, runs
from registry.storage.passage import Passage
from registry.storage.runs import Closed, Notice, Phase, Run, Runs
from tests.drivers.failing import FailingDriver, PowerLossError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.inmemory import InMemoryDriver

DIGEST, OTHER = Digest.of(b"one"), Digest.of(b"other")
IDLE, MARKING = Run(4), Run(5, Phase.MARKING)


class Hand:
    """A clock that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def counted(driver: InMemoryDriver) -> FailingDriver:
    return FailingDriver(driver, fail_at=0)


@pytest.fixture
def passage(counted: FailingDriver, hand: Hand) -> Passage:
    return Passage(Runs(counted), clock=hand, pause=hand.wait)


@pytest.fixture
def running(driver: InMemoryDriver) -> Runs:
    """What a garbage collection says."""
    return Runs(driver)


def notices(running: Runs) -> list[Notice | None]:
    return [running.notice(each) for each in running.notice_ids()]


def test_while_no_run_is_on_a_process_asks_once_in_a_while_however_many_write(
    passage: Passage, counted: FailingDriver, hand: Hand
) -> None:
    for _ in range(100):
        assert passage.enter("a", [DIGEST]).confirm()
    assert counted.calls == 1

    hand.wait(runs.PACE.cached)
    assert passage.enter("a", [DIGEST]).confirm()

    assert counted.calls == 2


def test_threads_share_what_was_asked(passage: Passage, counted: FailingDriver) -> None:
    passage.known()
    writers = [threading.Thread(target=lambda: passage.enter("a", [DIGEST]).confirm()) for _ in range(8)]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert counted.calls == 1


def test_a_writer_that_takes_long_asks_again_at_its_end(
    passage: Passage, counted: FailingDriver, hand: Hand, running: Runs
) -> None:
    running.write(IDLE)
    visit = passage.enter("a", [DIGEST])

    hand.wait(runs.PACE.cached)

    assert visit.confirm()
    assert counted.calls == 2
    assert notices(running) == []


def test_in_a_run_a_writer_says_what_it_relies_on_for_one_notice_and_three_looks(
    passage: Passage, counted: FailingDriver, running: Runs
) -> None:
    running.write(MARKING)

    assert passage.enter("a", [DIGEST, OTHER], [Tag("v1")]).confirm()

    assert counted.calls == 4
    assert notices(running) == [Notice("a", (str(DIGEST), str(OTHER)), ("v1",))]


def test_a_run_is_known_to_the_next_writer_when_the_first_has_seen_it(passage: Passage, running: Runs) -> None:
    running.write(MARKING)

    for _ in range(3):
        assert passage.enter("a", [DIGEST]).confirm()

    assert len(notices(running)) == 3


def test_a_run_that_has_begun_meanwhile_is_told_and_the_writer_has_to_look_again(
    passage: Passage, hand: Hand, running: Runs
) -> None:
    visit = passage.enter("a", [DIGEST], [Tag("v1")])
    running.write(MARKING)
    hand.wait(runs.PACE.cached)

    assert not visit.confirm()

    assert notices(running) == [Notice("a", (str(DIGEST),), ("v1",))]
    assert visit.confirm()


@pytest.mark.parametrize("later", [Run(6), Run(7, Phase.CONDEMNING), Run(8)])
def test_a_writer_has_to_look_again_when_the_run_is_another_one_or_has_ended(
    passage: Passage, running: Runs, later: Run
) -> None:
    running.write(MARKING)
    visit = passage.enter("a", [DIGEST])
    running.write(later)

    assert not visit.confirm()

    assert len(notices(running)) == (2 if later.is_on else 1)
    assert visit.confirm()


def test_a_writer_that_has_told_a_run_does_not_believe_what_another_one_knew_before(
    passage: Passage, running: Runs
) -> None:
    running.write(MARKING)
    visit = passage.enter("a", [DIGEST])
    running.write(Run(6))
    passage.known()
    running.write(Run(7, Phase.MARKING))

    assert not visit.confirm()

    assert len(notices(running)) == 2


@pytest.mark.parametrize("closed", [Closed("a"), Closed(digests=frozenset([str(OTHER)]))], ids=["repository", "digest"])
def test_a_writer_waits_for_what_a_run_has_closed(
    counted: FailingDriver, hand: Hand, running: Runs, closed: Closed
) -> None:
    running.write(replace(MARKING, closed=closed))
    waits = []

    def wait(seconds: float) -> None:
        hand.wait(seconds)
        waits.append(notices(running))
        if len(waits) == 3:
            running.write(MARKING)

    assert Passage(Runs(counted), clock=hand, pause=wait).enter("a", [DIGEST, OTHER]).confirm()

    assert len(waits) == 3
    assert all(waits), "the notice has to be there before the look"


class Counts:
    """Counts notices and waits."""

    def __init__(self) -> None:
        self.notices = 0
        self.waits: list[float] = []

    def collection_noticed(self) -> None:
        self.notices += 1

    def collection_waited(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_notices_and_waits_are_counted_also_of_a_writer_that_gives_up(
    counted: FailingDriver, hand: Hand, running: Runs
) -> None:
    counts = Counts()
    passage = Passage(Runs(counted), clock=hand, pause=hand.wait, meter=counts)
    running.write(replace(MARKING, closed=Closed("a")))

    assert passage.enter("b", [DIGEST]).confirm()
    with pytest.raises(UnavailableError):
        passage.enter("a", [DIGEST])

    assert counts.notices == 2
    assert counts.waits == [pytest.approx(runs.PACE.closed)]


def test_a_writer_beside_no_run_is_not_counted(counted: FailingDriver, hand: Hand) -> None:
    counts = Counts()

    assert Passage(Runs(counted), clock=hand, pause=hand.wait, meter=counts).enter("a", [DIGEST]).confirm()

    assert (counts.notices, counts.waits) == (0, [])


@pytest.mark.parametrize("closed", [Closed("b"), Closed(digests=frozenset([str(OTHER)]))], ids=["repository", "digest"])
def test_a_writer_does_not_wait_for_what_others_write(
    passage: Passage, hand: Hand, running: Runs, closed: Closed
) -> None:
    running.write(replace(MARKING, closed=closed))
    before = hand.now

    assert passage.enter("a", [DIGEST]).confirm()

    assert hand.now == before


def test_a_writer_gives_up_when_a_run_has_it_closed_for_too_long(passage: Passage, hand: Hand, running: Runs) -> None:
    running.write(replace(MARKING, closed=Closed("a")))
    before = hand.now

    with pytest.raises(UnavailableError, match="a garbage collection is at work on a"):
        passage.enter("a", [DIGEST])

    assert hand.now - before == pytest.approx(runs.PACE.closed)


def test_few_threads_wait_for_a_run_and_others_are_refused_at_once(
    counted: FailingDriver, hand: Hand, running: Runs
) -> None:
    running.write(replace(MARKING, closed=Closed("a")))
    opened, waiting = threading.Event(), threading.Semaphore(0)
    passed: list[bool] = []

    def wait(_: float) -> None:
        waiting.release()
        opened.wait()

    passage = Passage(Runs(counted), clock=hand, pause=wait)
    writers = [
        threading.Thread(target=lambda: passed.append(passage.enter("a", [DIGEST]).confirm())) for _ in range(32)
    ]
    for writer in writers:
        writer.start()
    for _ in writers:
        waiting.acquire()

    with pytest.raises(UnavailableError, match="others wait for that already"):
        passage.enter("a", [DIGEST])
    assert passage.enter("b", [DIGEST]).confirm()

    running.write(MARKING)
    opened.set()
    for writer in writers:
        writer.join()
    assert passed == [True] * 32


@pytest.mark.parametrize("run", [IDLE, MARKING], ids=["idle", "run"])
def test_a_storage_that_fails_at_any_look_fails_the_writer(driver: InMemoryDriver, running: Runs, run: Run) -> None:
    running.write(run)
    for fail_at in range(1, 5 if run.is_on else 2):
        with pytest.raises(PowerLossError):
            Passage(Runs(FailingDriver(driver, fail_at))).enter("a", [DIGEST]).confirm()


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"phase": "dancing"}', b"\xff", b" " * 2_000_000])
def test_a_run_that_cannot_be_understood_is_an_error_that_says_what_to_do(
    passage: Passage, driver: InMemoryDriver, content: bytes
) -> None:
    driver.put(paths.GC_RUN, content)

    with pytest.raises(DriverError, match=r"/gc/run cannot be understood .*: while no garbage collection runs"):
        passage.enter("a", [DIGEST])


class Many:
    """More digests than anybody would hold."""

    count = 25_000

    def __iter__(self) -> Iterator[Digest]:
        return (Digest("sha256", f"{number:064x}") for number in range(self.count))


def test_what_a_writer_relies_on_may_need_several_notices_and_the_last_of_it_is_waited_for(
    passage: Passage, running: Runs
) -> None:
    running.write(replace(MARKING, closed=Closed(digests=frozenset([f"sha256:{Many.count - 1:064x}"]))))

    with pytest.raises(UnavailableError):
        passage.enter("a", Many())

    told = notices(running)
    assert sum(len(notice.digests) for notice in told if notice) == Many.count
    assert len(told) == 3


def test_the_time_since_which_a_link_can_be_brought_back_is_by_the_clock_of_the_storage(
    driver: InMemoryDriver, running: Runs
) -> None:
    visit = Passage(Runs(driver), 100.0).enter("a", [DIGEST])

    since = visit.revivable_since()

    assert visit.revivable_since() == since
    [notice_id] = running.notice_ids()
    assert since == driver.stat(paths.gc_notice(notice_id)).modified - 100


def test_a_storage_in_which_nothing_was_ever_condemned_is_not_asked_what_was(
    passage: Passage, hand: Hand, running: Runs
) -> None:
    visit = passage.enter("a", [DIGEST])
    before = visit.may_revive

    running.write(MARKING)
    hand.wait(runs.PACE.cached)

    assert not before
    assert visit.may_revive
    assert passage.enter("a", [DIGEST]).may_revive


def test_where_the_object_of_the_run_was_lost_what_was_condemned_in_the_repository_is_brought_back(
    driver: InMemoryDriver, passage: Passage
) -> None:
    driver.put(paths.condemned_layer_link("a", OTHER), str(OTHER).encode())

    assert passage.enter("a", [DIGEST]).may_revive
    assert not passage.enter("b", [DIGEST]).may_revive


def test_a_run_is_told_from_an_end_of_the_same_number(passage: Passage, hand: Hand, running: Runs) -> None:
    running.write(IDLE)
    visit = passage.enter("a", [DIGEST])
    running.write(replace(IDLE, phase=Phase.MARKING))
    hand.wait(runs.PACE.cached)

    assert not visit.confirm()
    assert visit.confirm()


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_damaged_object_of_the_run_refuses_writers_for_a_while_and_says_what_to_do(
    driver: InMemoryDriver, passage: Passage, content: bytes
) -> None:
    driver.put(paths.GC_RUN, content)
    with pytest.raises(UnavailableError, match=r"gc/run cannot be understood .* delete it"):
        passage.enter("a", [DIGEST])
