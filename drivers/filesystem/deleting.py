"""Deleting many files: each only if it is the one that was found, and the disk is waited for once for many."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH106, PTH108, PTH116, PTH120

from __future__ import annotations

import errno
import os
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, Found, PathNotFoundError, checked_path
from drivers.filesystem.files import Translated
from drivers.filesystem.locks import open_locked
from drivers.filesystem.mounts import keeps_order
from drivers.filesystem.walking import version_of
from registry.foundation.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

_BATCH: Final = 1000
"""Deletions that become durable together."""


def discard(found: Iterable[Found], root: str, lock_seconds: float) -> list[str]:
    """Do as StorageDriver.discard() in the directory `root`, waiting for a file that is locked for `lock_seconds`.

    Raises:
        OSError: the deletions could not be made durable.
    """
    changed: list[str] = []
    rest = iter(found)
    for first in rest:
        # Each is asked for when the one before has gone: who gives them may have a reason to stop.
        changed += _discard(chain([first], islice(rest, _BATCH - 1)), root, lock_seconds)
    return changed


def _discard(batch: Iterable[Found], root: str, lock_seconds: float) -> list[str]:
    changed = []
    shrunk: dict[str, None] = {}
    """Directories from which names went, the last one last."""
    failure: DriverError | None = None
    for each in batch:
        try:
            with Translated("delete", each.path):
                name = root + checked_path(each.path)
                if not _unlink_if(name, each.version, lock_seconds):
                    changed.append(each.path)
                    continue
                directory = remove_empty(os.path.dirname(name), root)
                shrunk.pop(directory, None)
                shrunk[directory] = None
        except PathNotFoundError:
            continue
        except DriverError as error:
            failure = failure or error
    _sync([*shrunk][::-1])
    if failure:
        raise failure
    return changed


def _unlink_if(name: str, version: str, lock_seconds: float) -> bool:
    """Delete a file if it has that version; tell whether it has.

    Raises:
        FileNotFoundError: there is no file.
        UploadBusyError: somebody else has it locked for `lock_seconds`.
    """
    fd = open_locked(name, lock_seconds)
    if fd is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    try:
        if version_of(os.fstat(fd)) != version:
            return False
        os.unlink(name)
    finally:
        os.close(fd)
    return True


def remove_empty(directory: str, root: str) -> str:
    """Remove `directory` and those above it below `root`, as far as they are empty; return the one that was left."""
    while directory != root:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass  # another deletion has removed it
        except OSError:
            break
        directory = os.path.dirname(directory)
    return directory


def _sync(directories: Iterable[str]) -> None:
    """Make the deletions in `directories` durable, given the one with the last of them first."""
    durable = set()
    """File systems of which all changes are durable that are older than the last one."""
    for directory in directories:
        with suppress(FileNotFoundError):  # another deletion has removed it since
            device = os.stat(directory).st_dev
            if device not in durable and sync_directory(directory) and keeps_order(device):
                durable.add(device)
