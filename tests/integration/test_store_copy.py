"""A storage that goes from a directory to S3, to Azure and back, killed during each copy: ``make test-azure``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.plugins import load_driver
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import blob, image
from tests.drivers.stores import storage_of
from tests.integration.storage_tree import stored
from tests.integration.test_archive import registry
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from tests.drivers.stores import Store

pytestmark = [pytest.mark.azure, pytest.mark.timeout(3600)]

MANIFESTS = int(os.environ.get("COPY_MANIFESTS") or 100)
REPOSITORIES = 5
ENOUGH = 10
"""Directories of blobs that are there when a copy is killed, of 256."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory where syncs cost nothing."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        yield Path(directory)


def fill(root: Path) -> None:
    """Push small images in some repositories, a few of them with a layer of several parts."""
    root.mkdir()
    repositories = Repositories(FilesystemDriver(str(root)))
    for number in range(MANIFESTS):
        repository = repositories.open(f"team-{number % 3}/app-{number % REPOSITORIES}")
        layer = blob(repository, f"layer {number:04}".encode() * (1_500_000 if number % 25 == 0 else 10))
        described = image(repository, layer)
        repository.tags.point(Tag(f"v{number}"), Digest.parse(described["digest"]))


def configured(path: Path, storage: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump({"version": 0.1, "storage": storage}))
    return path


def blobs_in(driver: StorageDriver) -> int:
    return len(driver.list(f"{paths.BLOBS}/sha256", limit=ENOUGH))


def test_copy_around_all_drivers_is_byte_identical_though_it_is_killed_on_every_leg(
    s3: Store, azure: Store, memory: Path
) -> None:
    fill(memory / "source")
    storages: list[dict[str, object]] = [
        {"filesystem": {"rootdirectory": str(memory / "source")}},
        storage_of(s3, memory.name),
        storage_of(azure, memory.name, **azure.direct()),
        {"filesystem": {"rootdirectory": str(memory / "back")}},
    ]
    legs = [configured(memory / f"{number}.yml", storage) for number, storage in enumerate(storages)]
    for source, target, storage in zip(legs, legs[1:], storages[1:], strict=False):
        name, parameters = next(iter(storage.items()))
        assert isinstance(parameters, dict)
        driver = load_driver(name, parameters)
        command = registry("storage", "copy", "--jobs", "2", source, target)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            wait_until("some of it is copied", lambda: blobs_in(driver) == ENOUGH, seconds=600)  # noqa: B023
            running.send_signal(signal.SIGKILL)

        done = subprocess.run(command, check=True, capture_output=True, text=True)

        there = re.search(r" objects copied, (\d+) were there", done.stdout)
        assert there
        assert int(there[1]) >= ENOUGH, "what the first had copied is not copied again"
    assert stored(memory / "back") == stored(memory / "source")
