from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.links import write_link
from tests.archive.images import blob
from tests.commands.stores import CONFIG, SHARED, run, stored

if TYPE_CHECKING:
    from pathlib import Path

STRAY = b"nobody names this"


@pytest.fixture
def directory(directory: Path) -> Path:
    base = stored(directory).open("base")
    blob(base, STRAY)
    base.blobs.delete(Digest.of(STRAY))
    return directory


def du(directory: Path, *arguments: str) -> str:
    done = run("du", *arguments, "--config", str(directory / "config.yml"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def sizes(directory: Path, *arguments: str) -> dict[str, dict[str, int]]:
    rows = json.loads(du(directory, "--json", *arguments))["repositories"]
    return {row["name"]: row for row in rows}


def size_of_blobs(directory: Path) -> int:
    return sum(path.stat().st_size for path in (directory / "root").rglob("data"))


def test_each_blob_counts_once_and_all_are_counted(directory: Path) -> None:
    document = json.loads(du(directory, "--json"))
    assert document["unlinked"] == len(STRAY)
    assert document["unlinked_blobs"] == 1
    assert document["total"] == size_of_blobs(directory) - len(STRAY)
    shared = len(SHARED) + len(CONFIG)
    assert {row["name"]: row["shared"] for row in document["repositories"]} == {
        "base": shared,
        "team/app": shared,
        "team/web": shared,
    }
    unique = sum(row["unique"] for row in document["repositories"])
    assert unique + shared == document["total"]
    assert all(row["unique"] + row["shared"] == row["total"] for row in document["repositories"])


def test_unique_is_what_a_deletion_of_the_repository_frees(directory: Path) -> None:
    before = size_of_blobs(directory)
    app = sizes(directory, "team/app")["team/app"]
    config = str(directory / "config.yml")
    assert run("rm", "team/app", "--yes", "--config", config).returncode == 0
    assert json.loads(du(directory, "--json"))["unlinked"] == len(STRAY) + app["unique"]
    run("garbage-collect", "--grace=0s", config)
    assert size_of_blobs(directory) == before - app["unique"] - len(STRAY)


def test_patterns_choose_what_is_shown_and_what_is_shared_stays_so(directory: Path) -> None:
    every = sizes(directory)
    chosen = sizes(directory, "team/*")
    assert chosen == {name: row for name, row in every.items() if name != "base"}
    app, web = (chosen[name] for name in ("team/app", "team/web"))
    total = json.loads(du(directory, "--json", "team/*"))["total"]
    assert total == app["unique"] + web["unique"] + len(SHARED) + len(CONFIG)


def test_people_read_units_or_bytes_in_aligned_columns(directory: Path) -> None:
    heading, *lines = du(directory).splitlines()
    assert heading.split() == ["UNIQUE", "SHARED", "TOTAL", "REPOSITORY"]
    assert [line[heading.index("REPOSITORY") :] for line in lines[:3]] == ["base", "team/app", "team/web"]
    assert lines[3].endswith("  in all; what is shared counts once")
    assert lines[4].strip() == f"{len(STRAY)} B  in 1 blobs of no repository: registry garbage-collect frees them"
    _, line, whole = du(directory, "--bytes", "team/app").splitlines()
    app = sizes(directory, "team/app")["team/app"]
    assert line.split() == [str(app["unique"]), str(app["shared"]), str(app["total"]), "team/app"]
    assert whole.split()[0] == str(app["total"])


def test_the_largest_comes_first_if_asked_for(directory: Path) -> None:
    totals = [row["total"] for row in sizes(directory, "--sort", "size").values()]
    assert totals == sorted(totals, reverse=True)
    assert list(sizes(directory)) == ["base", "team/app", "team/web"]


def test_what_the_go_registry_keeps_under_another_digest_is_counted_and_a_folder_it_leaves_is_not(
    directory: Path,
) -> None:
    before = sizes(directory)["base"]["total"]
    repository = stored(directory).open("base")
    content = b"pushed by sha512"
    blob(repository, content)
    driver = repository.blobs._driver
    write_link(driver, paths.layer_link("base", Digest.of(content, "sha512")), Digest.of(content))
    assert sizes(directory)["base"]["total"] == before + len(content)
    for digest in (Digest.of(content), Digest.of(content, "sha512")):
        (directory / "root" / paths.layer_link("base", digest)[1:]).unlink()
    assert sizes(directory)["base"]["total"] == before


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("none",), 1, "no repository is called none"),
        (("none/*", "base"), 1, "no repository matches none/*"),
        (("base:12",), 1, "more than the name"),
        (("--insecure",), 2, "go with --url"),
    ],
)
def test_what_is_not_there_is_one_line(directory: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    done = run("du", *arguments, "--config", str(directory / "config.yml"))
    assert (done.returncode, done.stdout) == (status, "")
    assert text in done.stderr.splitlines()[-1]
