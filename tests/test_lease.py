"""A lease is held by one at a time, whatever happens to those who ask for it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import DriverError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.lease import TERM_SECONDS, Lease, this_server
from registry.storage import paths
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.base import StorageDriver

MOST_SECONDS = TERM_SECONDS + 12
"""When another one holds the lease at the latest, if it asks often."""


class SharedMemory(InMemoryDriver):
    """The in-memory driver, as if several processes saw its objects."""

    shared_between_processes = True


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["inmemory", "filesystem"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> StorageDriver:
    """A storage that several processes share and that has content."""
    driver = SharedMemory() if request.param == "inmemory" else FilesystemDriver(str(tmp_path / "root"))
    driver.put(f"{paths.REPOSITORIES}/content", b"")
    return driver


def keep(lease: Lease, clock: Clock, seconds: float) -> list[bool]:
    """Ask `lease` every half second for so long."""
    answers = []
    for _ in range(int(seconds * 2)):
        clock.advance(0.5)
        answers.append(lease.held())
    return answers


def epochs(driver: StorageDriver) -> list[str]:
    return driver.list(paths.lease("x"), limit=100)


def test_the_first_who_asks_holds_it_and_no_other_for_as_long_as_it_asks(driver: StorageDriver, clock: Clock) -> None:
    first, second = (Lease(driver, "x", name, clock=clock) for name in ("a", "b"))

    assert first.held()
    for _ in range(200):
        clock.advance(0.5)
        assert first.held()
        assert not second.held()
    assert len(epochs(driver)) == 1


def test_leases_of_other_names_are_others(driver: StorageDriver, clock: Clock) -> None:
    assert Lease(driver, "x", "a", clock=clock).held()
    assert Lease(driver, "y", "b", clock=clock).held()


def test_another_one_takes_it_over_from_one_that_is_silent(driver: StorageDriver, clock: Clock) -> None:
    first, second = (Lease(driver, "x", name, clock=clock) for name in ("a", "b"))
    assert first.held()

    assert not any(keep(second, clock, TERM_SECONDS))
    assert keep(second, clock, MOST_SECONDS - TERM_SECONDS)[-1]
    assert not first.held()
    assert second.held()
    keep(second, clock, 20)
    assert len(epochs(driver)) == 1


def test_one_that_has_lost_it_may_take_it_over_again(driver: StorageDriver, clock: Clock) -> None:
    first, second = (Lease(driver, "x", name, clock=clock) for name in ("a", "b"))
    assert first.held()
    keep(second, clock, MOST_SECONDS)
    assert not first.held()

    assert keep(first, clock, MOST_SECONDS)[-1]
    assert not second.held()


def test_what_is_released_is_held_by_another_at_once_and_never_again_by_the_one_before(
    driver: StorageDriver, clock: Clock
) -> None:
    first, second, third = (Lease(driver, "x", name, clock=clock) for name in ("a", "b", "c"))
    assert first.held()
    assert not second.held()

    first.release()

    assert third.held()
    assert not first.held()
    clock.advance(1000)
    assert not first.held()


def test_who_does_not_hold_it_releases_nothing(driver: StorageDriver, clock: Clock) -> None:
    first, second = (Lease(driver, "x", name, clock=clock) for name in ("a", "b"))
    assert first.held()
    assert not second.held()

    second.release()

    clock.advance(2)
    assert first.held()


def test_a_server_that_is_started_again_takes_its_own_over_at_once(driver: StorageDriver, clock: Clock) -> None:
    former = Lease(driver, "x", "a", clock=clock)
    assert former.held()
    assert not Lease(driver, "x", "b", clock=clock).held()

    started = Lease(driver, "x", "a", clock=clock)
    assert started.held()

    clock.advance(5)
    assert not former.held()


def test_two_that_are_called_the_same_do_not_take_it_from_each_other_again_and_again(
    driver: StorageDriver, clock: Clock
) -> None:
    first, second = (Lease(driver, "x", "a", clock=clock) for _ in range(2))
    assert first.held()
    assert second.held()

    for _ in range(200):
        clock.advance(0.5)
        first.held()
        assert second.held()
    assert not first.held()


def test_a_storage_of_one_process_needs_no_lease() -> None:
    driver = InMemoryDriver()
    lease = Lease(driver, "x", "a")

    assert lease.held()
    assert epochs(driver) == []
    lease.release()
    assert not lease.held()


def test_no_lease_is_taken_in_a_storage_without_content(tmp_path: Path, clock: Clock) -> None:
    driver = FilesystemDriver(str(tmp_path))
    lease = Lease(driver, "x", "a", clock=clock)

    assert not lease.held()
    assert list(tmp_path.iterdir()) == []

    driver.put(f"{paths.REPOSITORIES}/content", b"")
    clock.advance(2)
    assert lease.held()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"holder": "a"}', b'{"newer": 1}', b"x" * 100_000])
def test_a_term_that_cannot_be_read_is_one_of_another(driver: StorageDriver, clock: Clock, content: bytes) -> None:
    driver.put(paths.lease_epoch("x", 7), content)
    driver.put(f"{paths.lease('x')}/Thumbs.db", b"x")
    lease = Lease(driver, "x", "b", clock=clock)

    assert not any(keep(lease, clock, TERM_SECONDS))
    assert keep(lease, clock, MOST_SECONDS - TERM_SECONDS)[-1]


class Failing(FailingDriver):
    """A storage that does not answer for as long as `down` is true."""

    name = "filesystem"
    down = False

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner, fail_at=0)

    def count(self) -> None:
        super().count()
        if self.down:
            raise DriverError("down")


def test_while_the_storage_does_not_answer_it_is_not_held_and_afterwards_again(
    driver: StorageDriver, clock: Clock
) -> None:
    failing = Failing(driver)
    lease = Lease(failing, "x", "a", clock=clock)
    assert lease.held()

    failing.down = True
    clock.advance(2)
    with pytest.raises(DriverError, match="down"):
        lease.held()
    asked = failing.calls
    assert not lease.held()
    assert failing.calls == asked, "it is asked once a second"

    failing.down = False
    clock.advance(2)
    assert lease.held()


def test_after_a_long_outage_it_is_held_by_one(driver: StorageDriver, clock: Clock) -> None:
    failing = Failing(driver)
    first = Lease(failing, "x", "a", clock=clock)
    assert first.held()
    failing.down = True
    second = Lease(driver, "x", "b", clock=clock)
    for _ in range(int(MOST_SECONDS)):
        clock.advance(1)
        second.held()
        with suppress(DriverError):
            assert not first.held()

    failing.down = False
    clock.advance(1)

    assert second.held()
    assert not first.held()


class Creating(Failing):
    """A storage in which something happens right before an object is created, and whose answer may be lost."""

    def __init__(self, inner: StorageDriver, before: Callable[[], object]) -> None:
        super().__init__(inner)
        self._before = before
        self.loses = False

    def create(self, path: str, content: bytes) -> None:
        self._before()
        super().create(path, content)
        if self.loses:
            raise DriverError("the answer is lost")


@pytest.mark.parametrize("loses", [False, True])
def test_who_takes_it_over_waits_until_the_one_before_has_looked(
    driver: StorageDriver, clock: Clock, *, loses: bool
) -> None:
    first, answers = Lease(Failing(driver), "x", "a", clock=clock), []
    medium = Creating(driver, lambda: answers.append(first.held()))
    second = Lease(medium, "x", "b", clock=clock)
    assert first.held()
    keep(second, clock, TERM_SECONDS)
    medium.loses = loses

    with suppress(DriverError):
        while not answers:
            clock.advance(1)
            assert not second.held()
    assert answers == [True], "the first one was silent for long, and is back at the last moment"

    clock.advance(0.5)
    assert first.held()
    while not second.held():
        clock.advance(0.5)
        first.held()
    assert not first.held()


def test_few_calls_are_made_however_often_it_is_asked(driver: StorageDriver, clock: Clock) -> None:
    counting = Failing(driver)
    lease = Lease(counting, "x", "a", clock=clock)
    lease.held()
    before = counting.calls

    for _ in range(1000):
        lease.held()
    assert counting.calls == before

    for _ in range(100):
        clock.advance(0.1)
        lease.held()
    assert counting.calls - before <= 3 * 10, "a look each second, and a renewal every 8"


def test_a_look_that_takes_long_is_not_relied_on(driver: StorageDriver, clock: Clock) -> None:
    class Slow(Failing):
        def count(self) -> None:
            super().count()
            if self.calls > 10:
                clock.advance(TERM_SECONDS)

    lease = Lease(Slow(driver), "x", "a", clock=clock)
    assert lease.held()
    answers = [keep(lease, clock, 1) for _ in range(10)]

    assert not answers[-1][-1]


def test_the_clock_of_the_wall_is_not_asked(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Lease(driver, "x", name) for name in ("a", "b"))
    assert first.held()
    assert not second.held()

    for moment in (0.0, 1e10):
        monkeypatch.setattr(time, "time", lambda: moment)  # noqa: B023  used in this very round
        monkeypatch.setattr(time, "time_ns", lambda: int(moment * 1e9))  # noqa: B023
        assert first.held()
        assert not second.held()


def test_of_many_threads_with_a_lease_each_one_holds_it(driver: StorageDriver) -> None:
    leases = [Lease(driver, "x", f"{number}") for number in range(8)]
    start, found = threading.Barrier(len(leases)), []

    def ask(lease: Lease) -> None:
        start.wait()
        found.append(lease.held())

    threads = [threading.Thread(target=ask, args=[lease]) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found.count(True) == 1


def test_a_server_is_called_the_same_when_it_is_started_again() -> None:
    assert this_server(":5000") == this_server(":5000")
    assert this_server(":5000") != this_server(":5001")


@dataclass
class Process:
    """A process that asks for a lease when it is told to."""

    pid: int
    told: int
    tell: int

    def held(self) -> bool:
        os.write(self.tell, b"?")
        return self.answer()

    def answer(self) -> bool:
        return os.read(self.told, 1) == b"y"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Start a process with a lease of its own, in whose eyes time goes ten times as fast."""
    processes: list[Process] = []

    def fork(holder: str) -> Process:
        (asked, tell), (told, answer) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            driver = FilesystemDriver(str(tmp_path / "root"))
            lease = Lease(driver, "x", holder, clock=lambda: time.monotonic() * 10)
            while os.read(asked, 1):
                os.write(answer, b"y" if lease.held() else b"n")
            os._exit(0)
        processes.append(Process(pid, told, tell))
        return processes[-1]

    FilesystemDriver(str(tmp_path / "root")).put(f"{paths.REPOSITORIES}/content", b"")
    yield fork
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process.pid, 0)
        os.close(process.told)
        os.close(process.tell)


