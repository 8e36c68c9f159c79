from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.health import report
from registry.health.board import Board, Verdict
from registry.jobs.cluster import Cluster, Member, host_name, look, member_name
from registry.jobs.job import JobFailedError
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.names import is_member
from tests.config.forms import configure

if TYPE_CHECKING:
    from collections.abc import Callable
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
    b = replace(me, name="b", driver="s3", version="9", notifications="", audit="")
    assert told(driver, me, replace(secret, name="a"), b) == {
        "cluster_a_secret": "has another http.secret: uploads that go from one to the other are refused",
        "cluster_b_driver": "keeps its content with another storage driver: it may not be the same content",
        "cluster_b_version": "runs another version of the registry",
        "cluster_b_notifications": "has other notifications:"
        " which events are sent depends on which of the hosts sends them",
        "cluster_b_audit": "has another audit section:"
        " what is recorded, and kept, depends on which of the hosts does it",
    }


ENDPOINTS = """
notifications:
  endpoints:
    - name: ci
      url: https://user:old@ci.example/hook/old?token=old
      headers: {Authorization: [old]}
      repositories: [team/a, team/b]
      ignore: {actions: [pull, mount]}
    - {name: off, url: https://off.example, disabled: true}
    - {name: chat, url: https://chat.example}
"""


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("name: ci", "name: other", True),
        ("ci.example", "other.example", True),
        ("https://user", "http://user", True),
        ("ci.example", "ci.example:8443", True),
        ("team/b", "team/c", True),
        ("team/b]", "team/b]\n      exclude: [team/c]", True),
        ("[pull, mount]", "[pull]", True),
        ("actions: [pull, mount]", "mediatypes: [pull]", True),
        ("headers", "format: cloudevents\n      headers", True),
        ("    - {name: chat, url: https://chat.example}\n", "", True),
        ("notifications:", "notifications:\n  events: {includereferences: true}", True),
        ("notifications:", "notifications:\n  journal: {keep: 2h}", True),
        ("[pull, mount]", "[mount, pull]", False),
        ("[team/a, team/b]", "[team/b, team/a]", False),
        ("name: off", "name: gone", False),
        ("old", "new", False),  # the secrets: password, path, query, header
    ],
)
def test_notifications_differ_where_hosts_would_send_others(
    driver: StorageDriver, me: Member, old: str, new: str, *, differs: bool
) -> None:
    mine, theirs = (Member.of(configure(ENDPOINTS.replace(old, text))) for text in (old, new))
    notices = told(driver, replace(mine, name=me.name), replace(theirs, name="other", secret=mine.secret))
    assert notices.keys() == ({"cluster_other_notifications"} if differs else set())


@pytest.mark.parametrize(
    ("mine", "theirs", "differs"),
    [
        ("{enabled: true}", "{enabled: false}", True),
        ("{enabled: true}", "{enabled: true, pulls: true}", True),
        ("{enabled: true}", "{enabled: true, keep: 2h}", True),
        ("{enabled: true}", "{enabled: true, maxsize: 1MiB}", True),
        ("{enabled: true}", "{enabled: true, stdout: true}", True),
        ("{enabled: true, syslog: 'udp://a'}", "{enabled: true, syslog: 'udp://b'}", True),
        ("{enabled: true}", "{enabled: true, keep: 400d}", False),
        ("{enabled: false, pulls: true}", "{}", False),
    ],
)
def test_audit_sections_differ_where_hosts_would_keep_another_log(
    driver: StorageDriver, me: Member, mine: str, theirs: str, *, differs: bool
) -> None:
    a, b = (Member.of(configure(f"audit: {section}\n")) for section in (mine, theirs))
    notices = told(driver, replace(a, name=me.name), replace(b, name="other", secret=a.secret))
    assert notices.keys() == ({"cluster_other_audit"} if differs else set())


