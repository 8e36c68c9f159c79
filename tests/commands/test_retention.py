from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.reference import Tag
from registry.retention.history import dump
from registry.storage import paths
from registry.storage.runs import Run, Runs
from tests.commands.stores import configure, fill, run, stored

if TYPE_CHECKING:
    from pathlib import Path

    from registry.oci.digest import Digest

DAY = 24 * 3600.0


def configured(directory: Path, rules: str, more: str = "dryrun: false, maxshare: 100") -> str:
    return configure(directory, f", maintenance: {{retention: {{{more}, rules: {rules}}}}}")


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """Return where a storage is: the tags v1, v2 and latest of team/app are 3, 2 and 1 days old."""
    fill(tmp_path)
    for days, tag in ((3, "v1"), (2, "v2"), (1, "latest")):
        link = tmp_path / "root" / paths.tag_link("team/app", tag).lstrip("/")
        os.utime(link, (time.time() - days * DAY,) * 2)
    return tmp_path


def tags(directory: Path, repository: str = "team/app") -> list[str]:
    return list(stored(directory).open(repository).tags.names())


def files(directory: Path) -> set[Path]:
    return {path for path in (directory / "root").rglob("*") if path.is_file()}


NEWEST = "[{repositories: [team/app], keep: [{newest: 1}, {tags: [v1]}]}]"


def test_plan_says_of_each_tag_why_it_stays_and_changes_nothing(aged: Path) -> None:
    before = files(aged)

    done = run("retention", "plan", "--config", configured(aged, NEWEST))

    assert (done.returncode, done.stderr) == (0, "1 tags would go in 3 repositories\n")
    assert done.stdout.splitlines() == [
        "stays  base  all tags: no rule with keep is for it",
        "stays  team/app:latest  keep[0]: newest 1",
        "stays  team/app:v1  keep[1]: tags v1",
        "goes   team/app:v2",
        "stays  team/web  all tags: no rule with keep is for it",
    ]
    assert files(aged) == before


def test_plan_of_some_repositories_as_json(aged: Path) -> None:
    done = run("retention", "plan", "team/*", "--json", "--config", configured(aged, NEWEST))

    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [(row["tag"], row["stays"], row["rule"]) for row in rows] == [
        ("latest", True, 0),
        ("v1", True, 0),
        ("v2", False, 0),
    ]
    assert rows[2]["digest"] == str(stored(aged).open("team/app").tags.resolve(Tag("v2")))


def test_run_takes_away_what_the_plan_says_and_undo_gives_it_back(aged: Path) -> None:
    config = configured(aged, NEWEST)

    done = run("retention", "run", "--config", config)

    digest = stored(aged).open("team/app").tags.resolve(Tag("v1"))
    assert (done.returncode, done.stdout) == (0, f"untagged team/app:v2 {digest}\n")
    assert done.stderr == "run 1: 1 tags went in 3 repositories\n"
    assert tags(aged) == ["latest", "v1"]
    listed = run("retention", "list", "--config", config).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["RUN", "1"]
    assert listed[1].endswith("         1         0  done")
    assert run("retention", "show", "1", "--config", config).stdout == f"team/app:v2 {digest}\n"
    shown = json.loads(run("retention", "show", "1", "--json", "--config", config).stdout)
    assert (shown["run"], [each["tag"] for each in shown["tags"]]) == (1, ["v2"])

    undone = run("retention", "undo", "1", "--config", config)

    assert (undone.returncode, undone.stdout) == (0, "team/app:v2 restored\n")
    assert tags(aged) == ["latest", "v1", "v2"]
    again = json.loads(run("retention", "undo", "1", "--json", "--config", config).stdout)
    assert [each["outcome"] for each in again] == ["there"]


def test_undo_fails_where_the_manifest_is_gone(aged: Path) -> None:
    config = configured(aged, NEWEST)
    run("retention", "run", "--config", config)
    repository = stored(aged).open("team/app")
    repository.manifests.delete(repository.tags.resolve(Tag("v1")))

    done = run("retention", "undo", "1", "--config", config)

    assert (done.returncode, done.stdout) == (1, "team/app:v2 its manifest is gone\n")


def condemn(directory: Path, repository: str, digest: Digest) -> list[str]:
    """Condemn the manifest and what it names, as a garbage collection does; return where they were."""
    driver = FilesystemDriver(str(directory / "root"))
    manifest = stored(directory).open(repository).manifests.get(digest)
    moves = {paths.revision_link(repository, digest): paths.condemned_revision_link(repository, digest)}
    for _, each in manifest.references():
        moves[paths.layer_link(repository, each.digest)] = paths.condemned_layer_link(repository, each.digest)
    for path, condemned in moves.items():
        driver.put(condemned, driver.get(path, limit=1000))
        driver.delete(path)
    Runs(driver).write(Run(2))
    return list(moves)


def test_undo_brings_back_what_a_garbage_collection_has_condemned(aged: Path) -> None:
    config = configured(aged, NEWEST)
    run("retention", "run", "--config", config)
    driver = FilesystemDriver(str(aged / "root"))
    condemned = condemn(aged, "team/app", stored(aged).open("team/app").tags.resolve(Tag("v1")))

    done = run("retention", "undo", "1", "--config", config)

    assert (done.returncode, done.stdout) == (0, "team/app:v2 restored\n")
    assert all(driver.stat(path).size for path in condemned)


