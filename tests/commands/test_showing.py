from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from tests.archive.images import blob, manifest
from tests.commands.stores import configure, fill, push_schema1, run, stored

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {
    "os": "linux",
    "architecture": "arm64",
    "config": {"Env": ["A=1", "B=\x1b[31mred\u202e"], "Cmd": ["run", "it"], "Labels": {"a": "two\nlines"}},
    "history": [
        {"created_by": "ADD rootfs.tar / # buildkit"},
        {"created_by": 'CMD ["run" "it"]', "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make &&\n\tmake install # buildkit"},
    ],
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("showing")
    fill(directory)
    for number, tag in enumerate(("latest", "v2", "v1")):
        at = 1_700_000_000 + 60 * number
        os.utime(directory / "root" / paths.tag_link("team/app", tag)[1:], (at, at))
    image = stored(directory).open("image")
    config = blob(image, json.dumps(CONFIG).encode(), media_types.OCI_CONFIG)
    layers = [blob(image, b"1" * 2048), blob(image, b"2" * 100)]
    described = manifest(image, {"mediaType": media_types.OCI_MANIFEST, "config": config, "layers": layers})
    image.tags.point(Tag("v1"), Digest.parse(described["digest"]))
    push_schema1(directory, "old", "v1")
    configure(directory)
    return directory


def shown(directory: Path, *arguments: str) -> str:
    done = run("show", *arguments, "--config", str(directory / "config.yml"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(directory: Path, *arguments: str) -> tuple[int, str]:
    done = run("show", *arguments, "--config", str(directory / "config.yml"))
    return done.returncode, done.stderr.splitlines()[-1]


def test_a_repository_has_a_number_of_tags_and_those_that_were_pushed_last(directory: Path) -> None:
    lines = shown(directory, "team/app").splitlines()
    assert [line.split() for line in lines[:2]] == [["Repository", "team/app"], ["Tags", "3"]]
    assert lines[3] == "The last pushed:"
    assert [line.split()[-2] for line in lines[5:]] == ["v1", "v2", "latest"]
    assert lines[5].startswith("  2023-11-14 22:15  ")


def test_a_repository_in_json_has_the_rows_of_its_tags(directory: Path) -> None:
    found = json.loads(shown(directory, "team/app", "--json"))
    assert (found["repository"], found["tags"], found["sort"]) == ("team/app", 3, "-pushed")
    assert found["rows"][0]["aliases"] == ["v2", "latest"]


def test_an_image_has_its_config_and_its_history_beside_layers_and_nothing_that_a_terminal_obeys(
    directory: Path,
) -> None:
    text = shown(directory, "image:v1")
    assert text.replace("\n", "").isprintable()
    lines = text.splitlines()
    for expected in (
        "Manifest            image:v1",
        "Kind                image",
        "Platform            linux/arm64",
        'Command             ["run", "it"]',
        "Environment         A=1",
        "                    B=\\x1b[31mred\\u202e",
        "Labels              a=two",
        "                    lines",
    ):
        assert expected in lines
    history = lines[lines.index("History:") :]
    assert [line.split()[:2] for line in history[2:5]] == [["2.0", "KiB"], ["-", "-"], ["100", "B"]]
    assert history[2].endswith("ADD rootfs.tar /")
    assert history[4].endswith("RUN make &&")
    assert history[5].strip() == "make install"


def test_an_index_has_platforms_and_what_refers_to_it(directory: Path) -> None:
    lines = shown(directory, "team/web:v1").splitlines()
    platforms = lines[lines.index("Platforms:") :]
    assert platforms[2].split()[0] == "linux/amd64"
    referring = lines[lines.index("Referred to by (present, not verified):") :]
    assert referring[2].split()[:2] == ["signature", "application/x.signature"]


def test_json_has_all_of_a_manifest_and_what_refers_to_it(directory: Path) -> None:
    found = json.loads(shown(directory, "team/web:v1", "--json"))
    assert found["manifest"]["kind"] == "index"
    assert [each["kind"] for each in found["references"]["roots"]] == ["signature"]


def test_raw_is_the_manifest_byte_for_byte(directory: Path) -> None:
    digest = stored(directory).open("image").tags.resolve(Tag("v1"))
    assert Digest.of(shown(directory, "image:v1", "--raw").encode()) == digest
    assert Digest.of(shown(directory, f"image@{digest}", "--raw").encode()) == digest


def test_a_manifest_that_cannot_be_read_is_said_to_be(directory: Path) -> None:
    assert "Kind                unreadable" in shown(directory, "old:v1").splitlines()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("none",), 1, "Error: there is no repository none"),
        (("image:none",), 1, "Error: there is no image:none"),
        (("image:none", "--raw"), 1, "Error: there is no image:none"),
        (("team/*",), 1, "Error: team/* may be many; name one repository, tag or manifest"),
        (("image", "--raw"), 2, "Error: --raw goes with a manifest: REPOSITORY:TAG or REPOSITORY@DIGEST"),
        (("image:v1", "--raw", "--json"), 2, "Error: give --json or --raw, not both"),
    ],
)
def test_what_is_not_there_and_what_makes_no_sense_is_one_line(
    directory: Path, arguments: tuple[str, ...], status: int, text: str
) -> None:
    assert refused(directory, *arguments) == (status, text)
