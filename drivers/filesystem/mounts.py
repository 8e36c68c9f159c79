"""What each kind of file system guarantees, as far as that is known."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

_OF_ONE_HOST: Final = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
_TELLING: Final = _OF_ONE_HOST | {"nfs", "nfs4"}


def tells_of_changes(fd: int) -> bool:
    """Tell whether the directory `fd` gets a new time whenever a name in it is made or deleted.

    On most file systems on FUSE it does not.
    """
    return bool(_kinds(fd) & _TELLING)


def has_one_host(fd: int) -> bool:
    """Tell whether the open file `fd` is on a file system that no other host can have mounted at the same time."""
    return bool(_kinds(fd) & _OF_ONE_HOST)


def _kinds(fd: int) -> set[str]:
    """Return the type of the file system that the open file `fd` is on; nothing if the system does not tell."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())
        number = fields["mnt_id"].strip()
    except (OSError, KeyError):
        return set()
    return {kind for mount, _, kind in _mounts() if mount == number}


@lru_cache(maxsize=16)
def keeps_order(device: int) -> bool:
    """Tell whether names on `device` become durable in the order in which they were made, across all directories.

    On xfs and on ext4 with its journal they do ("strictly ordered metadata consistency"): one log holds all changes,
    and fsync(2) writes it up to the last change of the file or directory it is called for, so all that is older is
    durable, too. tmpfs loses all of them at once. ext4 without a journal writes only the one directory, btrfs a log of
    one file; network file systems and FUSE do not say.
    """
    name = f"{os.major(device)}:{os.minor(device)}"
    kinds = {kind for _, mounted, kind in _mounts() if mounted == name}
    return kinds in ({"xfs"}, {"tmpfs"}) or (kinds in ({"ext3"}, {"ext4"}) and _has_journal(name))


def _mounts() -> list[tuple[str, str, str]]:
    """Return number, device (MAJOR:MINOR) and type of every mount that this process sees."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    # The type comes after a field that is a single dash; how many fields come before it varies.
    return [(*_first_and_third(line), line.partition(" - ")[2].split(" ")[0]) for line in lines]


def _first_and_third(line: str) -> tuple[str, str]:
    first, _, third = line.split(" ")[:3]
    return first, third


def _has_journal(device: str) -> bool:
    try:
        name = Path(f"/sys/dev/block/{device}").resolve(strict=True).name
        # The id of the process that writes the journal.
        return Path(f"/sys/fs/ext4/{name}/journal_task").read_text().strip().isdecimal()
    except OSError:
        return False