def test_after_a_holder_was_killed_another_process_takes_over_and_its_own_successor_at_once(
    start: Callable[[str], Process], tmp_path: Path, clock: Clock
) -> None:
    driver = FilesystemDriver(str(tmp_path / "root"))
    process = start("a")
    assert process.held()
    other = Lease(driver, "x", "b", clock=clock)
    assert not other.held()

    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)

    assert not any(keep(other, clock, TERM_SECONDS - 2))
    successor = start("a")
    assert successor.held()
    assert not other.held()
    os.kill(successor.pid, signal.SIGKILL)
    assert keep(other, clock, MOST_SECONDS)[-1]


def test_a_holder_that_was_stopped_for_long_notices_at_once(
    start: Callable[[str], Process], tmp_path: Path, clock: Clock
) -> None:
    process = start("a")
    assert process.held()
    os.kill(process.pid, signal.SIGSTOP)
    other = Lease(FilesystemDriver(str(tmp_path / "root")), "x", "b", clock=clock)
    assert keep(other, clock, MOST_SECONDS)[-1]
    time.sleep(1)  # ten seconds in the eyes of the process that is stopped

    os.write(process.tell, b"?")
    os.kill(process.pid, signal.SIGCONT)

    assert not process.answer()
    assert other.held()


@dataclass(frozen=True)
class Step:
    """What happens next: somebody asks, and between its calls of the storage time passes, others ask, calls fail."""

    actor: int
    what: str
    seconds: float
    between: list[tuple[float, int, bool]]


