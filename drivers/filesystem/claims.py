"""Claims on a file system: a file that whoever has the claim has open and locked, and deletes before it lets go.

The lock is that of locks.py, which ends with the process. One who finds that the file it has just locked is no longer
at its name has locked the claim of somebody who has let go, and tries again with the file that is there now.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH108, PTH120

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

from drivers.base import Claim
from drivers.filesystem.deleting import remove_empty
from drivers.filesystem.files import NewNames
from drivers.filesystem.locks import status_if_still_at

_CLOSED: Final = -1


class FileClaim(Claim):
    """Owns `fd`, the locked file `name`, which is below `root`."""

    def __init__(self, name: str, fd: int, root: str) -> None:
        self._name = name
        self._fd = fd
        self._root = root

    @property
    def held(self) -> bool:
        return self._fd != _CLOSED

    def release(self) -> None:
        fd, self._fd = self._fd, _CLOSED
        if fd == _CLOSED:
            return
        try:
            # What cannot be deleted does no harm: the next one locks it.
            with suppress(OSError):
                if status_if_still_at(self._name, fd):
                    os.unlink(self._name)
                    remove_empty(os.path.dirname(self._name), self._root)
        finally:
            os.close(fd)


def claimed_file(name: str) -> int | None:
    """Return the file `name`, which is made if there is none, open and locked; None if another has it locked.

    Raises:
        OSError: it cannot be made or locked.
    """
    while True:
        fd = _open(name)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if status_if_still_at(name, fd):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _open(name: str) -> int:
    opened: list[int] = []
    # Its directory may be deleted meanwhile because it is empty. Nothing is synced: no claim outlives its process.
    NewNames().place(name, lambda target: opened.append(os.open(target, os.O_RDWR | os.O_CREAT, 0o666)))
    return opened[0]
