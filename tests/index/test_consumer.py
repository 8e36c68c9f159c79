"""Which changes the journal is told of for the index, and what runs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from registry.index.consumer import NAME, IndexConsumer
from registry.journal.change import Change
from registry.server.periodic import have_much_to_do, periodic_jobs
from registry.services import build_services

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from tests.conftest import Configure

_HOOK = {"endpoints": [{"name": "ci", "url": "http://127.0.0.1:9/"}]}


@pytest.mark.parametrize(
    ("action", "kind", "wanted"),
    [
        ("push", "manifest", True),
        ("delete", "manifest", True),
        ("delete", "tag", True),
        ("delete", "repository", True),
        ("push", "blob", False),
        ("mount", "blob", False),
        ("delete", "blob", False),
    ],
)
def test_the_index_wants_what_changes_tags_or_repositories(action: str, kind: str, *, wanted: bool) -> None:
    assert IndexConsumer().wants(Change(action, kind, "app")) is wanted


@pytest.mark.parametrize(
    ("ui", "others", "jobs"),
    [
        ({"enabled": True, "index": {"directory": "{there}"}}, {}, {"index", "journal"}),
        ({"enabled": True, "index": {"directory": "{there}"}}, {"notifications": _HOOK}, {"index", "journal"}),
        ({"enabled": True}, {}, set()),
        ({"enabled": False, "index": {"directory": "{there}"}}, {}, set()),
    ],
)
def test_there_is_an_index_where_there_are_pages_and_a_directory(
    tmp_path: Path,
    driver: InMemoryDriver,
    configuration: Configure,
    ui: dict[str, Any],
    others: dict[str, Any],
    jobs: set[str],
) -> None:
    if "index" in ui:
        ui = {**ui, "index": {"directory": str(tmp_path / "index")}}
    services = build_services(configuration(ui=ui, **others), driver=driver)
    assert {job.name for job in periodic_jobs(services)} & {"index", "journal"} == jobs
    assert (services.index is not None) is bool(jobs)
    assert (NAME in services.recorder.consumer_names if services.recorder else False) is bool(jobs)
    assert have_much_to_do(services.configuration) is bool(jobs)
