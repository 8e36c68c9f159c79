"""How a file that was written beside its name gets it: as a new one, in any case, or if what is there is as expected.

What is there is locked until it is replaced or deleted, so that it stays as it was compared.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH104, PTH108

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError
from drivers.filesystem.locks import open_locked

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""The errors of FAT and of some network file systems where a hard link is asked for."""

_ATTEMPTS: Final = 100
"""How often a name is looked at again because somebody else has just made or deleted the file."""


def rename_to_new(source: str, target: str) -> None:
    """Rename a file; FileExistsError if something has the name already."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Two callers at a time may both find nothing here; a file system without hard links has no better way.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        return os.rename(source, target)
    return os.unlink(source)


def rename_over(source: str, target: str, lock_seconds: float) -> None:
    """Rename a file, in place of one that has the name.

    Raises:
        UploadBusyError: somebody else has that one locked for `lock_seconds`.
    """
    for _ in range(_ATTEMPTS):
        fd = open_locked(target, lock_seconds)
        if fd is not None:
            try:
                return os.rename(source, target)
            finally:
                os.close(fd)
        try:
            return rename_to_new(source, target)
        except FileExistsError:
            pass  # somebody has just made it
    # It is a symbolic link that leads nowhere.
    return os.rename(source, target)


def rename_if(source: str, target: str, *, expected: bytes, lock_seconds: float) -> None:
    """Rename a file, in place of one that has the name and the content `expected`; otherwise as locked_if()."""
    with locked_if(target, expected, lock_seconds):
        os.rename(source, target)


@contextmanager
def locked_if(name: str, expected: bytes, lock_seconds: float) -> Iterator[None]:
    """Lock a file with the content `expected` for the block, which replaces or deletes it.

    Raises:
        ChangedError: it has another content, or is gone, which may also turn out in the block.
        UploadBusyError: somebody else has it locked for `lock_seconds`.
    """
    fd = open_locked(name, lock_seconds)
    if fd is None:
        raise ChangedError(f"filesystem: {name} is gone")
    try:
        if os.pread(fd, len(expected) + 1, 0) != expected:
            raise ChangedError(f"filesystem: {name} is not what it was")
        yield
    except FileNotFoundError as error:
        raise ChangedError(f"filesystem: {name} is gone") from error
    finally:
        os.close(fd)
