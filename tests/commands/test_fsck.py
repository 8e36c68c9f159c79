from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.fsck.scrubbed import Scrubbed, read_scrubbed, write_scrubbed
from registry.oci.digest import Digest
from registry.storage import enumeration, paths
from registry.storage.links import write_link
from registry.storage.runs import Phase, Run, Runs
from tests.commands.stores import SHARED, configure, fill, run, stored

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(directory: Path) -> str:
    return str(directory / "config.yml")


@pytest.fixture
def driver(directory: Path) -> FilesystemDriver:
    return FilesystemDriver(str(directory / "root"))


def test_a_sound_storage_is_told_to_be(config: str) -> None:
    done = run("fsck", "--deep", config)

    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith("3 repositories, 5 tags, 5 manifests, ")
    assert rest == ["nothing is damaged"]


def test_what_is_damaged_is_a_line_with_its_tags_and_what_to_do(config: str, driver: FilesystemDriver) -> None:
    digest = Digest.of(SHARED)
    driver.delete(paths.layer_link("team/app", digest))

    done = run("fsck", config)

    assert (done.returncode, done.stderr) == (3, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("damaged: ")]
    assert line.startswith(f"damaged: team/app@{digest}: sha256:")
    advice = "push the image again; --relink writes the link, if readers of the repository may have the blob"
    assert line.endswith(f" is missing (tags latest, v1, v2); {advice}")
    assert done.stdout.endswith("\n1 damaged: 0 repaired, 0 removed, 1 remain\n")


def test_after_a_repair_the_status_is_0_and_the_next_run_finds_nothing(config: str, driver: FilesystemDriver) -> None:
    driver.put(paths.layer_link("team/app", Digest.of(SHARED)), b"")

    done = run("fsck", "--repair", config)

    assert done.returncode == 0
    assert done.stdout.startswith("repaired: team/app@")
    assert done.stdout.endswith("\n1 damaged: 1 repaired, 0 removed, 0 remain\n")
    assert run("fsck", config).stdout.endswith("\nnothing is damaged\n")


