"""Whole storages, copied by the real command, which is killed and run again."""

from __future__ import annotations

import os
import pty
import random
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage.repository import Repositories
from tests.archive.images import blob, image
from tests.integration.test_archive import configured, registry, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFESTS = 2000
KILLS = 8


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A directory where syncs cost nothing: thousands of small files are written many times."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def source(memory: Path) -> Path:
    """The configuration of a storage with 2,000 manifests in 100 repositories, and some large layers."""
    path = configured(memory / "source")
    (memory / "source/root").mkdir()
    repositories = Repositories(FilesystemDriver(str(memory / "source/root")))
    for number in range(MANIFESTS):
        repository = repositories.open(f"team-{number % 10}/app-{number % 100}")
        layer = blob(repository, f"layer {number}".encode() * (200_000 if number % 100 == 0 else 10))
        described = image(repository, layer)
        repository.tags.point(Tag(f"v{number}"), Digest.parse(described["digest"]))
    return path


def contents(directory: Path) -> dict[str, bytes]:
    root = directory / "root"
    files = (path for path in root.rglob("*") if path.is_file())
    # Hidden files are the driver's own: what it was writing when it was killed.
    return {str(path.relative_to(root)): path.read_bytes() for path in files if not path.name.startswith(".")}


def test_copy_that_is_killed_again_and_again_ends_byte_identical(memory: Path, source: Path) -> None:
    target = configured(memory / "target")
    command = registry("storage", "copy", source, target)
    chance = random.Random(6)  # the same kills in every run
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            time.sleep(chance.uniform(0.5, 3))
            running.send_signal(signal.SIGKILL)
        links = {path: content for path, content in tree(memory / "target").items() if path.endswith("/link")}
        stored = tree(memory / "target")
        for content in links.values():
            digest = Digest.parse(content.decode())
            assert f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data" in stored

    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert " objects copied, " in done.stdout
    assert contents(memory / "target") == contents(source.parent)


def test_progress_is_one_line_on_a_terminal_and_plain_lines_in_a_pipe(memory: Path, source: Path) -> None:
    leader, follower = pty.openpty()
    command = registry("storage", "copy", source, configured(memory / "terminal"))
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
    assert shown.count(b"\r\x1b[K") > 5
    assert b"\n" not in shown
    assert b" % " in shown

    command = registry("storage", "copy", "--jobs", "1", source, configured(memory / "pipe"))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "\r" not in done.stderr
    assert all(" % " in line for line in done.stderr.splitlines())
    assert done.stdout.count("\n") == 1
