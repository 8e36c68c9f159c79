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
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEALTH = {"health": {"storagedriver": {"enabled": True, "interval": "100ms"}}}
INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
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
    with serving(tmp_path) as server:
        api = Api("127.0.0.1", server.port)
        api.push_blob("a", b"content")
        subprocess.run(["umount", str(disk)], check=True)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until("they have looked", lambda: "filesystem: nothing is mounted at" in server.log())
        for _ in range(10):
            assert api.request("POST", "/v2/a/blobs/uploads/").status == 503
        assert list(disk.iterdir()) == []


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Mounts and unmounts a file system at the storage root; its content is kept."""
    held, root = tmp_path / "held", tmp_path / "root"
    held.mkdir()
    root.mkdir()
    if not mount(held):
        missing("the right to mount")

    def change(how: str) -> None:
        command = ["mount", "--bind", str(held), str(root)] if how == "mount" else ["umount", str(root)]
        # It cannot be unmounted while any process has a file open there.
        wait_until(f"{how} succeeds", lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0)

    change("mount")
    yield change
    subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)
    subprocess.run(["umount", "--lazy", str(held)], check=False, capture_output=True)


@pytest.mark.parametrize("checked", [True, False])
def test_what_was_pushed_before_storage_was_unmounted_is_there_afterwards_and_nothing_is_pushed_meanwhile(
    tmp_path: Path, volume: Callable[[str], None], *, checked: bool
) -> None:
    looks = {"health": {"storagedriver": {"enabled": checked, "interval": "100ms"}}}
    with serving(tmp_path, looks) as server:
        api = Api("127.0.0.1", server.port)
        digest = api.push_blob("a", b"before")
        begun = api.begin_upload("a").location

        volume("unmount")
        wait_until("it is noticed", lambda: server.get("/readyz").status == 503)
        assert server.get("/v2/").status == (503 if checked else 200)
        assert api.request("POST", "/v2/a/blobs/uploads/").status == 503
        assert api.finish_upload(begun, digest_of(b"x"), b"x").status >= 400
        assert api.put_manifest("a", "v1", INDEX, INDEX_TYPE).status == 503
        assert list((tmp_path / "root").iterdir()) == []

        volume("mount")
        wait_until("it is back", lambda: server.get("/readyz").status == 200)
        assert api.blob("a", digest).body == b"before"
        assert api.finish_upload(begun, digest_of(b"x"), b"x").status == 201
        assert api.put_manifest("a", "v1", INDEX, INDEX_TYPE).status == 201


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
