"""A run of the garbage collection, and clients of a registry, in every order of their calls of the storage.

Of what was acknowledged nothing is ever lost, and who was told within the grace that something is there can push what
names it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import DriverError
from registry.lifecycle.online import Surroundings
from registry.lifecycle.own_run import RunLostError, supersede
from registry.storage import runs
from registry.storage.runs import Pace, Runs
from tests.lifecycle.runs import collect
from tests.lifecycle.world import TERMS, Clients, Interleaving, Medium, Switch, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drivers.base import StorageDriver
    from tests.conftest import Serve

ALL: Final = "ALL_ORDERS" in os.environ
"""Whether no order is left out on a file system, which takes some minutes."""
QUIET: Final = Surroundings("test", pause=lambda _: None)


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait, and nobody remember that no run was on."""
    monkeypatch.setattr(runs, "PACE", Pace(announced=0, cached=0, beat=1000, closed=0))


class World:
    """A storage to copy for each order, and an application that is turned to the copy."""

    def __init__(self, serve: Serve, directory: Path | None) -> None:
        self._template = Medium(directory)
        self._switch = Switch(self._template.driver)
        self.client = serve(self._switch)
        self.stride = 1 if ALL or directory is None else 11
        """Every which order is tried."""
        build(self.client, self._template)

    def begin(self) -> tuple[Medium, Clients]:
        """Return a copy, which the application serves, and its clients."""
        medium = self._template.copy()
        self.serve(medium.driver)
        return medium, Clients(self.client)

    def serve(self, driver: StorageDriver) -> None:
        self._switch.turn(driver)

    def count(self, work: Callable[[StorageDriver], object]) -> int:
        """Return how many calls `work` makes."""
        medium, _ = self.begin()
        counted = Interleaving(medium.driver, 0, lambda: None)
        work(counted)
        medium.remove()
        return counted.calls

    def end(self, medium: Medium, clients: Clients) -> None:
        """Answer the rest, let all of it grow old and collect: what was acknowledged is there."""
        self.serve(medium.driver)
        clients.again()
        clients.require_told(medium.driver)
        medium.make_old()
        collect(medium.driver, TERMS, QUIET)
        clients.require_told(medium.driver, tagged=True)
        medium.remove()


@pytest.fixture(params=["inmemory", "filesystem"])
def world(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> World:
    return World(serve, tmp_path if request.param == "filesystem" else None)


def do_all(clients: Clients) -> None:
    for request in clients.everything():
        request()


def test_what_is_prepared_is_condemned_and_deleted_by_a_run(world: World) -> None:
    medium, clients = world.begin()
    report = collect(medium.driver, TERMS, QUIET)
    assert (report.condemned_manifests, report.condemned_blobs, report.deleted_blobs) == (3, 5, 3)
    do_all(clients)
    world.end(medium, clients)


def test_requests_of_every_kind_between_any_two_calls_of_a_run(world: World) -> None:
    calls = world.count(partial(collect, terms=TERMS, surroundings=QUIET))
    assert calls > 50
    for moment in range(1, calls + 1, world.stride):
        medium, clients = world.begin()
        collect(Interleaving(medium.driver, moment, partial(do_all, clients)), TERMS, QUIET)
        world.end(medium, clients)


def test_a_run_between_any_two_calls_of_each_request(world: World) -> None:
    for number, _ in enumerate(world.begin()[1].everything()):
        calls = world.count(partial(_do_one, world, number))
        for moment in range(1, calls + 1, world.stride):
            medium, clients = world.begin()
            run = partial(collect, medium.driver, TERMS, QUIET)
            world.serve(Interleaving(medium.driver, moment, run))
            clients.everything()[number]()
            world.end(medium, clients)


def _do_one(world: World, number: int, driver: StorageDriver) -> None:
    world.serve(driver)
    Clients(world.client).everything()[number]()


def test_a_run_that_dies_at_any_call_loses_nothing_and_keeps_nobody_out(world: World) -> None:
    calls = world.count(partial(collect, terms=TERMS, surroundings=QUIET))
    for moment in range(1, calls + 1, world.stride):
        medium, clients = world.begin()
        dying = Interleaving(medium.driver, 0, lambda: None)
        dying.fail_at_call(moment)
        with suppress(DriverError, RunLostError):
            collect(dying, TERMS, QUIET)
        do_all(clients)
        supersede(medium.driver, pause=lambda _: None)
        assert not Runs(medium.driver).read().is_on
        clients.again()
        clients.require_told(medium.driver)
        collect(medium.driver, TERMS, QUIET)
        world.end(medium, clients)
