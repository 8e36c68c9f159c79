from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.health import report
from registry.health.board import Board, Verdict
from registry.jobs.cluster import Cluster, Member, look
from registry.jobs.job import JobFailedError
from registry.oci.digest import Digest
from registry.storage import paths
from tests.config.forms import configure

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

HOUR = 3600


@pytest.fixture
def driver() -> StorageDriver:
    made = InMemoryDriver()
    made.put(f"{paths.ROOT}/something", b"")
    return made


@pytest.fixture
def me() -> Member:
    return Member.of(configure("http: {secret: hunter2, addr: ':5000'}"))


@pytest.fixture
def board() -> Board:
    return Board()


def told(driver: StorageDriver, me: Member, *others: Member) -> dict[str, str]:
    """Return what `me` has to say of the others."""
    board = Board()
    for member in others:
        assert Cluster(driver).announce(member)
    look(Cluster(driver), me, board)
    return dict(board.notices)


def test_hosts_that_agree_have_nothing_to_say(driver: StorageDriver, me: Member) -> None:
    assert told(driver, me, replace(me, name="other")) == {}


def test_each_difference_is_told_with_its_consequence(driver: StorageDriver, me: Member) -> None:
    secret = Member.of(configure("http: {secret: other, addr: ':5001'}"))
    assert told(driver, me, replace(secret, name="a"), replace(me, name="b", driver="s3", version="9")) == {
        "cluster_a_secret": "has another http.secret: uploads that go from one to the other are refused",
        "cluster_b_driver": "keeps its content with another storage driver: it may not be the same content",
        "cluster_b_version": "runs another version of the registry",
    }


def test_a_difference_is_logged_once_until_it_becomes_another_and_told_while_it_lasts(
    driver: StorageDriver, me: Member, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(driver)
    for version, logged in (("8", 1), ("8", 1), ("9", 2), (me.version, 2)):
        cluster.announce(replace(me, name="other", version=version))
        look(cluster, me, board)
        assert len(caplog.messages) == logged
        assert bool(board.notices) == (version != me.version)


def test_a_difference_is_in_debug_health_and_makes_nothing_unready(
    driver: StorageDriver, me: Member, board: Board
) -> None:
    cluster = Cluster(driver)
    cluster.announce(replace(me, name="other", version="9"))
    look(cluster, me, board)
    assert report.health(board) == (200, {"cluster_other_version": "runs another version of the registry"})
    assert report.readiness(board) == (200, {})
    assert not board.refusing
    board.post(Verdict({"a": "broken"}, {"a": "broken"}))
    assert report.health(board)[0] == 503
    assert report.health(board)[1].keys() == {"cluster_other_version", "a"}


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_where_a_storage_is_not_mounted(
    tmp_path: Path, me: Member, board: Board, *, there: bool
) -> None:
    root = tmp_path / "mnt/registry"
    if there:
        root.mkdir(parents=True)
    with nullcontext() if there else pytest.raises(JobFailedError, match="of the cluster cannot be looked at"):
        look(Cluster(FilesystemDriver(str(root))), me, board)
    assert list(tmp_path.rglob("*")) == ([root.parent, root] if there else [])


def test_two_registries_of_one_host_have_different_names() -> None:
    names = {Member.of(configure(f"http: {{addr: '{addr}'}}")).name for addr in (":5000", ":5001")}
    assert len(names) == 2


def test_a_host_that_fell_silent_is_passed_over_and_forgotten_after_a_day(driver: StorageDriver, me: Member) -> None:
    silent = replace(me, name="silent", version="9", seen=me.seen - HOUR)
    gone = replace(me, name="gone", version="9", seen=me.seen - 25 * HOUR)
    assert told(driver, me, silent, gone) == {}
    assert driver.list(paths.CLUSTER, limit=10) == sorted([me.name, "silent"])


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name": "x"}', b"\xff"])
def test_what_no_registry_has_written_is_removed(driver: StorageDriver, me: Member, content: bytes) -> None:
    driver.put(paths.cluster_member("strange"), content)
    assert told(driver, me) == {}
    assert driver.list(paths.CLUSTER, limit=10) == [me.name]


def test_the_secret_is_not_among_what_is_written(driver: StorageDriver, me: Member) -> None:
    Cluster(driver).announce(me)
    assert b"hunter2" not in driver.get(paths.cluster_member(me.name), limit=4096)


def test_what_other_programs_keep_among_the_hosts_is_passed_over_and_stays(
    filesystem: FilesystemDriver, tmp_path: Path, me: Member
) -> None:
    filesystem.put(paths.blob_data(Digest.of(b"")), b"")
    hosts = tmp_path / paths.CLUSTER.strip("/")
    for folder in ("@eaDir", "lost+found", "backup"):
        (hosts / folder).mkdir(parents=True)
    for file in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (hosts / file).write_text("x")

    assert told(filesystem, me) == {}
    assert {each.name for each in hosts.iterdir()} == {
        *("@eaDir", "lost+found", "backup", "Thumbs.db", ".DS_Store", "desktop.ini", me.name)
    }
