from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.commands.limits import examine_quotas
from registry.config.loading import load
from registry.quota.ledger import Base, Ledger
from registry.storage import paths

if TYPE_CHECKING:
    from pathlib import Path

LABEL = paths.label("team/**")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    (tmp_path / "root").mkdir()
    return Ledger(FilesystemDriver(str(tmp_path / "root")))


def found(tmp_path: Path, *quotas: dict[str, object]) -> list[tuple[str, str, str]]:
    path = tmp_path / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "root")}, "maintenance": {"quotas": list(quotas)}}
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage}))
    return [(each.check, str(each.status), each.found) for each in examine_quotas(load(str(path), {}))]


TEAM: dict[str, object] = {"repositories": "team/**", "limit": 1000}


def test_without_quotas_there_is_nothing_to_say(tmp_path: Path, ledger: Ledger) -> None:
    del ledger
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("used", "status", "said"),
    [
        (899, "ok", "899 B of 1000 B, 89 %"),
        (900, "warning", "900 B of 1000 B, 90 %"),
        (999, "warning", "999 B of 1000 B, 99 %"),
        (1000, "failure", "1000 B of 1000 B, 100 %: pushes are refused"),
    ],
)
def test_a_quota_is_judged_by_how_full_it_is(tmp_path: Path, ledger: Ledger, used: int, status: str, said: str) -> None:
    ledger.put_base(LABEL, Base(used - 10))
    ledger.put_added(LABEL, paths.label("a process"), 10)

    assert found(tmp_path, TEAM) == [("quota team/**", status, said)]


def test_a_quota_that_nobody_counts_is_a_warning(tmp_path: Path, ledger: Ledger) -> None:
    assert found(tmp_path, TEAM) == [("quota team/**", "warning", "0 B of 1000 B, 0 %; it was never counted")]

    ledger.put_base(LABEL, Base(10))
    os.utime(next((tmp_path / "root/registry/usage").rglob("base")), (1_000_000_000, 1_000_000_000))

    ((_, status, said),) = found(tmp_path, TEAM)
    assert status == "warning"
    assert said.startswith("10 B of 1000 B, 1 %; it was counted last at 2001-09-09")


def test_a_storage_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    ((check, status, _),) = found(tmp_path, TEAM)

    assert (check, status) == ("quotas", "failure")
