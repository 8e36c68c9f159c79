from __future__ import annotations

import os
from pathlib import Path

import pytest

from drivers.filesystem import mounts as filesystem_mounts
from drivers.filesystem.mounts import has_one_host, keeps_order, tells_of_changes


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    keeps_order.cache_clear()


def tells(directory: str) -> bool:
    fd = os.open(directory, os.O_RDONLY)
    try:
        return tells_of_changes(fd)
    finally:
        os.close(fd)


def test_a_file_system_that_is_not_known_is_not_relied_on() -> None:
    assert not tells("/proc")
    assert not keeps_order(os.stat("/proc").st_dev)  # noqa: PTH116  the device, as the driver asks for it


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("xfs", True), ("overlay", True), ("nfs4", False), ("fuse.glusterfs", False), ("ceph", False), ("lustre", False)],
)
def test_a_network_file_system_has_many_hosts_and_so_may_one_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, expected: bool
) -> None:
    mounts = [(mount, device, kind) for mount, device, _ in filesystem_mounts._mounts()]
    monkeypatch.setattr(filesystem_mounts, "_mounts", lambda: mounts)

    with (tmp_path / "file").open("wb") as file:
        assert has_one_host(file.fileno()) is expected


def test_a_closed_file_is_on_no_file_system_that_is_known() -> None:
    assert not has_one_host(10**6)


@pytest.mark.parametrize(
    ("kinds", "journal", "expected"),
    [
        (["xfs"], False, True),
        (["tmpfs"], False, True),
        (["tmpfs", "overlay"], False, False),
        (["ext4"], True, True),
        (["ext4", "ext4"], True, True),
        (["ext4"], False, False),
        (["ext2"], True, False),
        (["btrfs"], True, False),
        (["nfs4"], True, False),
        (["fuse.sshfs"], True, False),
        (["xfs", "ext4"], True, False),
        ([], True, False),
    ],
)
def test_order_is_kept_by_a_log_of_all_changes(
    monkeypatch: pytest.MonkeyPatch, kinds: list[str], journal: bool, expected: bool
) -> None:
    monkeypatch.setattr(filesystem_mounts, "_mounts", lambda: [("1", "8:1", each) for each in kinds])
    monkeypatch.setattr(filesystem_mounts, "_has_journal", lambda _: journal)

    assert keeps_order(os.makedev(8, 1)) is expected
    assert not keeps_order(os.makedev(8, 2))


def test_the_mounts_of_this_process_are_read_with_their_types() -> None:
    device = Path("/proc").stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"

    assert "proc" in {kind for _, mounted, kind in filesystem_mounts._mounts() if mounted == name}
    assert not filesystem_mounts._has_journal(name)
