"""All objects below a path. One directory of each level is open at a time, however many names it has."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH116

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final

from drivers.base import Found, is_component
from drivers.filesystem.names import identities_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import _ScandirIterator

_LEADS_NOWHERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def walk(root: str, path: str, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
    """Do as StorageDriver.walk() in the directory `root`; a link is followed unless it leads to a parent of its own.

    To look at a file whose name is known costs a third of reading the directory in which it is.

    Raises:
        OSError: something cannot be looked at, so what is there is not known.
    """
    levels: list[tuple[str, str, _ScandirIterator[str]]] = []

    def descend(path: str) -> None:
        """Open the directory of `path` as the lowest level, if it is there; it is open until the last step."""
        try:
            entries = os.scandir(root + path)
        except (FileNotFoundError, NotADirectoryError):
            return
        levels.append((path, leaf_in(path) if leaf_in else "", entries))

    try:
        descend(path)
        while levels:
            path, leaf, entries = levels[-1]
            for entry in entries:
                if not is_component(entry.name):
                    continue
                below = f"{path}/{entry.name}"
                found = _file_of(entry, root, below, leaf)
                if found:
                    yield found
                elif _leads_down(entry, root + path):
                    descend(below)
                    break
            else:
                levels.pop()
    finally:
        for *_, entries in levels:
            entries.close()


def walk_in_order(root: str, path: str, after: str) -> Iterator[Found]:
    """Yield the objects below `path`, by their components, that come after `after`, a path relative to it or "".

    The names in a directory of each level are held at once.

    Raises:
        OSError: something cannot be looked at, so what is there is not known.
    """
    first, _, rest = after.partition("/")
    try:
        with os.scandir(root + path) as entries:
            known = (each for each in entries if each.name >= first and is_component(each.name))
            below = sorted((each.name, _leads_down(each, root + path)) for each in known)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, leads_down in below:
        if leads_down:
            yield from walk_in_order(root, f"{path}/{name}", rest if name == first else "")
        elif name != first and (found := _file_at(root, f"{path}/{name}")):
            yield found


def _file_at(root: str, path: str) -> Found | None:
    """Return the file at `path`; None if it is none, or gone."""
    try:
        status = os.stat(root + path)
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE:
            raise
        return None
    return Found(path, status.st_size, status.st_mtime, version_of(status)) if S_ISREG(status.st_mode) else None


def version_of(status: os.stat_result) -> str:
    """Return what the file of that status has as its version.

    Times of change say nothing: a file that is the content of several objects has a new one when one of them goes.
    """
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _file_of(entry: os.DirEntry[str], root: str, path: str, leaf: str) -> Found | None:
    """Return the file that the entry at `path` is, or that the directory that it is has as its `leaf`; None without."""
    if not entry.is_dir(follow_symlinks=False):
        status = _status_of(entry)
    elif leaf:
        path = f"{path}/{leaf}"
        status = _status_of(entry, root + path)
    else:
        return None
    if status is None or not S_ISREG(status.st_mode):
        return None
    return Found(path, status.st_size, status.st_mtime, version_of(status))


def _leads_down(entry: os.DirEntry[str], directory: str) -> bool:
    """Tell whether an entry of `directory` is one, or a link to one which is no parent: a walk would not end."""
    if entry.is_dir(follow_symlinks=False):
        return True
    status = _status_of(entry) if entry.is_symlink() else None
    if status is None or not S_ISDIR(status.st_mode):
        return False
    return (status.st_dev, status.st_ino) not in identities_above(directory)


def _status_of(entry: os.DirEntry[str], below: str = "") -> os.stat_result | None:
    """Return the status of what an entry is or leads to, or of the file `below` it; None if there is nothing."""
    try:
        return os.stat(below) if below else entry.stat()
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE:
            raise
        return None
