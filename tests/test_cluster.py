from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.cluster import Cluster, Member
from registry.storage import paths
from tests.config.forms import configure

if TYPE_CHECKING:
    from drivers.base import StorageDriver

HOUR = 3600


@pytest.fixture
def driver() -> StorageDriver:
    return InMemoryDriver()


@pytest.fixture
def me() -> Member:
    return Member.of(configure("http: {secret: hunter2, addr: ':5000'}"))


def told(driver: StorageDriver, me: Member, *others: Member) -> list[str]:
    cluster = Cluster(driver)
    for member in (me, *others):
        cluster.announce(member)
    return sorted(cluster.disagreements(me))


def test_hosts_that_agree_have_nothing_to_say(driver: StorageDriver, me: Member) -> None:
    assert told(driver, me, replace(me, name="other")) == []


def test_each_difference_is_told_with_its_consequence(driver: StorageDriver, me: Member) -> None:
    secret = Member.of(configure("http: {secret: other, addr: ':5001'}"))
    lines = told(driver, me, replace(secret, name="a"), replace(me, name="b", driver="s3", version="9"))
    assert lines == [
        "a has another http.secret: uploads that go from one to the other are refused",
        "b keeps its content with another storage driver: it may not be the same content",
        "b runs another version of the registry",
    ]


def test_a_difference_is_told_once_until_it_becomes_another(driver: StorageDriver, me: Member) -> None:
    cluster = Cluster(driver)
    cluster.announce(replace(me, name="other", version="8"))
    assert len(list(cluster.disagreements(me))) == 1
    assert list(cluster.disagreements(me)) == []
    cluster.announce(replace(me, name="other", version="9"))
    assert len(list(cluster.disagreements(me))) == 1


def test_two_registries_of_one_host_have_different_names() -> None:
    names = {Member.of(configure(f"http: {{addr: '{addr}'}}")).name for addr in (":5000", ":5001")}
    assert len(names) == 2


def test_a_host_that_fell_silent_is_passed_over_and_forgotten_after_a_day(driver: StorageDriver, me: Member) -> None:
    silent = replace(me, name="silent", version="9", seen=me.seen - HOUR)
    gone = replace(me, name="gone", version="9", seen=me.seen - 25 * HOUR)
    assert told(driver, me, silent, gone) == []
    assert driver.list(paths.CLUSTER, limit=10) == sorted([me.name, "silent"])


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name": "x"}', b"\xff"])
def test_what_no_registry_has_written_is_removed(driver: StorageDriver, me: Member, content: bytes) -> None:
    driver.put(paths.cluster_member("strange"), content)
    assert told(driver, me) == []
    assert driver.list(paths.CLUSTER, limit=10) == [me.name]


def test_the_secret_is_not_among_what_is_written(driver: StorageDriver, me: Member) -> None:
    Cluster(driver).announce(me)
    assert b"hunter2" not in driver.get(paths.cluster_member(me.name), limit=4096)