STEPS = st.builds(
    Step,
    actor=st.integers(0, 3),
    what=st.sampled_from(["ask"] * 12 + ["release", "restart"]),
    seconds=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 31.0]),
    between=st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 0.5, 3.0, 6.0, 31.0]), st.integers(-3, 3), st.booleans()), max_size=4
    ),
)
RELIES_SECONDS = 5.0
"""For how long a look is relied on: a process that is about to end and the next one of the same server may overlap."""


@dataclass
class Actor:
    holder: str
    lease: Lease
    medium: Medium
    asking: bool = False


@dataclass
class World:
    """Actors over one storage. Two of them have one name, as a process has that is about to end and the next one."""

    failing: bool
    clock: Clock = field(default_factory=Clock)
    medium: SharedMemory = field(default_factory=SharedMemory)
    between: list[tuple[float, int, bool]] = field(default_factory=list)
    newest: tuple[int, str, float] = 0, "", 0.0
    """The newest term in which somebody was told to hold the lease, who, and when for the first time."""

    def __post_init__(self) -> None:
        self.medium.put(f"{paths.REPOSITORIES}/content", b"")
        self.actors = [self.actor(name) for name in ("a", "b", "c", "c")]

    def actor(self, holder: str) -> Actor:
        medium = Medium(self)
        return Actor(holder, Lease(medium, "x", holder, clock=self.clock), medium)

    def ask(self, actor: Actor) -> bool:
        if actor.asking:
            return False
        actor.asking = True
        try:
            held = actor.lease.held()
        except DriverError:
            held = False
        finally:
            actor.asking = False
        if held:
            self.check(actor)
        return held

    def check(self, actor: Actor) -> None:
        """Nobody holds the lease in an older term once another one holds it in a newer one."""
        term, holder, since = self.newest
        if actor.medium.term > term:
            self.newest = actor.medium.term, actor.holder, self.clock.now
        elif actor.medium.term < term:
            assert actor.holder == holder
            assert self.clock.now - since < RELIES_SECONDS

    def do(self, step: Step) -> None:
        self.clock.advance(step.seconds)
        actor = self.actors[step.actor]
        self.between = list(step.between)
        if step.what == "release" and not actor.asking:
            actor.asking = True
            with suppress(DriverError):
                actor.lease.release()
        if step.what in {"release", "restart"}:
            self.actors[step.actor] = actor = self.actor(actor.holder)
        self.ask(actor)
        self.between = []

    def interrupt(self) -> None:
        """Let happen what happens between two calls of the storage."""
        if not self.between:
            return
        seconds, actor, fails = self.between.pop(0)
        self.clock.advance(seconds)
        if actor >= 0:
            self.ask(self.actors[actor])
        if fails and self.failing:
            raise DriverError("down")


class Medium(FailingDriver):
    name = "filesystem"

    def __init__(self, world: World) -> None:
        super().__init__(world.medium, fail_at=0)
        self._world = world
        self.term = 0

    def create(self, path: str, content: bytes) -> None:
        super().create(path, content)
        self.term = int(path.rpartition("/")[2])
        self._world.interrupt()  # the answer may get lost

    def count(self) -> None:
        super().count()
        self._world.interrupt()


@settings(max_examples=400, deadline=None)
@given(steps=st.lists(STEPS, max_size=40), failing=st.booleans())
def test_whatever_happens_one_holds_it_at_a_time_and_one_does_in_the_end(steps: list[Step], *, failing: bool) -> None:
    world = World(failing=failing)
    for step in steps:
        world.do(step)

    for _ in range(int(2 * MOST_SECONDS)):
        world.clock.advance(1)
        holders = [actor.holder for actor in world.actors if world.ask(actor)]

    assert len(holders) == 1
    [epoch] = epochs(world.medium)
    assert json.loads(world.medium.get(f"{paths.lease('x')}/{epoch}", limit=1000))["holder"] == holders[0]
