"""All objects below a path. One directory of each level is open at a time, however many names it has."""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final

from drivers.base import Found, is_component
from drivers.filesystem.names import identities_above

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import _ScandirIterator

_LEADS_NOWHERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def walk(root: str, path: str) -> Iterator[Found]:
    """Do as StorageDriver.walk() in the directory `root`; a link is followed unless it leads to a parent of its own.

    Raises:
        OSError: something cannot be looked at, so what is there is not known.
    """
    levels: list[tuple[str, _ScandirIterator[str]]] = []
    try:
        _descend(levels, root, path)
        while levels:
            path, entries = levels[-1]
            for entry in entries:
                name = entry.name
                if not is_component(name):
                    continue
                below = f"{path}/{name}"
                if entry.is_dir(follow_symlinks=False):
                    _descend(levels, root, below)
                    break
                status = _status_of(entry)
                if status is None:
                    continue
                if S_ISREG(status.st_mode):
                    yield Found(below, status.st_size, status.st_mtime, version_of(status))
                elif S_ISDIR(status.st_mode) and _leads_down(root + path, status):
                    _descend(levels, root, below)
                    break
            else:
                levels.pop()
    finally:
        for _, entries in levels:
            entries.close()


def version_of(status: os.stat_result) -> str:
    """Return what the file of that status has as its version.

    Times of change say nothing: a file that is the content of several objects has a new one when one of them goes.
    """
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _descend(levels: list[tuple[str, _ScandirIterator[str]]], root: str, path: str) -> None:
    """Open the directory of `path` as the lowest of `levels`, if it is there; it is open until the last step."""
    try:
        levels.append((path, os.scandir(root + path)))
    except (FileNotFoundError, NotADirectoryError):
        return


def _status_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return the status of a file, or of what a link leads to; None if there is nothing."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE:
            raise
        return None


def _leads_down(directory: str, status: os.stat_result) -> bool:
    """Tell whether a link in `directory`, to a directory of that status, leads to no parent: a walk would not end."""
    return (status.st_dev, status.st_ino) not in identities_above(directory)