def test_a_link_to_a_blob_that_is_missing_is_written_on_request_only(config: str, driver: FilesystemDriver) -> None:
    driver.delete(paths.layer_link("team/app", Digest.of(SHARED)))

    assert run("fsck", "--repair", config).returncode == 3
    assert run("fsck", "--prune", config).returncode == 3
    done = run("fsck", "--relink", config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("repaired: team/app@")
    assert run("fsck", config).stdout.endswith("\nnothing is damaged\n")


def test_pruning_repairs_and_removes(config: str, driver: FilesystemDriver, directory: Path) -> None:
    driver.put(paths.tag_link("base", "12"), b"")
    driver.delete(paths.all_tag_history("base", "12"))
    driver.put(paths.tag_link("team/app", "v1"), b"")

    first = run("fsck", "--repair", config)
    second = run("fsck", "--prune", config)

    assert (first.returncode, second.returncode) == (3, 0)
    assert first.stdout.startswith(
        "damaged: base:12: its link is empty, so it leads nowhere; push it again, or --prune"
    )
    assert "\nrepaired: team/app:v1: " in first.stdout
    assert second.stdout.startswith("removed: base:12: its link is empty, so it leads nowhere\n")
    assert list(stored(directory).open("base").tags.names()) == []


def test_damage_of_other_repositories_is_not_asked_for(config: str, driver: FilesystemDriver) -> None:
    driver.put(paths.tag_link("base", "12"), b"")

    assert run("fsck", "--repository", "team/*", config).returncode == 0
    assert run("fsck", "--repository", "team/*", "--repository", "b*", config).returncode == 3


def test_scripts_get_json(config: str, driver: FilesystemDriver) -> None:
    driver.put(paths.tag_link("base", "12"), b"")

    done = run("fsck", "--json", config)

    told = json.loads(done.stdout)
    (found,) = told["findings"]
    assert (found["kind"], found["status"], found["damage"]) == ("tag-link", "found", True)
    assert (found["repository"], found["where"], found["tags"]) == ("base", "base:12", ["12"])
    summary = told["summary"]
    assert (summary["damaged"], summary["remaining"], summary["repositories"], summary["tags"]) == (1, 1, 3, 5)
    assert run("fsck", "--json", config).stdout == done.stdout


def test_json_of_a_sound_storage_is_an_empty_list(config: str) -> None:
    assert json.loads(run("fsck", "--json", config).stdout)["findings"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_repairs_belongs_to_the_owner_of_the_storage(open_directory: Path) -> None:
    fill(open_directory)
    config, root = configure(open_directory), open_directory / "root"
    driver = FilesystemDriver(str(root))
    driver.put(paths.blob_data(Digest.of(b"damaged")), b"other")
    driver.delete(paths.tag_link("base", "12"))
    driver.put(paths.layer_link("team/app", Digest.of(SHARED)), b"")
    write_scrubbed(driver, Scrubbed(ended=1.0, damaged=3))
    for each in (root, *root.rglob("*")):
        os.chown(each, 12345, 12346)

    done = run("fsck", "--deep", "--repair", config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("repaired: ") == 3
    made = [root, *root.rglob("*")]
    assert (root / paths.QUARANTINE[1:]).is_dir()
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(12345, 12346)}
    assert read_scrubbed(driver).damaged == 0


def test_while_a_garbage_collection_runs_nothing_is_checked(config: str, driver: FilesystemDriver) -> None:
    Runs(driver).write(Run(7, Phase.MARKING, host="node-1"))

    done = run("fsck", "--deep", config)

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "a garbage collection runs on node-1: try again when it ends\n"


@pytest.mark.parametrize("option", ["--repair", "--prune"])
def test_where_all_blobs_are_gone_nothing_is_removed(config: str, driver: FilesystemDriver, option: str) -> None:
    driver.delete(paths.BLOBS)
    before = {found.path for found in driver.walk("/docker")}

    done = run("fsck", option, config)

    assert done.returncode == 1
    said = "there are repositories and not a single blob: is all of the storage mounted?"
    assert done.stderr == f"Error: {said} --force checks it as it is\n"
    assert {found.path for found in driver.walk("/docker")} == before
    assert run("fsck", config).returncode == 3


@pytest.mark.parametrize("lost", ["half of the blobs", "all revisions"])
def test_where_more_than_a_fifth_is_lost_nothing_is_changed_without_force(
    config: str, driver: FilesystemDriver, lost: str
) -> None:
    if lost == "all revisions":
        for name in ("base", "team/app", "team/web"):
            for digest in list(enumeration.revisions(driver, name)):
                driver.delete(paths.revision_link(name, digest))
                driver.delete(paths.blob_data(digest))
    else:
        for digest in [each for name in ("team/app", "team/web") for each in enumeration.revisions(driver, name)]:
            driver.delete(paths.blob_data(digest))
    before = {found.path for found in driver.walk("/docker")}

    for option in ("--repair", "--prune", "--relink"):
        done = run("fsck", option, config)
        assert done.returncode == 1
        assert re.fullmatch(r"Error: \d of \d (manifests|tags) are lost, so nothing was changed: .*\n", done.stderr)
        assert {found.path for found in driver.walk("/docker")} == before
    assert run("fsck", config).returncode == 3
    assert run("fsck", "--prune", "--force", config).returncode == 0


def test_repositories_that_are_gone_are_not_a_sound_storage(config: str, driver: FilesystemDriver) -> None:
    driver.delete(paths.REPOSITORIES)

    for options in ([], ["--deep"], ["--repair"]):
        done = run("fsck", *options, config)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: there is not a single repository, and there are blobs: is all of")


def test_a_storage_of_which_all_is_condemned_is_sound(config: str, driver: FilesystemDriver) -> None:
    for name in ("base", "team/app", "team/web"):
        for digest in list(enumeration.layers(driver, name)):
            write_link(driver, paths.condemned_layer_link(name, digest), digest)
        driver.delete(paths.all_layers(name))
        driver.delete(paths.manifests(name))
    assert run("ls", "--config", config).stdout == ""

    for options in ([], ["--deep"], ["--repair"]):
        done = run("fsck", *options, config)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("\nnothing is damaged\n")


def test_an_empty_directory_is_not_a_sound_storage(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()

    done = run("fsck", "--prune", configure(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    assert list((tmp_path / "root").iterdir()) == []


def test_a_pattern_that_no_repository_matches_is_an_error(config: str) -> None:
    done = run("fsck", "--repository", "tema/**", config)
    both = run("fsck", "--repository", "tema/**", "--repository", "team/**", config)

    assert (done.returncode, done.stderr) == (1, "Error: no repository matches tema/**\n")
    assert "nothing is damaged" not in done.stdout
    assert (both.returncode, both.stderr) == (1, "Error: no repository matches tema/**\n")
    assert both.stdout.startswith("2 repositories, ")


def test_a_storage_that_does_not_exist_is_status_1(tmp_path: Path) -> None:
    done = run("fsck", configure(tmp_path))

    assert done.returncode == 1
    assert done.stderr.startswith("storage error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "7f"), "--from goes with --deep"),
        (("--deep", "--from", "xyz"), "'xyz' is not the beginning of a digest such as sha256:7f"),
        (("--rate", "fast"), "'fast' is not a number of bytes such as 50MiB"),
        (("--repository", "a//b"), "'a//b' is not a pattern for repositories"),
    ],
)
def test_a_mistake_is_one_line(config: str, arguments: tuple[str, ...], said: str) -> None:
    done = run("fsck", *arguments, config)

    assert done.returncode == 2
    assert done.stderr.rstrip().endswith(said)


def test_a_deep_check_that_breaks_off_says_where_to_go_on(config: str, directory: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    *_, before, last = sorted((directory / "root" / paths.blob_prefixes("sha256")[1:]).iterdir())
    last.chmod(0)

    done = run("fsck", "--deep", config)

    assert done.returncode == 1
    said, error = done.stderr.splitlines()
    assert said == f"to go on from here: --from sha256:{before.name}"
    assert error.startswith("storage error: ")
    last.chmod(0o755)
    assert run("fsck", "--deep", *said.removeprefix("to go on from here: ").split(), config).returncode == 0


def test_on_a_terminal_its_last_line_says_how_far_it_is_and_is_empty_at_the_end(config: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "registry", "fsck", "--deep", "--rate", "64KiB", config]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env={"TERM": "xterm"}):
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # the other end has gone
            pass
    os.close(ours)

    assert b" read: " in said
    assert said.endswith(b"\r\x1b[K")
