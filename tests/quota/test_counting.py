"""Several processes that count together; each has a counter of its own over the storage that they share."""

from __future__ import annotations

import logging
import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.config.cached import Cached
from registry.config.quotas import Quota
from registry.config.upstreams import Upstream
from registry.oci.digest import Digest
from registry.publishing import Operator, Publishing
from registry.quota import counter as counting
from registry.quota import recount as recounting
from registry.quota.allowance import QuotaExceededError, Quotas
from registry.quota.counter import Counter, Pace
from registry.quota.groups import Groups
from registry.quota.ledger import Base, Ledger
from registry.quota.recount import recount
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.content import chunk
from tests.serving import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

GROUPS = Groups([Quota("team/**", 10_000), Quota("team/own/*", 5_000)])
TEAM, OWN = GROUPS
QUICK = Pace(beat=0.05, stale=0.1)
AT_ONCE = Pace(stale=-1.0)
"""Looks at what others have written whenever it is asked."""
BLOBS = [bytes([number]) * (number * 7 + 1) for number in range(8)]
REPOSITORIES = ["team/a", "team/b/c", "team/own/x", "other"]


class Process:
    """A process of a registry that pushes, mounts and deletes."""

    def __init__(self, driver: StorageDriver, groups: Groups = GROUPS, pace: Pace = AT_ONCE) -> None:
        self.driver = driver
        self.counter = Counter(Ledger(driver), pace=pace)
        self.publishing = Publishing(ValidationPolicy(), Operator(), quotas=Quotas(groups, self.counter))
        self.repositories = Repositories(driver)

    def push(self, name: str, content: bytes) -> None:
        repository = self.repositories.open(name)
        self.publishing.finish_upload(repository, repository.uploads.start(), chunk(content), Digest.of(content))

    def mount(self, source: str, name: str, content: bytes) -> None:
        digest = Digest.of(content)
        blobs = self.repositories.open(source).blobs
        self.publishing.mount_blob(self.repositories.open(name), digest, lambda: blobs.stat(digest), source)

    def delete(self, name: str, content: bytes) -> None:
        self.publishing.remove_blob(self.repositories.open(name), Digest.of(content))


def test_what_one_process_has_added_another_learns(driver: StorageDriver) -> None:
    first, second = Process(driver, pace=QUICK), Process(driver, pace=QUICK)

    first.push("team/a", bytes(100))

    assert first.counter.used(TEAM) == 100
    wait_until("the other one knows", lambda: second.counter.used(TEAM) == 100)
    assert second.counter.used(OWN) == 0


def test_what_was_added_before_the_first_push_of_a_process_is_known_to_it(driver: StorageDriver) -> None:
    first = Process(driver)
    first.push("team/a", bytes(9_000))
    first.counter.write()

    with pytest.raises(QuotaExceededError):
        Process(driver).push("team/a", bytes(1_001))


def test_an_idle_registry_neither_writes_nor_reads(driver: InMemoryDriver) -> None:
    process = Process(driver, pace=Pace(beat=0.01, stale=1.0, active=0.05))
    process.push("team/a", bytes(100))
    (name,) = wait_for_processes(driver)

    before = driver.stat(paths.usage_added(TEAM.label, name)).modified
    process.push("other", bytes(100))

    assert driver.stat(paths.usage_added(TEAM.label, name)).modified == before


def wait_for_processes(driver: StorageDriver) -> list[str]:
    wait_until("it is written", lambda: Ledger(driver).processes(TEAM.label))
    return Ledger(driver).processes(TEAM.label)


def test_a_count_neither_loses_nor_repeats_what_was_added(driver: StorageDriver) -> None:
    first, second = Process(driver), Process(driver)
    first.push("team/a", bytes(100))
    second.push("team/b/c", b"x" * 200)
    first.counter.write()

    recount(driver, GROUPS, [TEAM])

    assert first.counter.used(TEAM) == 300
    second.counter.write()
    # What was not written down before the count is in it, and comes once more: too much is better than too little.
    assert first.counter.used(TEAM) == 500
    recount(driver, GROUPS, [TEAM])
    assert first.counter.used(TEAM) == second.counter.used(TEAM) == 300
    first.push("team/a", b"y" * 50)
    assert first.counter.used(TEAM) == 350


