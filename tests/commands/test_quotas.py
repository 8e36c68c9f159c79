"""``registry usage``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.quota import ledger
from registry.storage import paths
from tests.commands.stores import CONFIG, OWN, SHARED, configure, fill, run, stored

QUOTAS = ", maintenance: {quotas: [{repositories: 'team/**', limit: 20KB}, {repositories: base, limit: 1MiB}]}"
LAYERS = len(SHARED) + len(CONFIG) + len(b"{}") + 2 * (len(OWN) + len("team/app"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A storage with two repositories below team, whose quotas were never counted."""
    configure(tmp_path, QUOTAS)
    fill(tmp_path)
    return tmp_path


def usage(directory: Path, *arguments: str) -> dict[str, Any]:
    done = run("usage", "--json", *arguments, "--config", str(directory / "config.yml"))
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def size_of_manifests(directory: Path) -> int:
    repositories = stored(directory)
    stores = [repositories.open(name).manifests for name in ("team/app", "team/web")]
    return sum(len(store.get(digest).content) for store in stores for digest in store.digests())


def test_what_was_never_counted_is_told_so(directory: Path) -> None:
    assert [(each["quota"], each["used"], each["counted"]) for each in usage(directory)["quotas"]] == [
        ("team/**", 0, None),
        ("base", 0, None),
    ]
    shown = run("usage", "--config", str(directory / "config.yml")).stdout
    assert "team/**  (never counted: registry usage --recount)" in shown


def test_a_recount_tells_the_distinct_bytes_of_each_quota(directory: Path) -> None:
    expected = LAYERS + size_of_manifests(directory)

    (team, base) = usage(directory, "--recount")["quotas"]

    assert (team["used"], team["limit"], team["percent"]) == (expected, 20_000, 100 * expected // 20_000)
    assert len(SHARED) + len(CONFIG) < base["used"] < expected
    assert team["counted"].endswith("Z")
    assert usage(directory)["quotas"] == [team, base]


def test_each_repository_has_its_tags_manifests_and_bytes(directory: Path) -> None:
    rows = {row["name"]: row for row in usage(directory)["repositories"]}

    assert {name: (row["tags"], row["manifests"]) for name, row in rows.items()} == {
        "base": (1, 1),
        "team/app": (3, 1),
        "team/web": (1, 3),
    }
    assert all(row["logical"] > row["unique"] > 0 for row in rows.values())


@pytest.mark.parametrize("prefix", ["team", "team/"])
def test_a_prefix_shows_what_is_below_and_its_quotas(directory: Path, prefix: str) -> None:
    told = usage(directory, prefix)

    assert [row["name"] for row in told["repositories"]] == ["team/app", "team/web"]
    assert [each["quota"] for each in told["quotas"]] == ["team/**"]
    assert usage(directory, "tea") == {"quotas": [], "repositories": []}
    assert [row["name"] for row in usage(directory, "team/app")["repositories"]] == ["team/app"]


def test_without_quotas_repositories_are_shown(tmp_path: Path) -> None:
    configure(tmp_path)
    fill(tmp_path)

    assert usage(tmp_path, "--recount")["quotas"] == []
    assert run("usage", "--config", str(tmp_path / "config.yml")).stdout.splitlines()[0].split() == [
        "UNIQUE",
        "LOGICAL",
        "MANIFESTS",
        "TAGS",
        "REPOSITORY",
    ]


def test_what_is_no_name_is_refused_in_a_line(directory: Path) -> None:
    done = run("usage", "Team:v1", "--config", str(directory / "config.yml"))

    assert (done.returncode, done.stderr) == (
        1,
        "Error: Team:v1 is not the name of a repository: invalid repository name\n",
    )


def test_a_registry_that_is_read_only_is_not_recounted(tmp_path: Path) -> None:
    configure(tmp_path, QUOTAS.replace("{quotas", "{readonly: {enabled: true}, quotas"))
    fill(tmp_path)

    done = run("usage", "--recount", "--config", str(tmp_path / "config.yml"))

    assert done.returncode == 1
    assert done.stderr.startswith("Error: storage.maintenance.readonly is on")
    assert not (tmp_path / "root/registry").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_counts_belongs_to_the_owner_of_the_storage() -> None:
    # Not in pytest's directory, which only root may enter.
    with TemporaryDirectory() as name:
        directory = Path(name)
        configure(directory, QUOTAS)
        fill(directory)
        for path in (directory, *directory.rglob("*")):
            os.chown(path, 12345, 12346)

        usage(directory, "--recount")

        written = list((directory / "root/registry").rglob("*"))
        assert written
        assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(12345, 12346)}


def test_an_import_is_counted(directory: Path, tmp_path: Path) -> None:
    run("usage", "--recount", "--config", str(directory / "config.yml"))
    (before, _) = usage(directory)["quotas"]
    archive = tmp_path / "app.tar"
    exported = run("export", "base:12", str(archive), "--config", str(directory / "config.yml"))
    assert exported.returncode == 0, exported.stderr

    # The quota is full, and operators may do all.
    done = run("import", str(archive), "--as", "team/new", "--config", str(directory / "config.yml"))

    assert done.returncode == 0, done.stderr
    (after, _) = usage(directory)["quotas"]
    label = paths.label("team/**")
    driver = FilesystemDriver(str(directory / "root"))
    (process,) = ledger.Ledger(driver).processes(label)
    assert after["used"] - before["used"] == ledger.Ledger(driver).added(label, process) > len(SHARED)
    assert Digest.of(SHARED) in {each.digest for each in _blobs(directory)}


def _blobs(directory: Path) -> list[Any]:
    blobs = stored(directory).open("team/new").blobs
    return [blobs.stat(Digest.of(SHARED))]
