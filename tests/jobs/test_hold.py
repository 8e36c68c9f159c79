from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.jobs.cluster import Cluster, Member, member_name
from registry.jobs.hold import HOLD_SECONDS, Hold
from registry.storage import paths
from tests.config.forms import configure

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver(tmp_path: Path) -> StorageDriver:
    driver = FilesystemDriver(str(tmp_path / "root"))
    driver.put(f"{paths.REPOSITORIES}/content", b"")
    return driver


@pytest.fixture
def me() -> Member:
    return Member.of(configure("http: {addr: ':5000'}"))


def wait(hold: Hold, clock: Clock, seconds: int) -> float:
    """Return what `hold` says after it was asked every second for so long."""
    for _ in range(seconds):
        clock.now += 1
        hold()
    return hold()


def test_a_host_that_is_alone_on_a_directory_soon_waits_for_nobody(
    driver: StorageDriver, me: Member, clock: Clock
) -> None:
    hold = Hold(driver, Cluster(driver), me.name, clock)
    assert wait(hold, clock, 60) == HOLD_SECONDS, "it has not announced itself"

    Cluster(driver).announce(me)

    assert wait(hold, clock, 10) == HOLD_SECONDS
    assert wait(hold, clock, 5) == 0


def test_another_host_is_waited_for_from_its_announcement_on_until_it_is_silent(
    driver: StorageDriver, tmp_path: Path, me: Member, clock: Clock
) -> None:
    hold = Hold(driver, Cluster(driver), me.name, clock)
    Cluster(driver).announce(me)
    assert wait(hold, clock, 15) == 0

    Cluster(driver).announce(replace(me, name="other"))
    assert wait(hold, clock, 1) == HOLD_SECONDS
    assert wait(hold, clock, 100) == HOLD_SECONDS

    an_hour_ago = time.time() - 3600
    os.utime(f"{tmp_path}/root{paths.cluster_member('other')}", (an_hour_ago, an_hour_ago))
    assert wait(hold, clock, 75) == 0


def test_on_other_storages_entries_always_wait(me: Member, clock: Clock) -> None:
    class Bucket(InMemoryDriver):
        name = "s3"
        shared_between_processes = True

    driver = Bucket()
    driver.put(f"{paths.REPOSITORIES}/content", b"")
    Cluster(driver).announce(me)

    assert wait(Hold(driver, Cluster(driver), me.name, clock), clock, 60) == HOLD_SECONDS


def test_in_the_storage_of_one_process_nobody_waits(me: Member) -> None:
    driver = InMemoryDriver()

    assert Hold(driver, Cluster(driver), me.name)() == 0


def test_where_nothing_can_be_seen_of_hosts_entries_wait(
    driver: FilesystemDriver, me: Member, clock: Clock, tmp_path: Path
) -> None:
    hold = Hold(driver, Cluster(driver), me.name, clock)
    Cluster(driver).announce(me)
    assert wait(hold, clock, 15) == 0
    (tmp_path / "root/registry").rename(tmp_path / "moved")
    (tmp_path / "root/registry").write_bytes(b"")

    clock.now += 1
    assert hold() == HOLD_SECONDS


def test_a_host_is_called_what_it_announces(me: Member) -> None:
    assert member_name(":5000") == me.name
    assert member_name(":5001") != me.name
