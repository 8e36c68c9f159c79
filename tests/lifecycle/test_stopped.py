"""A process that is stopped in the middle of a run, and goes on when another one has taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.filesystem.driver import FilesystemDriver
from registry.lifecycle.own_run import supersede
from registry.oci.digest import Digest
from registry.storage import paths, runs
from registry.storage.runs import Phase, Runs
from tests.serving import wait_until

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
BLOBS = 3000


def test_who_was_stopped_for_long_deletes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PACE", replace(runs.PACE, beat=0.1))
    driver = FilesystemDriver(str(tmp_path / "root"))
    fill(tmp_path / "root")
    config = tmp_path / "config.yml"
    section = "maintenance: {garbagecollection: {grace: 0s, maxshare: 100}}"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'root'}}}, {section}}}\n")
    command = [sys.executable, str(ROOT / "tests" / "lifecycle" / "pace.py"), "python", "-m", "registry"]
    collecting = subprocess.Popen(
        [*command, "garbage-collect", "--online", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    )
    try:
        wait_until("it deletes", lambda: Runs(driver).read().phase is Phase.SWEEPING and stored(driver) < BLOBS)
        os.kill(collecting.pid, signal.SIGSTOP)
        left = stored(driver)
        assert left > 1
        wait_until("it counts as dead", lambda: supersede(driver))

        os.kill(collecting.pid, signal.SIGCONT)

        _, told = collecting.communicate()
        assert collecting.returncode == 1
        assert b"another garbage collection has taken over" in told
        assert left - stored(driver) <= 1  # one that it was about to delete
        assert not Runs(driver).read().is_on
    finally:
        collecting.kill()
        collecting.wait()


def fill(root: Path) -> None:
    """Store blobs to which a condemned link leads, as files: a driver would wait for the disk at each."""
    for number in range(BLOBS):
        content = str(number).encode()
        digest = Digest.of(content)
        for path, written in (
            (paths.blob_data(digest), content),
            (paths.condemned_layer_link("app", digest), str(digest).encode()),
        ):
            file = root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(written)


def stored(driver: FilesystemDriver) -> int:
    return sum(1 for _ in driver.walk(paths.BLOBS))
