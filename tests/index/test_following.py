"""The index has what the storage has, once it has read that, and after each change through the registry."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.base import NotPermittedError
from drivers.delegating import DelegatingDriver
from registry.index.consumer import NAME
from registry.jobs.job import JobFailedError
from registry.journal.entry import Entry
from registry.publishing import publishing as publishing_module
from registry.storage import paths
from tests.content import descriptor, image, index
from tests.drivers.failing import FailingDriver
from tests.index.hosts import IDLE, Host, Registry, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.base import Found
    from drivers.inmemory import InMemoryDriver
    from registry.browsing.shapes import RepositoryRow


_RUNS = 5
"""Of a job that reads all of the storage in each."""


@pytest.fixture(autouse=True)
def nobody_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deletion wait for no push."""
    monkeypatch.setattr(publishing_module, "_PUSH_SECONDS", 0)


def test_the_first_index_has_all_that_was_stored_before(registry: Registry, host: Host) -> None:
    digest = registry.push("team/app", "v1", "latest")
    registry.push("team/app-tools", "v2", content="tools")
    registry.push("untagged", content="nothing")
    host.catch_up()
    assert host.tags() == ["team/app:latest", "team/app:v1", "team/app-tools:v2"]
    assert host.repositories() == ["team/app", "team/app-tools", "untagged"]
    latest, _ = host.rows("team/app")
    assert (latest.digest, latest.platforms, latest.aliases) == (digest, ("linux/amd64",), ("v1",))
    assert latest.pushed == registry.driver.stat(paths.tag_link("team/app", "latest")).modified


def test_sizes_are_those_of_all_that_images_lead_to_and_what_they_share_is_counted_once(
    registry: Registry, host: Host
) -> None:
    first = registry.push("app", "v1", content="1", layers=(b"shared", b"one"))
    second = registry.push("app", "v2", content="2", layers=(b"shared", b"second"))
    host.catch_up()
    (row,) = host.page().rows
    contents = {first, second}
    sizes = {each.name: each.size for each in host.rows("app")}
    repository = registry.repositories.open("app")
    manifests = [repository.manifests.serve(digest).content for digest in contents]
    config = len(b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "1"}}}')
    assert sizes["v1"] == len(repository.manifests.serve(first).content) + config + len(b"shared") + len(b"one")
    assert row.size == sum(map(len, manifests)) + 2 * config + len(b"shared") + len(b"one") + len(b"second")


def test_as_the_first_index_is_made_a_repository_has_all_its_tags_and_either_no_size_or_that_of_all_its_images(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("app", "web"):
        for number in range(3):
            registry.push(name, f"v{number}", content=f"{name} {number}", layers=(b"%d" % number * 10,))
    for limit in ("_FOUND", "_LINKS", "_MANIFESTS", "_SUMS"):
        monkeypatch.setattr(f"registry.index.scanning.{limit}", 1)
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    told: list[RepositoryRow] = []
    while host.keeping.run() not in IDLE:
        page = host.index.repositories("name", everything)
        told += page.rows if page else ()
    final = {row.name: row for row in host.page().rows}
    assert None in {row.size for row in told}
    assert {replace(row, size=final[row.name].size) for row in told} == set(final.values())
    assert {row.size for row in told} == {None, *(row.size for row in final.values())}
    assert {row.tags for row in final.values()} == {3}


def test_a_link_that_is_written_again_with_the_same_digest_leaves_the_size_of_its_repository(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    silent = Registry(driver, silent=True)
    host = Host(tmp_path / "index", driver, reconcile_seconds=0.0)
    silent.push("app", "v1")
    for _ in range(_RUNS):
        host.keeping.run()
    (before,) = host.page().rows
    silent.push("app", "v1")
    for _ in range(_RUNS):
        host.keeping.run()
    (after,) = host.page().rows
    assert after.pushed != before.pushed
    assert after.size == before.size is not None


def test_a_repository_with_an_image_of_which_no_size_is_known_has_none(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.browsing.images._MOST_MANIFESTS", 1)
    registry.push("app", "v1", content="1")
    config = b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "1"}}}'
    registry.push_manifest("app", index(image(config, b"layer")), "too-large")
    host.catch_up()
    sizes = {row.name: row.size for row in host.rows("app")}
    assert sizes["too-large"] is None
    assert [row.size for row in host.page().rows] == [None]
    registry.remove_tag("app", "too-large")
    host.catch_up()
    assert [row.size for row in host.page().rows] == [sizes["v1"]]


def test_a_tag_that_leads_nowhere_takes_nothing_of_the_size_of_its_repository(registry: Registry, host: Host) -> None:
    gone = registry.push("app", "gone")
    registry.push("app", "v1", content="1")
    registry.driver.delete(paths.blob_data(gone))
    host.catch_up()
    sizes = {row.name: row.size for row in host.rows("app")}
    assert sizes["gone"] is None
    assert [row.size for row in host.page().rows] == [sizes["v1"]]


