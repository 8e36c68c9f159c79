"""Claims on a medium without locks, whose holders are stopped, cut off or killed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from drivers.base import UnavailableError
from drivers.claims import SILENT_SECONDS, ObjectClaims, Pace
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from tests.drivers.claim_conformance import CLAIM, is_held
from tests.drivers.conformance import EVERYTHING, LIMIT, PATIENT_SECONDS
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import Claim, StorageDriver

_QUICK = Pace(beat=0.005)
_NEVER = Pace(beat=3600)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store() -> InMemoryDriver:
    return InMemoryDriver()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def claims(store: StorageDriver, clock: Clock, pace: Pace = _QUICK) -> ObjectClaims:
    """Give the claims of another process."""
    return ObjectClaims(store, pace, clock=clock)


def claimed(asker: ObjectClaims) -> Claim:
    claim = asker.claim(CLAIM)
    assert claim
    return claim


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def numbers(store: StorageDriver) -> list[str]:
    return store.list(CLAIM, limit=EVERYTHING)


def content(store: StorageDriver) -> bytes:
    return store.get(f"{CLAIM}/{numbers(store)[-1]}", limit=LIMIT)


def beats(store: StorageDriver) -> int:
    """Tell how often the one who has the claim has written it again."""
    return int(content(store).rpartition(b" ")[2])


def wait_for_beats(store: StorageDriver) -> None:
    """Wait for a beat that began after the call."""
    before = beats(store)
    wait_until(lambda: beats(store) > before + 1)


def test_one_who_is_heard_of_keeps_a_claim_for_longer_than_others_would_wait(
    store: InMemoryDriver, clock: Clock
) -> None:
    asker = claims(store, clock)
    with claimed(claims(store, clock)) as claim:
        for _ in range(10):
            assert asker.claim(CLAIM) is None
            clock.seconds += SILENT_SECONDS / 3
            wait_for_beats(store)
            assert is_held(claim)

    claimed(asker).release()
    assert numbers(store) == []


def test_a_claim_of_one_who_is_killed_is_taken_over_once_that_was_not_heard_of_for_long(
    store: InMemoryDriver, clock: Clock
) -> None:
    killed = claimed(claims(store, clock, _NEVER))
    asker, late = claims(store, clock), claims(store, clock)
    assert asker.claim(CLAIM) is None
    clock.seconds += SILENT_SECONDS - 1
    assert asker.claim(CLAIM) is None
    assert is_held(killed)
    assert late.claim(CLAIM) is None
    clock.seconds += 1

    assert not is_held(killed)
    assert late.claim(CLAIM) is None  # who has asked for a second only does not know
    with claimed(asker) as claim:
        assert is_held(claim)
        assert numbers(store) == ["2"]  # nothing of the one before is left
        killed.release()
        assert is_held(claim)
        assert late.claim(CLAIM) is None
    assert numbers(store) == []


def test_clocks_need_not_agree(store: InMemoryDriver) -> None:
    ahead, behind = Clock(1e9), Clock(-1e9)
    with claimed(claims(store, behind)):
        assert claims(store, ahead).claim(CLAIM) is None


def test_one_whom_the_storage_does_not_answer_does_not_rely_on_its_claim(store: InMemoryDriver, clock: Clock) -> None:
    storage = FailingDriver(store, fail_at=0)
    cut_off, asker = claimed(claims(storage, clock)), claims(store, clock)
    storage.fail_from_now_on()
    wait_until(lambda: storage.power_is_gone)
    assert asker.claim(CLAIM) is None
    assert is_held(cut_off)

    clock.seconds += SILENT_SECONDS
    assert not is_held(cut_off)
    with claimed(asker) as claim:
        storage.work_again()

        cut_off.release()

        assert not is_held(cut_off)
        assert is_held(claim)
        assert numbers(store) == ["2"]


def test_one_who_missed_a_beat_keeps_its_claim(store: InMemoryDriver, clock: Clock) -> None:
    storage = FailingDriver(store, fail_at=0)
    with claimed(claims(storage, clock)) as claim:
        storage.fail_from_now_on()
        wait_until(lambda: storage.power_is_gone)
        clock.seconds += SILENT_SECONDS - 1
        storage.work_again()
        wait_for_beats(store)
        clock.seconds += SILENT_SECONDS - 1

        assert is_held(claim)


def test_one_whose_claim_another_has_finds_out(store: InMemoryDriver, clock: Clock) -> None:
    stopped = claimed(claims(store, clock))
    store.delete(f"{CLAIM}/1")
    claim = claimed(claims(store, clock))

    wait_until(lambda: not stopped.held)

    assert is_held(claim)
    stopped.release()
    assert is_held(claim)
    assert numbers(store) == ["1"]
    claim.release()


@pytest.mark.parametrize("call", ["create", "replace"])
def test_a_call_whose_answer_is_lost_costs_no_claim(store: InMemoryDriver, clock: Clock, call: str) -> None:
    class Repeating(DelegatingDriver):
        """Loses the answer to the first such call and makes it again, as an SDK does."""

        lost = 0

        def create(self, path: str, content: bytes) -> None:
            super().create(path, content)
            if call == "create" and not self.lost:
                self.lost += 1
                super().create(path, content)

        def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
            super().replace(path, content, expected=expected)
            if call == "replace" and not self.lost:
                self.lost += 1
                super().replace(path, content, expected=expected)

    storage = Repeating(store)
    with claimed(claims(storage, clock)) as claim:
        wait_until(lambda: beats(store) >= 4)

        assert storage.lost
        assert is_held(claim)
        assert claims(store, clock).claim(CLAIM) is None

    assert numbers(store) == []


def test_a_release_that_the_storage_does_not_take_costs_the_others_the_time_of_a_death(
    store: InMemoryDriver, clock: Clock
) -> None:
    storage = FailingDriver(store, fail_at=0)
    claim, asker = claimed(claims(storage, clock, _NEVER)), claims(store, clock)
    storage.fail_from_now_on()

    claim.release()

    assert not is_held(claim)
    assert asker.claim(CLAIM) is None
    clock.seconds += SILENT_SECONDS
    claimed(asker).release()
    assert numbers(store) == []


def test_a_failure_of_the_storage_is_told_to_who_asks(store: InMemoryDriver, clock: Clock) -> None:
    class Down(DelegatingDriver):
        def create(self, path: str, content: bytes) -> None:
            raise UnavailableError(f"{path} {content!r}")

    with pytest.raises(UnavailableError):
        claims(Down(store), clock).claim(CLAIM)
    claimed(claims(store, clock)).release()


def test_what_another_program_left_at_the_path_is_no_claim_that_lives(store: InMemoryDriver, clock: Clock) -> None:
    store.put(f"{CLAIM}/7", b"x" * 10_000)
    asker = claims(store, clock)
    assert asker.claim(CLAIM) is None
    clock.seconds += SILENT_SECONDS

    with claimed(asker):
        assert numbers(store) == ["8"]


@pytest.mark.parametrize("silent", [False, True])
def test_at_whatever_moment_another_claims_one_has_it_and_nothing_is_left(clock: Clock, silent: bool) -> None:
    moment = 1
    while claim_while_another_does(moment, clock, silent=silent):
        moment += 1

    assert moment > 3


def claim_while_another_does(moment: int, clock: Clock, *, silent: bool) -> bool:
    """Let another claim right before the `moment`-th call of one who claims; tell whether there were as many.

    If `silent`, both have seen for long enough that nothing is heard of the one who has the claim.
    """
    store = InMemoryDriver()
    other = claims(store, clock)
    others: list[Claim | None] = []
    meeting = InterleavingDriver(store, moment, lambda: others.append(other.claim(CLAIM)))
    asker = claims(meeting, clock, _NEVER)
    if silent:
        store.put(f"{CLAIM}/1", b"of one who is dead")
        assert (asker.claim(CLAIM), other.claim(CLAIM)) == (None, None)
        clock.seconds += SILENT_SECONDS

    had = [claim for claim in (asker.claim(CLAIM), *others) if claim]
    assert len(had) == 1
    had[0].release()

    assert numbers(store) == []
    return meeting.calls >= moment


def test_no_thread_is_left_when_nothing_is_claimed(store: InMemoryDriver, clock: Clock) -> None:
    def threads() -> int:
        return sum(thread.name == "claims" for thread in threading.enumerate())

    wait_until(lambda: threads() == 0)
    asker = claims(store, clock)
    held = [asker.claim(f"{CLAIM}-{number}") for number in range(5)]

    assert threads() == 1
    for claim in held:
        assert claim
        claim.release()
    wait_until(lambda: threads() == 0)
