from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from tests.commands.stores import configure, fill, run, stored

if TYPE_CHECKING:
    from pathlib import Path


def rm(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("rm", *arguments, "--config", str(directory / "config.yml"))


def tags(directory: Path, name: str) -> list[str]:
    return list(stored(directory).open(name).tags.page(limit=100))


def files(directory: Path) -> set[Path]:
    return {path for path in (directory / "root").rglob("*") if path.is_file()}


def frees(directory: Path) -> str:
    command = f"registry garbage-collect --delete-untagged {directory}/config.yml"
    return f"disk space is freed by: {command}; it deletes the untagged manifests of all repositories\n"


def test_a_tag_goes_alone_without_asking_and_it_is_said_what_frees_space(directory: Path) -> None:
    digest = stored(directory).open("team/app").tags.resolve(Tag("v1"))
    done = rm(directory, "team/app:v1")
    assert (done.returncode, done.stdout) == (0, "deleted team/app:v1\n")
    assert done.stderr == frees(directory)
    assert tags(directory, "team/app") == ["latest", "v2"]
    assert rm(directory, "team/web", "team/app:v2", "--yes").stderr == frees(directory)
    assert stored(directory).open("team/app").manifests.has(digest)


def test_what_is_said_to_free_space_does(directory: Path) -> None:
    done = rm(directory, "team/app", "--yes")
    command = done.stderr.rpartition("registry ")[2].split()
    assert "--delete-untagged" not in command  # which would delete manifests of other repositories
    before = files(directory)
    run(*command, "--grace=0s")
    gone = {path.parent.name for path in before - files(directory) if path.name == "data"}
    assert len(gone) == 2  # the manifest, and the layer that no other repository has


def test_what_is_said_to_free_space_also_frees_the_images_of_an_index(directory: Path) -> None:
    done = rm(directory, "team/web:v1", "--all-tags", "--yes")
    assert done.stderr == frees(directory)
    run("garbage-collect", "--grace=0s", str(directory / "config.yml"))
    assert list(stored(directory).open("team/web").manifests.digests())
    command = done.stderr.rpartition("by: registry ")[2].partition(";")[0].split()
    run(*command, "--grace=0s")
    assert not list(stored(directory).open("team/web").manifests.digests())


def test_a_manifest_goes_with_all_its_tags_which_are_named_first(directory: Path) -> None:
    digest = stored(directory).open("team/app").tags.resolve(Tag("v1"))
    named = f"team/app@{digest} with its tags latest, v1, v2"
    done = rm(directory, f"team/app@{digest}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: this would delete {named}: give --yes, or see --dry-run\n"
    assert tags(directory, "team/app") == ["latest", "v1", "v2"]

    done = rm(directory, f"team/app@{digest}", "--yes")
    assert (done.returncode, done.stdout) == (0, f"deleted {named}\n")
    assert not stored(directory).open("team/app").manifests.has(digest)


def test_all_tags_deletes_the_manifest_of_a_tag(directory: Path) -> None:
    digest = stored(directory).open("team/app").tags.resolve(Tag("v1"))
    done = rm(directory, "team/app:v*", "--all-tags", "--yes", "--json")
    assert json.loads(done.stdout) == [{"repository": "team/app", "digest": str(digest), "tags": 3}]
    assert not stored(directory).open("team/app").manifests.has(digest)


def test_a_whole_repository_goes_and_others_stay(directory: Path) -> None:
    done = rm(directory, "team/app", "-y")
    assert (done.returncode, done.stdout) == (0, "deleted team/app, the whole repository with 3 tags\n")
    assert list(stored(directory).catalog.names()) == ["base", "team/web"]
    assert list(stored(directory).catalog.linking()) == ["base", "team/web"]
    assert tags(directory, "team/web") == ["v1"]


def test_what_is_nested_in_a_repository_goes_with_it_if_that_is_said(directory: Path) -> None:
    done = rm(directory, "team", "--recursive", "--yes", "--json")
    assert (done.returncode, [row["repository"] for row in json.loads(done.stdout)]) == (0, ["team/app", "team/web"])
    assert list(stored(directory).catalog.names()) == ["base"]
    assert rm(directory, "bas", "-r", "-y").stderr == "Error: there is no repository bas, nor one nested in it\n"
    assert list(stored(directory).catalog.names()) == ["base"]


@pytest.mark.parametrize("arguments", [["team/blobs"], ["team", "--recursive"], ["team/bl*"]])
def test_a_name_that_has_blobs_and_no_manifest_goes_as_a_repository(directory: Path, arguments: list[str]) -> None:
    shutil.copytree(
        directory / "root/docker/registry/v2/repositories/base/_layers",
        directory / "root/docker/registry/v2/repositories/team/blobs/_layers",
    )
    done = rm(directory, *arguments, "--yes")
    assert done.returncode == 0
    assert "deleted team/blobs, the whole repository with 0 tags\n" in done.stdout
    assert "team/blobs" not in list(stored(directory).catalog.keeping())


def test_a_tag_has_nothing_nested_in_it(directory: Path) -> None:
    done = rm(directory, "team/app:v1", "--recursive", "--yes")
    assert done.returncode == 2
    assert "--recursive goes with whole repositories" in done.stderr


def test_what_goes_with_its_whole_repository_is_not_deleted_twice(directory: Path) -> None:
    done = rm(directory, "team/app:v1", "team/app", "team/web:v1", "--yes", "--json")
    assert json.loads(done.stdout) == [
        {"repository": "team/app", "tags": 3},
        {"repository": "team/web", "tag": "v1"},
    ]
    assert "any more" not in done.stderr


def test_patterns_delete_what_matches_each_once(directory: Path) -> None:
    done = rm(directory, "team/*:v1", "**:v1", "base:1?", "--yes", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == [
        {"repository": "team/app", "tag": "v1"},
        {"repository": "team/web", "tag": "v1"},
        {"repository": "base", "tag": "12"},
    ]
    assert tags(directory, "team/app") == ["latest", "v2"]
    assert tags(directory, "base") == tags(directory, "team/web") == []


@pytest.mark.parametrize("names", [("team/app:v1",), ("team/**",), ("**",), ("team/app:v*", "base:12")])
def test_a_dry_run_tells_what_would_go_and_deletes_nothing(directory: Path, names: tuple[str, ...]) -> None:
    before = files(directory)
    done = rm(directory, *names, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(directory) == before
    told = done.stdout.replace("would delete", "deleted")
    assert rm(directory, *names, "--yes").stdout == told


@pytest.mark.parametrize("names", [("team/app:v*",), ("team/app",), ("base:12", "team/app:v1"), ("**",)])
def test_more_than_one_thing_is_not_deleted_in_a_pipe_without_yes(directory: Path, names: tuple[str, ...]) -> None:
    before = files(directory)
    done = rm(directory, *names)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: this would delete ")
    assert done.stderr.endswith(": give --yes, or see --dry-run\n")
    assert files(directory) == before


def on_a_terminal(directory: Path, answer: str, *arguments: str) -> tuple[int, str]:
    """Run rm on a terminal, type `answer` when it asks, and return its exit status and what it said."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "registry", "rm", "--config", str(directory / "config.yml"), *arguments]
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env={}, start_new_session=True
    )
    os.close(follower)
    said = ""
    try:
        while select.select([leader], [], [], 60)[0]:
            piece = os.read(leader, 65536).decode()
            said += piece
            if "[y/N]" in piece:
                os.write(leader, f"{answer}\n".encode())
    except OSError:  # the terminal is closed when the process has ended
        pass
    os.close(leader)
    return process.wait(60), said.replace("\r\n", "\n")


def test_on_a_terminal_it_asks_and_a_no_deletes_nothing(directory: Path) -> None:
    before = files(directory)
    status, said = on_a_terminal(directory, "n", "team/*")
    assert status == 1
    assert said.startswith(
        "team/app, the whole repository with 3 tags\nteam/web, the whole repository with 1 tag\nDelete these 2? [y/N]: "
    )
    assert files(directory) == before

    status, said = on_a_terminal(directory, "y", "team/app")
    assert status == 0
    assert "Delete this? [y/N]: y\n" in said
    assert list(stored(directory).catalog.names()) == ["base", "team/web"]


def test_of_many_targets_the_first_are_shown_and_the_rest_counted(directory: Path) -> None:
    repository = stored(directory).open("base")
    digest = repository.tags.resolve(Tag("12"))
    for number in range(11):
        repository.tags.point(Tag(f"n{number:02}"), digest)
    status, said = on_a_terminal(directory, "n", "base:*")
    assert status == 1
    assert said.splitlines()[9:11] == ["base:n08", "and 2 more; --dry-run lists all"]
    assert "Delete these 12? [y/N]: " in said
    done = rm(directory, f"base@{digest}", "--dry-run")
    assert done.stdout.endswith(", n08 and 2 more\n")


def test_where_one_of_several_is_not_there_nothing_is_deleted(directory: Path) -> None:
    before = files(directory)
    done = rm(directory, "team/app:v1", "team/app:v9", "--yes")
    assert (done.returncode, done.stderr) == (1, "Error: there is no tag team/app:v9\n")
    assert files(directory) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none", "there is no repository none"),
        ("none/**", "no repository matches none/**"),
        ("team/app:x*", "no tag matches team/app:x*"),
        (f"team/app@{Digest('sha256', '0' * 64)}", "there is no manifest team/app@sha256:0000"),
        (f"team/*@{Digest('sha256', '0' * 64)}", "there is no manifest team/*@sha256:0000"),
        ("", "'' is not NAME"),
        ("/", "'/' is not NAME"),
        ("team/app:", "is not NAME"),
    ],
)
def test_what_is_not_there_is_one_line(directory: Path, name: str, text: str) -> None:
    done = rm(directory, name, "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {text}") or text in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_storage_in_maintenance_is_left_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    configure(tmp_path, ", maintenance: {readonly: {enabled: true}}")
    before = files(tmp_path)
    done = rm(tmp_path, "base:12")
    assert (done.returncode, done.stderr) == (1, "Error: storage.maintenance.readonly is on: nothing is deleted\n")
    assert files(tmp_path) == before


def test_a_tag_that_leads_nowhere_can_be_deleted(directory: Path) -> None:
    (directory / "root" / paths.tag_link("base", "12")[1:]).write_text("")
    assert rm(directory, "base:12").stdout == "deleted base:12\n"
    assert tags(directory, "base") == []


def test_a_signature_stays_until_the_garbage_collection_takes_it_with_its_image(directory: Path) -> None:
    repository = stored(directory).open("team/web")
    digest = repository.tags.resolve(Tag("v1"))
    (signature,) = repository.referrers.after(digest)
    assert rm(directory, f"team/web@{digest}").returncode == 0
    assert stored(directory).open("team/web").manifests.has(signature)
    run("garbage-collect", "-m", "--grace=0s", str(directory / "config.yml"))
    assert not stored(directory).open("team/web").manifests.has(signature)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_tells_the_journal_belongs_to_the_owner_of_the_storage(open_directory: Path) -> None:
    fill(open_directory)
    configure(open_directory)
    path, root = open_directory / "config.yml", open_directory / "root"
    path.write_text(f"{path.read_text()}\nnotifications: {{endpoints: [{{name: ci, url: 'http://127.0.0.1:1/'}}]}}\n")
    for each in (root, *root.rglob("*")):
        os.chown(each, 12345, 12346)
    done = rm(open_directory, "team/app:v1")
    assert (done.returncode, done.stdout) == (0, "deleted team/app:v1\n")
    made = [root / "registry", *(root / "registry").rglob("*")]
    assert len(made) == 4
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(12345, 12346)}