def test_a_tag_whose_manifest_its_repository_does_not_list_leads_nowhere_from_the_first_index_on(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    registry = Registry(driver, silent=True)
    for name in ("app", "other"):
        digest = registry.push(name, "v1", "latest")
    registry.push("app", "v2", content="2")
    driver.delete(paths.revision_link("app", digest))
    for _ in ("the first index", "the same one after another start"):
        host = Host(tmp_path / "index", driver)
        host.catch_up()
        host.keeping.close()
        assert {row.name for row in host.rows("app") if row.digest is None} == {"latest", "v1"}
        assert [row.aliases for row in host.rows("app")] == [(), (), ()]
        assert [row.digest for row in host.rows("other")] == [digest, digest]
        (size,) = {row.size for row in host.rows("other")}
        assert size is not None
        assert {row.name: row.size for row in host.page().rows} == {
            "app": sum(row.size or 0 for row in host.rows("app")),
            "other": size,
        }


def test_a_tag_leads_nowhere_once_its_manifest_is_gone_behind_the_index_and_back_when_that_is_pushed_again(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    registry = Registry(driver)
    digest = registry.push("app", "v1")
    before = Host(tmp_path / "index", driver)
    before.catch_up()
    before.keeping.close()
    driver.delete(paths.revision_link("app", digest))
    host = Host(tmp_path / "index", driver)
    host.catch_up()
    assert [(row.digest, row.size) for row in host.rows("app")] == [(None, None)]
    registry.push("app")
    host.catch_up()
    (row,) = host.rows("app")
    assert row.digest == digest
    assert [each.size for each in host.page().rows] == [row.size]
    assert row.size is not None


def test_an_index_of_images_has_the_size_of_all_of_them_and_their_platforms(registry: Registry, host: Host) -> None:
    registry.push("app", content="amd64")
    config = b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "amd64"}}}'
    child = image(config, b"layer")
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    content = index(manifests=[descriptor(child, "application/vnd.oci.image.manifest.v1+json", platform=platform)])
    registry.push_manifest("app", content, "multi")
    host.catch_up()
    (row,) = host.rows("app")
    assert row.platforms == ("linux/arm64/v8",)
    assert row.size == len(content) + len(child) + len(config) + len(b"layer")


def test_images_that_are_pushed_after_their_index_are_counted_once_all_is_read_again(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    registry = Registry(driver)
    host = Host(tmp_path / "index", driver, reconcile_seconds=0.0)
    config = b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "late"}}}'
    content = index(image(config, b"layer"))
    registry.push_manifest("app", content, "multi")
    for _ in range(_RUNS):
        host.keeping.run()
    assert [row.size for row in host.rows("app")] == [len(content)]
    registry.push("app", content="late")
    for _ in range(_RUNS):
        host.keeping.run()
    assert [row.size for row in host.rows("app")] == [
        len(content) + len(image(config, b"layer")) + len(config) + len(b"layer")
    ]


def test_a_push_is_in_the_index_after_the_next_look_at_the_journal(registry: Registry, host: Host) -> None:
    host.catch_up()
    assert host.repositories() == []
    digest = registry.push("team/app", "v1")
    host.catch_up()
    (row,) = host.rows("team/app")
    assert (row.name, row.digest) == ("v1", digest)
    assert row.size is not None
    assert [(each.name, each.tags) for each in host.page().rows] == [("team/app", 1)]


def test_a_tag_that_is_moved_leads_elsewhere_in_the_index(registry: Registry, host: Host) -> None:
    registry.push("app", "latest", content="1")
    host.catch_up()
    digest = registry.push("app", "latest", "v2", content="2")
    host.catch_up()
    assert [(row.name, row.digest, row.aliases) for row in host.rows("app")] == [
        ("latest", digest, ("v2",)),
        ("v2", digest, ("latest",)),
    ]


def test_what_is_deleted_leaves_the_index(registry: Registry, host: Host) -> None:
    digest = registry.push("app", "v1", "v2", "v3")
    other = registry.push("app", "other", content="other")
    registry.push("keep", "v1")
    host.catch_up()
    registry.remove_tag("app", "v3")
    host.catch_up()
    assert host.tags() == ["app:other", "app:v1", "app:v2", "keep:v1"]
    registry.remove_manifest("app", digest)
    host.catch_up()
    assert host.tags() == ["app:other", "keep:v1"]
    registry.remove_manifest("app", other)
    host.catch_up()
    assert host.repositories() == ["keep"]
    assert host.search("v3") == []


def test_a_repository_that_is_deleted_and_pushed_to_again_has_only_what_is_new(registry: Registry, host: Host) -> None:
    registry.push("app", "v1", "v2")
    registry.push("app/nested", "v1")
    host.catch_up()
    registry.remove_repository("app")
    registry.push("app", "v3")
    host.catch_up()
    assert host.tags() == ["app:v3", "app/nested:v1"]


