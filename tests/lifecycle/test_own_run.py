from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, Found
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.lifecycle.own_run import OwnRun, RunBusyError, RunLostError, begin, require_none, supersede
from registry.lifecycle.reports import KEPT, Report, last_number, latest_reports, write_report
from registry.storage import paths, runs
from registry.storage.runs import Closed, Pace, Phase, Run, Runs
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

pytestmark = pytest.mark.usefixtures("pace")


@pytest.fixture(params=["inmemory", "filesystem"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> StorageDriver:
    if request.param == "inmemory":
        return InMemoryDriver()
    return FilesystemDriver.from_parameters({"rootdirectory": str(tmp_path)})


def watch(driver: StorageDriver) -> OwnRun:
    """Begin a run without waiting between two looks at another."""
    return begin(driver, "test", pause=lambda _: None)


@pytest.fixture
def long_ago(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was written a moment ago count as nothing that shows that a run lives."""
    monkeypatch.setattr(runs, "PACE", replace(pace, reliance=0))


def test_a_run_is_announced_and_ended_each_by_a_higher_number(storage: StorageDriver) -> None:
    first = begin(storage, "host")
    announced = Runs(storage).read()
    assert (announced.number, announced.phase) == (1, Phase.MARKING)
    assert announced.host.startswith("host-")
    first.end()
    assert (Runs(storage).read().number, Runs(storage).read().is_on) == (2, False)
    assert begin(storage, "host").number == 3


def test_while_a_run_lives_no_other_begins_and_its_host_is_named(storage: StorageDriver) -> None:
    with begin(storage, "first"):
        with pytest.raises(RunBusyError, match="first-"):
            begin(storage, "second")
        assert not supersede(storage)


@pytest.mark.usefixtures("long_ago")
def test_a_run_that_beats_is_alive_however_old_its_object_looks(storage: StorageDriver) -> None:
    beaten = threading.Event()
    with begin(storage, "first"), pytest.raises(RunBusyError):
        begin(storage, "second", pause=lambda _: beaten.wait(0.05))


def _begin_into(begun: list[OwnRun], driver: StorageDriver) -> None:
    begun.append(watch(driver))


def test_of_two_that_begin_at_once_one_does_whatever_the_order_of_their_calls() -> None:
    dry_run = FailingDriver(InMemoryDriver(), fail_at=0)
    watch(dry_run)
    for moment in range(1, dry_run.calls + 1):
        medium = InMemoryDriver()
        begun: list[OwnRun] = []
        driver = InterleavingDriver(medium, moment, partial(_begin_into, begun, medium))
        with suppress(RunBusyError):
            begun.append(watch(driver))
        assert len(begun) == 1, f"at call {moment}"
        begun[0].close(Phase.CONDEMNING, Closed("app"))


@pytest.mark.usefixtures("long_ago")
def test_a_dead_run_is_superseded_and_can_do_nothing_more(storage: StorageDriver) -> None:
    dead = begin(storage, "dead")
    dead.close(Phase.CONDEMNING, Closed("app"))
    storage.put("/docker/registry/v2/x", b"x")
    (found,) = storage.walk("/docker")

    second = watch(storage)

    assert Runs(storage).read().number == dead.number + 1
    assert Runs(storage).read().closed == Closed()
    with pytest.raises(RunLostError):
        storage.discard(dead.while_held([found]))
    with pytest.raises(RunLostError):
        dead.open()
    with pytest.raises(RunLostError):
        dead.end()
    assert storage.get("/docker/registry/v2/x", limit=1) == b"x"
    second.end()


@pytest.mark.usefixtures("long_ago")
def test_what_a_dead_run_has_closed_can_be_opened_without_another_run(storage: StorageDriver) -> None:
    dead = begin(storage, "dead")
    dead.close(Phase.SWEEPING, Closed(digests=frozenset({"sha256:a"})))

    assert supersede(storage, pause=lambda _: None)

    assert Runs(storage).read() == Run(2, host=Runs(storage).read().host)
    assert not supersede(storage, pause=lambda _: None)
    with pytest.raises(RunLostError):
        dead.require()


def test_a_run_that_could_not_say_for_long_that_it_lives_says_so_before_it_deletes(
    storage: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_run = begin(storage, "host")
    own_run.require()
    said = Runs(storage).read().beat
    monkeypatch.setattr(runs, "PACE", Pace(reliance=-1))
    own_run.require()
    assert Runs(storage).read().beat == said + 1


def test_after_a_beat_that_failed_nothing_is_deleted() -> None:
    driver = FailingDriver(InMemoryDriver(), fail_at=0)
    own_run = begin(driver, "host")
    driver.fail_from_now_on()
    with own_run:
        beaten = threading.Event()
        while not driver.power_is_gone:
            beaten.wait(0.01)
        beaten.wait(0.05)
    driver.work_again()
    with pytest.raises(DriverError):
        list(own_run.while_held([Found("/x", 1, 0.0, "")]))


class _LostAnswer(FailingDriver):
    """A driver that repeats a replacement whose answer was lost."""

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        super().replace(path, content, expected=expected)
        super().replace(path, content, expected=expected)


def test_an_answer_that_was_lost_does_not_end_a_run() -> None:
    own_run = begin(_LostAnswer(InMemoryDriver(), fail_at=0), "host")
    own_run.close(Phase.CONDEMNING, Closed("app"))
    own_run.end()


class _StaleListing(InMemoryDriver):
    """A storage whose listings are those of a while ago."""

    def __init__(self) -> None:
        super().__init__()
        self.former: dict[str, list[str]] = {}

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        now = super().list(path, after="", limit=1000)
        return [name for name in self.former.setdefault(path, now) if name > after][:limit]


def test_a_storage_whose_listings_are_stale_gets_no_run() -> None:
    driver = _StaleListing()
    driver.list(paths.GC_NOTICES, limit=1)
    with pytest.raises(DriverError, match="not up to date"):
        begin(driver, "host")
    assert not Runs(driver).read().is_on


@pytest.mark.parametrize("content", [b"", b"torn", b"{}"])
def test_an_object_that_nobody_understands_is_told_of_with_what_to_do(storage: StorageDriver, content: bytes) -> None:
    storage.put(paths.GC_RUN, content)
    for action in (watch, require_none, supersede):
        with pytest.raises(DriverError, match=r"gc/run cannot be understood .* delete it"):
            action(storage)


@pytest.mark.parametrize("found", [None, Run(3)], ids=["lost", "restored from a backup"])
def test_numbers_go_on_where_the_object_of_the_run_was_lost_or_is_an_old_one(
    storage: StorageDriver, found: Run | None
) -> None:
    for number in range(10, 10 + 2 * KEPT, 2):
        write_report(storage, Report(number, "host", 0.0))
    highest = last_number(storage)
    if found:
        Runs(storage).write(found)

    own_run = watch(storage)
    write_report(storage, Report(own_run.number, "host", 0.0))

    # That no run was on after the last one is what a writer may know by the number behind it.
    assert own_run.number == highest + 2
    assert latest_reports(storage, 1)[0].run == own_run.number