def test_a_process_that_was_killed_is_counted_by_the_next_count(driver: StorageDriver) -> None:
    Process(driver).push("team/a", bytes(100))

    other = Process(driver)
    assert other.counter.used(TEAM) == 0
    recount(driver, GROUPS, [TEAM])

    assert other.counter.used(TEAM) == 100


def test_a_number_that_was_counted_and_stays_is_deleted_after_two_days(
    driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(driver)
    process.push("team/a", bytes(100))
    process.counter.write()
    recount(driver, GROUPS, [TEAM])
    monkeypatch.setattr(recounting, "FORGOTTEN_SECONDS", -1.0)

    recount(driver, GROUPS, [TEAM])

    assert Ledger(driver).processes(TEAM.label) == []
    assert Ledger(driver).base(TEAM.label) == Base(100, GROUPS.division, {})
    assert Process(driver).counter.used(TEAM) == 100


def test_a_process_takes_a_new_name_after_half_a_day_without_a_push(
    driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(driver)
    process.push("team/a", bytes(100))
    process.counter.write()
    monkeypatch.setattr(counting, "RENAMED_SECONDS", -1.0)

    process.push("team/a", b"x" * 50)
    process.counter.write()

    ledger = Ledger(driver)
    assert sorted(ledger.added(TEAM.label, name) for name in ledger.processes(TEAM.label)) == [50, 100]
    assert process.counter.used(TEAM) == Process(driver).counter.used(TEAM) == 150


def test_what_several_repositories_of_a_group_share_counts_once_and_narrower_groups_apart(
    driver: StorageDriver,
) -> None:
    process = Process(driver)
    for name in REPOSITORIES:
        process.push(name, bytes(100))
    process.counter.write()

    recount(driver, GROUPS, [TEAM, OWN])

    assert (process.counter.read(TEAM), process.counter.read(OWN)) == (100, 100)


def test_what_the_go_registry_took_by_sha512_counts_once(driver: StorageDriver) -> None:
    process = Process(driver)
    process.push("team/a", bytes(100))
    process.counter.write()
    link = paths.layer_link("team/a", Digest.of(bytes(100), "sha512"))
    driver.put(link, str(Digest.of(bytes(100))).encode())
    driver.put(paths.layer_link("team/a", Digest.of(b"torn")), b"")
    driver.put(paths.layer_link("team/a", Digest.of(b"dangling")), str(Digest.of(b"dangling")).encode())

    recount(driver, GROUPS, [TEAM])

    assert process.counter.read(TEAM) == 100


@pytest.mark.parametrize("pattern", ["team:8080/**", ".hidden/*", "Team/**", "te?m/**", "**/team", "no/such"])
def test_any_pattern_can_be_counted(driver: StorageDriver, pattern: str) -> None:
    Process(driver).push("team/a", bytes(100))
    groups = Groups([Quota(pattern, 1_000)])

    recount(driver, groups, list(groups))

    (group,) = groups
    assert Ledger(driver).used(group.label) == (100 if groups.of("team/a") else 0)


def test_what_is_only_cached_belongs_to_no_quota_and_a_count_is_old_when_that_changes(driver: StorageDriver) -> None:
    Process(driver).push("team/hub/app", bytes(100))
    Process(driver).push("team/both/app", bytes(10))
    hub, both = Upstream(prefix="team/hub"), Upstream(prefix="team/both", push="allow")
    groups = Groups([Quota("team/**", 1_000)], Cached((hub, both)))

    recount(driver, groups, list(groups))

    (group,) = groups
    assert Ledger(driver).used(group.label) == 10
    assert groups.division != Groups([Quota("team/**", 1_000)]).division


def test_a_count_that_cannot_be_understood_is_made_anew(driver: StorageDriver) -> None:
    process = Process(driver)
    process.push("team/a", bytes(100))
    driver.put(paths.usage_base(TEAM.label), b'{"used": "')

    assert process.counter.read(TEAM) == 100
    recount(driver, GROUPS, [TEAM])
    assert Process(driver).counter.read(TEAM) == 100


def test_a_warning_comes_once_a_minute(driver: StorageDriver, caplog: pytest.LogCaptureFixture) -> None:
    process = Process(driver)
    process.push("team/a", bytes(8_999))
    assert "quota" not in caplog.text

    for number in range(3):
        process.push("team/a", bytes([number]) * 10)

    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.getMessage() == "the quota of team/** is used to 90 %: 8.8 KiB of 9.8 KiB"


class Model:
    """Two processes, and what there is: `held`. What each has not written yet, and what was lost, nobody else knows."""

    def __init__(self) -> None:
        self.driver = InMemoryDriver()
        self.processes = [Process(self.driver), Process(self.driver)]
        self.held: set[tuple[str, bytes]] = set()
        self.unwritten = [0, 0]
        self.lost = 0

    def push(self, which: int, name: str, content: bytes) -> None:
        self.processes[which].push(name, content)
        self.held.add((name, content))
        self.unwritten[which] += len(content)

    def mount(self, which: int, source: str, name: str, content: bytes) -> None:
        if (source, content) in self.held:
            self.processes[which].mount(source, name, content)
            self.held.add((name, content))
            self.unwritten[which] += len(content)

    def delete(self, which: int, name: str, content: bytes) -> None:
        if (name, content) in self.held:
            self.processes[which].delete(name, content)
            self.held.discard((name, content))

    def write(self, which: int) -> None:
        self.processes[which].counter.write()
        self.unwritten[which] = 0

    def crash(self, which: int) -> None:
        self.lost += self.unwritten[which]
        self.unwritten[which] = 0
        self.processes[which] = Process(self.driver)

    def count(self) -> None:
        recount(self.driver, GROUPS, [TEAM, OWN])
        self.lost = 0

    def counted(self, which: int) -> list[int]:
        return [self.processes[which].counter.read(group) for group in GROUPS]

    def true(self) -> list[int]:
        return [sum(map(len, {each for name, each in self.held if GROUPS.of(name) == group})) for group in GROUPS]


NAMES = st.sampled_from(REPOSITORIES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 1), NAMES, st.sampled_from(BLOBS)),
        st.tuples(st.just("mount"), st.integers(0, 1), NAMES, NAMES, st.sampled_from(BLOBS)),
        st.tuples(st.just("delete"), st.integers(0, 1), NAMES, st.sampled_from(BLOBS)),
        st.tuples(st.sampled_from(["write", "crash"]), st.integers(0, 1)),
        st.just(("count",)),
    ),
    max_size=40,
)


