from __future__ import annotations

import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from tests.archive.images import manifest
from tests.commands.stores import configure, push_schema1, run, stored
from tests.content import ABSENT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def export(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("export", *arguments, "--config", str(directory / "config.yml"))


def names_in(path: Path) -> list[str]:
    """Return the tags in an archive."""
    with tarfile.open(path) as tar:
        index = tar.extractfile("index.json")
        assert index
        entries = [entry["annotations"] for entry in json.load(index)["manifests"]]
    return sorted(
        entry["io.containerd.image.name"] for entry in entries if "org.opencontainers.image.ref.name" in entry
    )


APP = ["team/app:latest", "team/app:v1", "team/app:v2"]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (("--all",), ["base:12", *APP, "team/web:v1"]),
        (("**",), ["base:12", *APP, "team/web:v1"]),
        (("team/*",), [*APP, "team/web:v1"]),
        (("**:v*",), ["team/app:v1", "team/app:v2", "team/web:v1"]),
        (("team/app:v?", "base"), ["base:12", "team/app:v1", "team/app:v2"]),
        (("team/app", "team/app:v*", "*/app:v1"), APP),
    ],
)
def test_patterns_and_everything_are_exported_each_once(
    directory: Path, images: tuple[str, ...], expected: list[str]
) -> None:
    path = directory / "a.tar"
    done = export(directory, *images, str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert names_in(path) == expected
    (directory / "root").rename(directory / "before")
    assert run("import", str(path), "--config", str(directory / "config.yml")).returncode == 0
    names = list(stored(directory).catalog.names())
    tags = [f"{name}:{tag}" for name in names for tag in stored(directory).open(name).tags.names()]
    assert tags == expected


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("none*", "{}/a.tar"), 1, "no repository matches none*"),
        (("team/app:x*", "{}/a.tar"), 1, "no tag matches team/app:x*"),
        (("none", "{}/a.tar"), 1, "none: repository name not known"),
        (("team/*@sha256:" + "0" * 64, "{}/a.tar"), 1, "a digest goes with the name of one repository"),
        (("UPPER", "{}/a.tar"), 1, "'UPPER' is not NAME"),
        (("{}/a.tar",), 2, "name images or a pattern, or --all, and then FILE"),
        (("--all", "base", "{}/a.tar"), 2, "name images or a pattern, or --all"),
        (("base", "{}/none/a.tar"), 1, "a.tar cannot be written: No such file or directory"),
        (("base", "-"), 1, "- is not a regular file"),
        (("base", "/dev/null"), 1, "/dev/null is not a regular file"),
        (("base", "{}/pipe"), 1, "is not a regular file"),
        (("base", "{}"), 2, "is a directory"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_no_file(
    directory: Path, arguments: tuple[str, ...], status: int, text: str
) -> None:
    os.mkfifo(directory / "pipe")
    before = sorted(directory.iterdir())
    done = export(directory, *(each.replace("{}", str(directory)) for each in arguments))
    assert (done.returncode, done.stdout) == (status, "")
    assert text in done.stderr.splitlines()[-1]
    assert sorted(directory.iterdir()) == before


def test_an_empty_registry_is_nothing_to_export(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "root").mkdir()
    done = export(tmp_path, "--all", str(tmp_path / "a.tar"))
    assert (done.returncode, done.stderr) == (1, "Error: the registry is empty: there is nothing to export\n")


def test_images_of_schema_1_and_tags_that_lead_nowhere_are_left_out_and_named(directory: Path) -> None:
    old = push_schema1(directory, "team/app", "old")
    web = stored(directory).open("team/web")
    push_schema1(directory, "team/web", "old")
    entry = {"mediaType": min(media_types.SCHEMA1), "digest": str(old), "size": 71}
    index = manifest(web, {"mediaType": media_types.DOCKER_LIST, "manifests": [entry]})
    web.tags.point(Tag("list"), Digest.parse(index["digest"]))
    (directory / "root" / paths.tag_link("base", "12")[1:]).write_text(str(ABSENT))
    path = directory / "a.tar"
    done = export(directory, "--all", str(path))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "left out, as it leads to no manifest: base:12",
        "left out, as it is an image of schema 1: team/app:old",
        "left out, as it is an image of schema 1: team/web:old",
        f"left out, as it is an image of schema 1: {old}",
    ]
    assert names_in(path) == [*APP, "team/web:list", "team/web:v1"]


@pytest.mark.parametrize("image", ["team/app:old", "team/app:v1 team/app:old"])
def test_an_image_of_schema_1_that_is_named_stops_the_export(directory: Path, image: str) -> None:
    push_schema1(directory, "team/app", "old")
    done = export(directory, *image.split(), str(directory / "a.tar"))
    assert done.returncode == 1
    assert "schema 1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_export_and_an_import_look_at_the_storage_only(directory: Path) -> None:
    auth = f"auth: {{htpasswd: {{realm: r, path: {directory}/htpasswd}}}}\n"
    with (directory / "config.yml").open("a") as file:
        file.write(auth)
    assert export(directory, "base", str(directory / "a.tar")).returncode == 0
    assert run("import", str(directory / "a.tar"), "--config", str(directory / "config.yml")).returncode == 0
    assert not (directory / "htpasswd").exists()