def test_undo_of_what_was_condemned_for_longer_than_the_grace_says_that_the_manifest_is_gone(aged: Path) -> None:
    config = configured(aged, NEWEST)
    run("retention", "run", "--config", config)
    condemned = condemn(aged, "team/app", stored(aged).open("team/app").tags.resolve(Tag("v1")))
    for link in (aged / "root" / paths.condemned("team/app").lstrip("/")).rglob("link"):
        os.utime(link, (time.time() - 30 * DAY,) * 2)

    done = run("retention", "undo", "1", "--config", config)

    assert (done.returncode, done.stdout) == (1, "team/app:v2 its manifest is gone\n")
    assert not any((aged / "root" / path.lstrip("/")).exists() for path in condemned)


def test_dry_run_of_the_configuration_is_obeyed_until_it_is_said_otherwise(aged: Path) -> None:
    config = configured(aged, NEWEST, "maxshare: 100")
    before = files(aged)

    done = run("retention", "run", "--config", config)

    assert done.returncode == 0
    assert done.stdout.startswith("would untag team/app:v2 sha256:")
    assert "storage.maintenance.retention.dryrun is on; --no-dry-run takes them away" in done.stderr
    assert files(aged) == before
    told = json.loads(run("retention", "run", "--no-dry-run", "--json", "--config", config).stdout)
    assert (told["run"], [each["tag"] for each in told["tags"]], told["refusals"]) == (1, ["v2"], 0)
    assert tags(aged) == ["latest", "v1"]


def test_repository_that_would_lose_too_many_is_left_alone_without_force(aged: Path) -> None:
    config = configured(aged, "[{repositories: ['**'], keep: [{tags: [v1]}]}]", "dryrun: false")

    for arguments in (("run",), ("run", "--dry-run")):
        done = run("retention", *arguments, "--config", config)

        refused = "team/app: 2 of 3 tags would go, more than maxshare, 20 %; none goes without --force\n"
        assert (done.returncode, done.stdout) == (1, "")
        assert refused in done.stderr
        assert tags(aged) == ["latest", "v1", "v2"]
    assert run("retention", "run", "team/*", "--force", "--config", config).returncode == 0
    assert (tags(aged), tags(aged, "base")) == (["v1"], ["12"])


def test_tag_that_was_pulled_stays_once_pulls_are_known_for_long_enough(aged: Path) -> None:
    config = configured(aged, "[{repositories: ['**'], keep: [{pulledwithin: 24h}]}]")
    driver = FilesystemDriver(str(aged / "root"))
    assert run("retention", "run", "--config", config).stdout == ""
    since = time.time() - 2 * DAY
    driver.put(paths.PULLS_SINCE, repr(since).encode())
    os.utime(aged / "root" / paths.PULLS_SINCE.lstrip("/"), (since, since))
    driver.put(paths.pulls_batch("20260101", f"host-7-{1:020}"), dump([("team/web", "v1", int(time.time()) // 3600)]))

    done = run("retention", "run", "--config", config)

    assert done.returncode == 0, done.stderr
    assert [tags(aged, name) for name in ("base", "team/app", "team/web")] == [[], [], ["v1"]]
    assert driver.list(paths.PULLS, limit=10) == ["folded", "since"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "nothing/*"), "no repository matches nothing/*"),
        (("run", "team/app:v1"), "team/app:v1 is more than the name of a repository"),
        (("undo", "7"), "there is no report of a run 7; `registry retention list` names them"),
        (("show", "7"), "there is no report of a run 7"),
        (("undo", "v7"), "'v7' is not a valid integer range"),
    ],
)
def test_mistake_is_told_in_a_line(aged: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run("retention", *arguments, "--config", configured(aged, NEWEST))

    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("command", ["plan", "run"])
def test_without_rules_all_tags_stay(aged: Path, command: str) -> None:
    done = run("retention", command, "--config", configure(aged))

    assert (done.returncode, done.stderr) == (
        1,
        "Error: there are no rules in storage.maintenance.retention: all tags stay\n",
    )


@pytest.mark.parametrize("arguments", [("plan",), ("run",), ("run", "--dry-run"), ("undo", "1")])
def test_storage_that_may_not_be_mounted_is_an_error_and_nothing_is_written_to_it(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "root").mkdir()

    done = run("retention", *arguments, "--config", configured(tmp_path, NEWEST))

    said = "there is no report of a run 1;" if arguments[0] == "undo" else "no repository is stored there yet"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {said}")
    assert list((tmp_path / "root").iterdir()) == []


def test_read_only_registry_keeps_its_tags(aged: Path) -> None:
    retention = f"retention: {{dryrun: false, maxshare: 100, rules: {NEWEST}}}"
    config = configure(aged, f", maintenance: {{readonly: {{enabled: true}}, {retention}}}")
    before = files(aged)

    for arguments in (("run",), ("undo", "1")):
        done = run("retention", *arguments, "--config", config)
        assert (done.returncode, "storage.maintenance.readonly is on" in done.stderr) == (1, True)
    assert run("retention", "plan", "--config", config).returncode == 0
    assert files(aged) == before


def test_scheduled_dry_run_cannot_be_undone(aged: Path) -> None:
    driver = FilesystemDriver(str(aged / "root"))
    driver.put(paths.retention_begun(1), b'{"dry_run": true, "host": "h"}')
    config = configured(aged, NEWEST)

    done = run("retention", "undo", "1", "--config", config)

    assert (done.returncode, done.stderr) == (1, "Error: run 1 was a dry run: it has taken nothing away\n")
    assert run("retention", "list", "--config", config).stdout.endswith("  goes on, or broke off\n")