@given(STEPS)
def test_never_less_is_counted_than_there_is_but_what_was_lost_and_a_count_is_exact(
    steps: list[tuple[Any, ...]],
) -> None:
    model = Model()
    for step, *given_to in steps:
        getattr(model, step)(*given_to)
        for which in (0, 1):
            unknown = model.lost + model.unwritten[1 - which]
            assert all(a >= b - unknown for a, b in zip(model.counted(which), model.true(), strict=True))
    for which in (0, 1):
        model.write(which)
    model.count()
    assert model.counted(0) == model.counted(1) == model.true()


def test_processes_that_push_at_once_exceed_a_quota_by_what_they_add_in_two_beats_and_have_on_its_way(
    tmp_path: Path,
) -> None:
    size, number, between = 1_000, 4, 5
    groups = Groups([Quota("team/**", 40 * size)])
    (group,) = groups
    pace, pushed = Pace(beat=3600, stale=3600), [0] * number  # the beats are made here, however slow the machine is

    def run(which: int) -> None:
        process, chance = Process(FilesystemDriver(str(tmp_path)), groups, pace), random.Random(which)
        with suppress(QuotaExceededError):
            while pushed[which] < 100:
                process.push("team/a", chance.randbytes(size))
                pushed[which] += 1
                if pushed[which] % between == 0:
                    process.counter.write()
                    process.counter.read(group)
        process.counter.write()

    threads = [threading.Thread(target=run, args=(which,)) for which in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    recount(FilesystemDriver(str(tmp_path)), groups, [group])
    used = Process(FilesystemDriver(str(tmp_path)), groups).counter.read(group)
    assert used == sum(pushed) * size
    assert 40 <= sum(pushed) <= 40 + 2 * number * between
