"""The storage goes away and comes back under a running server. Needs root, to mount and unmount."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import Api, digest_of
from tests.integration.clients import missing
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEALTH = {"health": {"storagedriver": {"enabled": True, "interval": "100ms"}}}
DISK_BYTES = 8 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own at the server's storage root."""
    root = tmp_path / "root"
    root.mkdir()
    if not mount(root):
        missing("the right to mount")
    yield root
    subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)


def mount(root: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(root)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_unmounted_storage_is_noticed_and_its_return_too(tmp_path: Path, disk: Path) -> None:
    with serving(tmp_path, HEALTH) as server:
        assert server.get("/readyz").status == 200

        subprocess.run(["umount", str(disk)], check=True)
        wait_until("it is noticed", lambda: server.debug("/debug/health").status == 503)
        assert b"nothing is mounted at" in server.debug("/debug/health").body
        assert server.get("/readyz").status == server.get("/v2/").status == 503
        assert server.get("/healthz").status == 200
        assert server.request("POST", "/v2/a/blobs/uploads/").status == 503
        assert list(disk.iterdir()) == []

        assert mount(disk)
        wait_until("it is back", lambda: server.debug("/debug/health").status == 200)
        assert server.get("/v2/").status == server.get("/readyz").status == 200
        assert server.log().count("health check failed") == server.log().count("health check passes again") == 1


def test_workers_that_start_while_the_storage_is_unmounted_leave_its_mount_point_empty(
    tmp_path: Path, disk: Path
) -> None:
    with serving(tmp_path, {"log": {"level": "debug"}}) as server:
        Api("127.0.0.1", server.port).push_blob("a", b"content")
        subprocess.run(["umount", str(disk)], check=True)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until("they have looked", lambda: "nothing is said to other registries" in server.log())
        assert list(disk.iterdir()) == []


def test_full_disk_refuses_pushes_with_507_and_serves_pulls(tmp_path: Path, disk: Path) -> None:
    with serving(tmp_path, HEALTH) as server:
        api = Api("127.0.0.1", server.port)
        small = api.push_blob("a", b"small")
        large = bytes(DISK_BYTES)

        answer = api.finish_upload(api.begin_upload("a").location, digest_of(large), large)

        assert answer.status == 507
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert api.blob("a", small).body == b"small"
        assert server.get("/readyz").status == server.debug("/debug/health").status == 200
        for upload in disk.rglob("_uploads/*/data"):
            upload.unlink()
        assert api.push_blob("a", b"room again")