def test_what_a_registry_that_writes_no_journal_has_changed_is_found_when_all_is_read(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    go = Registry(driver, silent=True)
    go.push("app", "v1", "v2", content="1")
    host = Host(tmp_path / "index", driver, reconcile_seconds=0.0)
    host.keeping.run()
    host.catch_up_until("app:v2")
    go.remove_tag("app", "v1")
    moved = go.push("app", "v2", content="2")
    go.push("new", "v1")
    host.catch_up_until("new:v1")
    assert host.tags() == ["app:v2", "new:v1"]
    for _ in range(10):
        host.keeping.run()
    assert [row.digest for row in host.rows("app")] == [moved]


def test_what_was_changed_while_the_index_was_switched_off_is_found_at_the_next_start(
    registry: Registry, host: Host
) -> None:
    registry.push("app", "v1", "v2")
    host.catch_up()
    host.keeping.close()
    without_index = Registry(registry.driver, silent=True)
    without_index.push("new", "v1")
    without_index.remove_tag("app", "v1")
    again = Host(host.directory, registry.driver)
    again.catch_up()
    assert again.tags() == ["app:v2", "new:v1"]


@pytest.mark.parametrize(("minutes", "reads_all"), [(44, False), (46, True), (-4, False), (-6, True)])
def test_an_index_that_has_not_followed_for_long_or_was_ahead_of_time_reads_all_of_the_storage(
    registry: Registry, host: Host, minutes: int, *, reads_all: bool
) -> None:
    registry.push("app", "v1")
    host.catch_up()
    Registry(registry.driver, silent=True).push("unheard", "v1")
    with closing(sqlite3.connect(host.path)) as connection, connection:
        before_ns = minutes * 60 * 1_000_000_000
        connection.execute("UPDATE state SET value = value - ? WHERE key = 'through_ns'", (before_ns,))
    host.catch_up()
    assert ("unheard:v1" in host.tags()) is reads_all


def test_a_scan_that_fails_is_not_begun_again_at_once_and_the_journal_is_followed_meanwhile(
    tmp_path: Path, driver: InMemoryDriver
) -> None:
    registry = Registry(driver)
    registry.push("app", "v1")
    before = Host(tmp_path / "index", driver)
    before.catch_up()
    before.keeping.close()
    failing = FailingWalk(driver)
    host = Host(tmp_path / "index", failing, reconcile_seconds=0.0)
    with pytest.raises(JobFailedError, match="the index waits for the storage"):
        host.keeping.run()
    registry.push("app", "v2")
    host.catch_up()
    assert host.tags() == ["app:v1", "app:v2"]
    assert failing.walks == 1


class FailingWalk(DelegatingDriver):
    """A storage of which a part may not be looked into."""

    walks = 0

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        self.walks += 1
        yield from super().walk(path, leaf_in=leaf_in)
        raise NotPermittedError(path)


def test_what_the_journal_had_before_the_first_scan_is_passed_over(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = registry.driver.log(paths.JOURNAL)
    registry.push("app", "v1")
    an_hour_ago_ns = time.time_ns() - 3600 * 1_000_000_000
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time_ns", lambda: an_hour_ago_ns)
        for number in range(1200):
            log.append(
                Entry(str(number), "push", "manifest", (NAME,), repository=f"old{number}", tags=("v1",)).encode()
            )
    host.catch_up()
    assert host.repositories() == ["app"]


def test_a_scan_does_not_bring_back_what_is_deleted_while_it_goes_on(
    registry: Registry, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.scanning._FOUND", 1)
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 0.0)
    for number in range(3):
        registry.push(f"app{number}", "v1", "v2")
    host.keeping.run()
    for number in range(3):
        registry.remove_tag(f"app{number}", "v1")
    registry.remove_repository("app1")
    registry.push("app3", "v1")
    host.catch_up()
    assert host.tags() == ["app0:v2", "app2:v2", "app3:v1"]


def test_a_manifest_that_cannot_be_read_has_no_size_and_holds_up_nothing(registry: Registry, host: Host) -> None:
    digest = registry.push("app", "torn")
    registry.push("app", "v1", content="1")
    registry.driver.put(paths.blob_data(digest), b"\0 torn")
    gone = registry.push("app", "gone", content="2")
    registry.driver.delete(paths.blob_data(gone))
    host.catch_up()
    assert {row.name: row.size is None for row in host.rows("app")} == {"gone": True, "torn": True, "v1": False}


def test_a_storage_that_fails_loses_nothing_of_the_index(
    tmp_path: Path, driver: InMemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.jobs._AGAIN_SECONDS", 0.0)
    registry = Registry(driver)
    registry.push("app", "v1")
    dry_run = FailingDriver(driver, fail_at=0)
    Host(tmp_path / "dry run", dry_run).catch_up()
    for call in range(1, dry_run.calls + 1):
        failing = FailingDriver(driver, fail_at=call)
        host = Host(tmp_path / str(call), failing)
        with pytest.raises(JobFailedError, match="the index waits for the storage"):
            host.catch_up()
        failing.work_again()
        host.catch_up()
        assert host.tags() == ["app:v1"]
