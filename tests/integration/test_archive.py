"""Archives between registries: real commands, real clients, and commands that are killed half-way."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.storage.repository import Repositories
from tests.archive.images import fill
from tests.integration.clients import finish, require_program, run
from tests.serving import wait_until

if TYPE_CHECKING:
    from pathlib import Path

LAYER_BYTES = 200 * 1024 * 1024
URLS = {"allow": ["^https://x[.]example/"]}


def configured(directory: Path) -> Path:
    directory.mkdir()
    path = directory / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(directory / "root")}}
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "validation": {"manifests": {"urls": URLS}}}))
    return path


def filled(directory: Path, layer_bytes: int) -> Path:
    """Give the configuration of a storage that has team/app."""
    path = configured(directory)
    (directory / "root").mkdir()
    fill(Repositories(FilesystemDriver(str(directory / "root"))).open("team/app"), layer_bytes=layer_bytes)
    return path


def registry(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "registry", *map(str, arguments)]


def tree(directory: Path) -> dict[str, bytes]:
    """Give the links of a storage and the names of its blobs."""
    root = directory / "root"
    links = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("link")}
    return links | {str(path.relative_to(root)): b"" for path in root.rglob("data") if "_uploads" not in path.parts}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return filled(tmp_path / "source", 6_000_000)


def test_export_and_import_between_two_registries(tmp_path: Path, source: Path) -> None:
    target, archive = configured(tmp_path / "target"), tmp_path / "a.tar"
    done = subprocess.run(
        registry("export", "--config", source, "team/app", archive), capture_output=True, text=True, check=True
    )
    assert done.stdout == "4 entries, 11 blobs, 5.7 MiB\n"
    assert done.stderr.startswith("left out, as it is not stored here: sha256:")
    assert done.stderr.count("\n") == 1

    done = subprocess.run(registry("import", "--config", target, archive), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "team/app:latest"
    assert done.stderr == ""
    assert tree(tmp_path / "target") == tree(tmp_path / "source")


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    source = filled(tmp_path / "source", LAYER_BYTES)
    leader, follower = pty.openpty()
    command = registry("export", "--config", source, "team/app", tmp_path / "a.tar")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower) as running:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
        assert running.wait() == 0
    os.close(leader)
    assert b" % " in shown
    assert shown.count(b"\r\x1b[K") > 1


def test_export_that_is_killed_goes_on(tmp_path: Path) -> None:
    source = filled(tmp_path / "source", LAYER_BYTES)
    archive, part = tmp_path / "a.tar", tmp_path / "a.tar.part"
    command = registry("export", "--config", source, "team/app", archive)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        wait_until("half is written", lambda: part.exists() and part.stat().st_size > LAYER_BYTES // 2)
        running.send_signal(signal.SIGKILL)
    assert not archive.exists()
    subprocess.run(command, check=True, capture_output=True)
    resumed = archive.read_bytes()
    archive.unlink()
    subprocess.run(command, check=True, capture_output=True)
    assert archive.read_bytes() == resumed


def test_import_that_is_killed_has_published_nothing_that_dangles_and_goes_on(tmp_path: Path) -> None:
    source = filled(tmp_path / "source", LAYER_BYTES)
    target, archive = configured(tmp_path / "target"), tmp_path / "a.tar"
    subprocess.run(registry("export", "--config", source, "team/app", archive), check=True, capture_output=True)
    command = registry("import", "--config", target, archive)
    root = tmp_path / "target/root"

    def largest_upload() -> int:
        return max((path.stat().st_size for path in root.rglob("_uploads/*/data")), default=0)

    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        wait_until("half is written", lambda: largest_upload() > LAYER_BYTES // 2)
        running.send_signal(signal.SIGKILL)
    assert list(root.rglob("_manifests")) == []
    subprocess.run(command, check=True, capture_output=True)
    assert tree(tmp_path / "target") == tree(tmp_path / "source")


def test_damaged_archive_is_refused_with_one_line_and_nothing_published(tmp_path: Path, source: Path) -> None:
    target, archive = configured(tmp_path / "target"), tmp_path / "a.tar"
    run(*registry("export", "--config", source, "team/app", archive))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    refused = finish(*registry("import", "--config", target, archive))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: {archive}: ")
    assert refused.stderr.count("\n") == 1
    assert [path for path in (tmp_path / "target/root").rglob("*") if path.is_file()] == []


def test_file_that_cannot_be_read_in_any_order_or_written_is_one_line(tmp_path: Path, source: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", "/dev/zero"):
        refused = finish(*registry("import", "--config", source, file))
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"Error: {file} is not a regular file")
        assert refused.stderr.count("\n") == 1
    refused = finish(*registry("export", "--config", source, "team/app", tmp_path / "none/a.tar"))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: {tmp_path}/none/a.tar cannot be written: No such file or directory\n",
    )


def test_skopeo_reads_the_archive_and_writes_one(tmp_path: Path, source: Path) -> None:
    skopeo, archive = require_program("skopeo"), tmp_path / "a.tar"
    run(*registry("export", "--config", source, "team/app:v1", archive))
    inspected = json.loads(run(skopeo, "inspect", "--raw", f"oci-archive:{archive}:v1"))
    assert len(inspected["manifests"]) == 2

    # skopeo would fetch the layer that is not stored from its URL, where there is no server: take another image.
    amd64 = inspected["manifests"][0]["digest"]
    run(*registry("export", "--config", source, f"team/app@{amd64}", tmp_path / "b.tar"))
    run(skopeo, "copy", "--preserve-digests", f"oci-archive:{tmp_path}/b.tar", f"oci-archive:{tmp_path}/c.tar:copied")
    target = configured(tmp_path / "target")
    assert (
        run(*registry("import", "--config", target, "--as", "from/skopeo", tmp_path / "c.tar"))
        == "from/skopeo:copied\n"
    )
    (link,) = (tmp_path / "target/root").rglob("_manifests/tags/copied/current/link")
    assert link.read_text() == amd64


def test_umoci_reads_the_archive_and_writes_one(tmp_path: Path) -> None:
    umoci, layout = require_program("umoci"), tmp_path / "layout"
    run(umoci, "init", "--layout", layout)
    run(umoci, "new", "--image", f"{layout}:empty")
    (tmp_path / "file").write_text("content")
    run(umoci, "insert", "--rootless", "--image", f"{layout}:empty", tmp_path / "file", "/file")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(layout, ".")
    target = configured(tmp_path / "target")
    assert (
        run(*registry("import", "--config", target, "--as", "from/umoci", tmp_path / "a.tar")) == "from/umoci:empty\n"
    )

    run(*registry("export", "--config", target, "from/umoci", tmp_path / "b.tar"))
    shutil.rmtree(layout)
    layout.mkdir()
    run(require_program("tar"), "--extract", "--file", tmp_path / "b.tar", "--directory", layout)
    assert run(umoci, "ls", "--layout", layout).split() == ["empty"]
    run(umoci, "unpack", "--rootless", "--image", f"{layout}:empty", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/file").read_text() == "content"
