"""Finds out what a process cannot use, and whether the operator alone has named it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from registry.container.way import way_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.container.needs import Needs
    from registry.container.user import User

UNFINISHED: Final = ".chown-unfinished"
"""In a tree while it changes hands; if it is there at a start, the last one was interrupted."""
PASSED_OVER: Final = frozenset({"lost+found", UNFINISHED})
_READ: Final = os.R_OK | os.X_OK
USE: Final = _READ | os.W_OK
"""What is done with a directory in which names are made and deleted."""
_LOOKED_AT: Final = 4096
_FOLLOWED: Final = 256


def unusable(needs: Needs) -> list[str]:
    """Return paths among `needs` that this process cannot use, one for each need at most.

    Trees are looked at from the top, in each of their levels at the newest directories, and no more of them than takes
    a moment: a small tree as a whole. What is read-only for all is not expected to be writable.
    """
    found = [path for path in sorted(needs.files) if not os.access(path, os.R_OK)]
    for path in sorted(needs.made | needs.directories):
        if os.path.exists(path) or path in needs.made:  # noqa: PTH110  Path raises where a way cannot be searched
            found += [] if os.access(path, _READ if _is_read_only(path) else USE) else [path]
    for tree in sorted(needs.trees | needs.read_trees):
        writing = tree in needs.trees and not _is_read_only(tree)
        if writing and os.path.isfile(f"{tree}/{UNFINISHED}"):  # noqa: PTH113  as above
            found.append(tree)
        else:
            found += islice(_unusable_below(tree, USE if writing else _READ), 1)
    return found


def _unusable_below(tree: str, use: int) -> Iterator[str]:
    """Yield what is found in `tree` of directories that cannot be used for `use` and files that cannot be read."""
    try:
        level = [tree] if stat.S_ISDIR(os.stat(tree).st_mode) else []  # noqa: PTH116  any text
    except PermissionError:
        yield tree
        return
    except OSError:  # it is not there
        return
    while level:
        directories: list[tuple[int, str]] = []
        left = _LOOKED_AT
        for directory in level:
            if not os.access(directory, use):
                if os.path.lexists(directory):
                    yield directory
                continue
            for path, status in _entries(directory, left):
                left -= 1
                if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK):
                    yield path
                elif stat.S_ISDIR(status.st_mode):
                    directories.append((status.st_mtime_ns, path))
        level = [path for _, path in sorted(directories, reverse=True)[:_FOLLOWED]]


def _entries(directory: str, limit: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in `directory`, no more than `limit`, with its status; what a link leads to is not looked at.

    A server that runs already may delete it meanwhile.
    """
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in islice(entries, limit):
            if entry.name not in PASSED_OVER:
                with suppress(OSError):  # gone
                    yield entry.path, entry.stat(follow_symlinks=False)


def named_by_operator(path: str, needs: Needs, user: User) -> bool:
    """Tell whether it is for the operator alone, and not for `user`, that `path`, from unusable(), is to be used.

    What `user` may have made or put in the place of something else gives it no right. What it finds on a file system
    that is read-only here was given by whoever mounted that.
    """
    if _is_read_only(path):
        return True
    if path not in needs.files | needs.made | needs.directories | needs.trees | needs.read_trees:
        return False
    try:
        with way_to(path, user) as steps:
            status = steps[-1].status
            replaceable = any(each.may_be_emptied(user) for each in steps[:-1])
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 or not replaceable


def _is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False
