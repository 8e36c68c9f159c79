"""What a garbage collection takes away leaves the index, and what a push brings back is in it again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.base import PathNotFoundError
from registry.lifecycle.online import OnlineCollection
from registry.lifecycle.reports import Result
from registry.oci.digest import Digest
from registry.storage import paths, runs
from registry.storage.passage import Passage
from registry.storage.runs import Pace, Runs
from tests.content import image, index
from tests.index.hosts import Host, Registry
from tests.lifecycle.runs import HOST, UNTAGGED

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from registry.browsing.shapes import TagRow
    from registry.lifecycle.reports import Report

CONFIG = b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"of": "old"}}}'
"""Of what Registry.push() pushes with the content "old"."""


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run wait for nothing, and everything be old that was written before it."""
    monkeypatch.setattr(runs, "PACE", Pace(announced=0, cached=0, beat=0.02, reliance=10, margin=0, closed=1))


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """Give a registry whose pushes pass a garbage collection as those of servers do."""
    registry.publishing = replace(registry.publishing, passage=Passage(Runs(registry.driver), 3600))
    return registry


def collect(registry: Registry) -> Report:
    """Do a run that takes away all that no tag leads to, and return its report."""
    report = OnlineCollection(registry.driver, registry.publishing, UNTAGGED, HOST).run()
    assert report.result is Result.DONE
    return report


def told(host: Host) -> dict[str, tuple[list[TagRow], int | None]]:
    """Return all that the index says of tags and of sizes."""
    host.catch_up()
    return {row.name: (host.rows(row.name), row.size) for row in host.page().rows}


def test_a_repository_leaves_the_index_with_its_last_manifest_and_returns_with_the_next_push(
    registry: Registry, host: Host
) -> None:
    registry.push("kept", "v1", content="kept")
    digest = registry.push("old", "v1", content="old")
    registry.remove_tag("old", "v1")
    before = told(host)
    assert list(before) == ["kept", "old"]

    condemned = collect(registry)
    assert condemned.condemned_manifests == 1
    assert told(host) == {"kept": before["kept"]}
    assert host.search("old") == []

    content = image(CONFIG, b"layer")
    assert registry.push_manifest("old", content, "v2") == digest
    assert [(row.name, row.digest) for row in told(host)["old"][0]] == [("v2", digest)]
    assert told(host)["old"][1] == len(content) + len(CONFIG) + len(b"layer")
    assert host.search("v2") == ["old:v2"]


def test_what_is_deleted_for_good_returns_when_it_is_uploaded_again(registry: Registry, host: Host) -> None:
    registry.push("kept", "v1", content="kept")
    registry.push("old", "v1", content="old")
    before = told(host)
    registry.remove_tag("old", "v1")
    collect(registry)
    assert collect(registry).deleted_blobs
    with pytest.raises(PathNotFoundError):
        registry.driver.stat(paths.blob_data(Digest.of(CONFIG)))
    assert list(told(host)) == ["kept"]

    registry.push("old", "v1", content="old")
    after = told(host)
    assert {name: size for name, (_, size) in after.items()} == {name: size for name, (_, size) in before.items()}


def test_an_image_that_an_index_of_images_brings_back_is_counted_with_it(registry: Registry, host: Host) -> None:
    registry.push("app", "v1", content="kept")
    registry.push("app", content="old")
    assert collect(registry).condemned_manifests == 1
    assert [row.name for row in told(host)["app"][0]] == ["v1"]

    content = index(image(CONFIG, b"layer"))
    registry.push_manifest("app", content, "multi")
    sizes = {row.name: row.size for row in told(host)["app"][0]}
    assert sizes["multi"] == len(content) + len(image(CONFIG, b"layer")) + len(CONFIG) + len(b"layer")


def test_the_index_of_a_host_that_begins_behind_a_collection_is_that_of_one_that_was_there(
    tmp_path: Path, driver: InMemoryDriver, registry: Registry, host: Host
) -> None:
    for number in range(4):
        registry.push(f"team/app-{number}", "v1", "v2", content=str(number))
    told(host)
    registry.remove_tag("team/app-1", "v1")
    for tag in ("v1", "v2"):
        registry.remove_tag("team/app-2", tag)
        registry.remove_tag("team/app-3", tag)
    collect(registry)
    registry.push("team/app-3", "v3", content="3")
    collect(registry)

    assert told(host) == told(Host(tmp_path / "later", driver))
    assert host.tags() == ["team/app-0:v1", "team/app-0:v2", "team/app-1:v2", "team/app-3:v3"]