@pytest.mark.parametrize(
    ("seconds", "way"), [(90, "ahead of"), (-90, "behind"), (30 * HOUR, "ahead of"), (-30 * HOUR, "behind")]
)
def test_a_clock_that_is_more_than_a_minute_off_is_told_by_either_host(
    filesystem: FilesystemDriver, me: Member, caplog: pytest.LogCaptureFixture, seconds: float, way: str
) -> None:
    filesystem.put(f"{paths.ROOT}/something", b"")
    cluster = Cluster(filesystem)
    for drift in (0.0, 0.5):  # it is not told again because a clock goes on
        notices = told(filesystem, me, replace(me, name="other", seen=me.seen + seconds + drift))
        assert notices == {"cluster_other_clock": f"has a clock that is more than a minute {way} this host's"}
        look(cluster, me, Board())
    assert caplog.messages.count(f"other has a clock that is more than a minute {way} this host's") == 3
    wrong = replace(me, seen=me.seen + seconds)
    other_way = {"ahead of": "behind", "behind": "ahead of"}[way]
    assert told(filesystem, wrong, replace(me, name="other")) == {
        "cluster_other_clock": f"has a clock that is more than a minute {other_way} this host's"
    }


def test_clocks_that_are_less_than_a_minute_off_agree_whatever_the_storages_clock_says(
    filesystem: FilesystemDriver, me: Member
) -> None:
    filesystem.put(f"{paths.ROOT}/something", b"")
    mine, theirs = replace(me, seen=me.seen - HOUR), replace(me, name="other", seen=me.seen - HOUR + 50)
    assert told(filesystem, mine, theirs) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {key: said[key] for key in ("name", "secret", "driver", "version", "seen")},
        lambda said: {**said, "quotas": {"of": "a later version"}},
    ],
    ids=["an older version", "a newer version"],
)
def test_what_another_version_says_is_compared_as_far_as_both_say_it(
    driver: StorageDriver, me: Member, change: Callable[[dict[str, object]], object]
) -> None:
    other = replace(Member.of(configure("http: {secret: hunter2}\naudit: {enabled: true}")), name="other", driver="s3")
    said = change(asdict(other))
    driver.put(paths.cluster_member("other"), json.dumps(said).encode())

    notices = told(driver, me)

    assert "cluster_other_driver" in notices
    assert ("cluster_other_audit" in notices) == ("audit" in json.dumps(said))
    assert driver.list(paths.CLUSTER, limit=10) == sorted([me.name, "other"])


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


def test_hosts_of_one_name_that_listen_on_one_address_have_objects_of_their_own() -> None:
    tell = "from registry.jobs.cluster import host_name, member_name; print(host_name(':5000'), member_name(':5000'))"
    elsewhere = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", tell], capture_output=True, text=True, check=False, timeout=60
    )
    if elsewhere.returncode:
        pytest.skip(f"no network of its own: {elsewhere.stderr}")
    host, member = elsewhere.stdout.split()

    assert host == host_name(":5000")
    assert member != member_name(":5000")
    assert is_member(member)


def test_a_server_that_leaves_deletes_what_it_has_announced_and_nothing_else(driver: StorageDriver, me: Member) -> None:
    cluster = Cluster(driver)
    for name, instance in (("mine", "a"), ("before", "a"), ("other", "b"), ("old", "")):
        cluster.announce(replace(me, name=name, instance=instance))
    driver.put(paths.cluster_member("strange"), b"[]")

    cluster.leave("a")

    assert driver.list(paths.CLUSTER, limit=10) == ["old", "other", "strange"]


def test_a_host_that_fell_silent_is_passed_over_and_forgotten_after_a_day(
    filesystem: FilesystemDriver, tmp_path: Path, me: Member
) -> None:
    filesystem.put(f"{paths.ROOT}/something", b"")
    for name, hours in (("silent", 1), ("gone", 25)):
        Cluster(filesystem).announce(replace(me, name=name, version="9"))
        path = f"{tmp_path}{paths.cluster_member(name)}"
        os.utime(path, (me.seen - hours * HOUR, me.seen - hours * HOUR))

    assert told(filesystem, me) == {}

    assert filesystem.list(paths.CLUSTER, limit=10) == sorted([me.name, "silent"])


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name": "x"}', b"\xff", b"[" * 4000])
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
