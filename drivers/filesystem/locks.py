"""Locks of files by flock(2): they keep out other threads, other processes and, on NFS, other hosts."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH116

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from typing import Final

from drivers.base import UploadBusyError

LOCK_SECONDS: Final = 5.0
"""How long a lock is waited for."""

_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02


def lock(fd: int, name: str, seconds: float) -> None:
    """Lock the open file `fd`, whose name is `name`.

    Raises:
        UploadBusyError: somebody else has it locked for `seconds`.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise UploadBusyError(f"filesystem: another request is writing to {name}") from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def open_locked(name: str, seconds: float) -> int | None:
    """Return the file that is called `name`, open and locked until it is closed, or None if there is none.

    Whoever replaces or deletes a file that others may want to compare first does it under this lock.

    Raises:
        UploadBusyError: somebody else has it locked for `seconds`.
    """
    while (fd := _open(name)) is not None:
        try:
            try:
                lock(fd, name, seconds)
            except OSError as error:
                # NFS locks a file that may be written to, which the owner of this one may not allow.
                if error.errno != errno.EBADF:
                    raise
            if status_if_still_at(name, fd):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    return None


def status_if_still_at(name: str, fd: int) -> os.stat_result | None:
    """Return the status of the open file `fd`, provided that `name` is still its name, or None if it is not."""
    with suppress(FileNotFoundError):
        found = os.stat(name)
        if os.path.samestat(found, os.fstat(fd)):
            return found
    return None


def _open(name: str) -> int | None:
    try:
        return os.open(name, os.O_RDWR)
    except PermissionError:
        return os.open(name, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
