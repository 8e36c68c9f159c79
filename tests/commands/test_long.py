"""Commands that take long: progress on a terminal only, and results for scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.reference import Tag
from registry.storage.repository import Repositories
from tests.archive.images import fill
from tests.terminal import on_terminal

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = (sys.executable, "-m", "registry")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    fill(Repositories(FilesystemDriver(str(tmp_path / "source"))).open("team/app"))
    return configuration(tmp_path, "source")


def configuration(directory: Path, name: str) -> Path:
    path = directory / f"{name}.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {directory / name}}}}}"
    # One of the images has a layer that is elsewhere.
    path.write_text(f"version: 0.1\n{storage}\nvalidation: {{manifests: {{urls: {{allow: ['^https://']}}}}}}\n")
    return path


def told(*arguments: str | Path) -> Any:
    done = subprocess.run([*REGISTRY, *arguments, "--json"], capture_output=True, env={}, text=True, check=True)
    assert "\x1b" not in done.stderr
    return json.loads(done.stdout)


def test_results_are_json_for_scripts(source: Path, tmp_path: Path) -> None:
    target, other = configuration(tmp_path, "target"), configuration(tmp_path, "other")
    digest = str(Repositories(FilesystemDriver(str(tmp_path / "source"))).open("team/app").tags.resolve(Tag("v1")))
    archive = tmp_path / "app.tar"

    exported = told("export", "--config", source, "team/app", archive)
    imported = told("import", "--config", target, archive)
    rebuilt = told("referrers", "rebuild", target)
    copied = told("storage", "copy", source, other)
    again = told("storage", "copy", source, other)

    assert exported["entries"] == len(imported) > 0
    assert (exported["dead_tags"], *exported["left_out"].values()) == ([], "it is not stored here")
    assert exported["blobs"] > 0
    assert {"name": "team/app", "tag": "v1", "digest": digest} in imported
    assert (rebuilt["repositories"], rebuilt["referrers"] > 0) == (1, True)
    assert (copied["there"], copied["damaged"]) == (0, [])
    assert copied["bytes"] >= exported["bytes"] > 0
    assert (again["copied"], again["there"]) == (0, copied["copied"])


@pytest.mark.parametrize("command", ["export", "copy", "rebuild"])
def test_a_terminal_that_is_done_has_the_result_alone(source: Path, tmp_path: Path, command: str) -> None:
    target = configuration(tmp_path, "target")
    arguments: dict[str, list[str | Path]] = {
        "export": ["export", "--config", source, "team/app", tmp_path / "app.tar"],
        "copy": ["storage", "copy", source, target],
        "rebuild": ["referrers", "rebuild", source],
    }
    with on_terminal([*REGISTRY, *arguments[command]]) as terminal:
        assert terminal.finish() == 0
    shown, _, left = terminal.written.rpartition("\r\x1b[K")
    assert any(word in left for word in ("entries", "objects copied", "referrers in"))
    # The others are done too soon to show anything.
    assert ("1 repositories, " in shown) == (command == "rebuild")
