"""How many requests the index makes to an object store, and that none is made to answer a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from tests.benchmarks.indexing import IMAGES, objects_of
from tests.drivers.s3.strict import StrictS3
from tests.drivers.s3.test_costs import counted, driver_of
from tests.index.hosts import Host, Registry, everything

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORIES = 100
TAGS = 20
LISTED = 1000
"""Objects that one list names."""


@pytest.fixture
def server() -> Iterator[StrictS3]:
    """A bucket with 100 repositories of 20 tags that lead to 5 images."""
    with StrictS3() as server:
        driver = driver_of(server)
        for path, content in objects_of(REPOSITORIES, TAGS):
            driver.put(path, content)
        yield server


def test_the_first_index_lists_all_and_reads_each_link_of_a_tag_and_each_image_once(
    server: StrictS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.index.jobs._STEP_SECONDS", 600.0)  # so that the journal is looked at once
    host = Host(tmp_path / "index", driver_of(server))
    calls = counted(server, host.keeping.run)
    in_repositories = REPOSITORIES * (IMAGES + TAGS)
    images = REPOSITORIES * IMAGES
    # A list for each thousand objects, and some for the journal, which has nothing.
    assert calls.pop("list") <= in_repositories / LISTED + 6
    # The link of each tag; of an image its link, its manifest and its config, of which it is asked where that is.
    assert calls.pop("GET") <= REPOSITORIES * TAGS + 4 * images
    assert calls.pop("HEAD", 0) <= images
    assert calls == {}


def test_what_has_not_changed_is_listed_again_and_not_read(server: StrictS3, tmp_path: Path) -> None:
    first = Host(tmp_path / "index", driver_of(server))
    first.catch_up()
    first.keeping.close()
    again = Host(tmp_path / "index", driver_of(server), reconcile_seconds=0.0)
    calls = counted(server, again.keeping.run)
    assert set(calls) == {"list"}
    assert calls["list"] <= REPOSITORIES * (IMAGES + TAGS) / LISTED + 6


def test_a_look_at_the_journal_is_a_list_or_two_and_a_push_costs_as_many_as_it_has_tags_and_parts(
    server: StrictS3, tmp_path: Path
) -> None:
    driver = driver_of(server)
    host = Host(tmp_path / "index", driver)
    host.catch_up()
    look = counted(server, host.keeping.run)
    assert set(look) == {"list"}
    assert look["list"] <= 2
    Registry(driver).push("team-1/service-00001", "new")
    calls = counted(server, host.catch_up)
    assert set(calls) <= {"list", "GET", "HEAD"}
    assert sum(calls.values()) <= 15, calls


def test_no_question_to_the_index_makes_a_request(server: StrictS3, tmp_path: Path) -> None:
    host = Host(tmp_path / "index", driver_of(server))
    host.catch_up()

    def ask() -> None:
        assert host.search("service-00007") == ["team-7/service-00007"]
        assert len(host.page("-pushed").rows) == REPOSITORIES
        assert len(host.rows("team-7/service-00007", "-size")) == TAGS
        assert host.index.level("", everything)
        assert host.index.progress()

    assert counted(server, ask) == {}
