"""Makes files and directories usable for an unprivileged user: only what is not, and never what somebody slipped in.

Who may write to a tree may have put links into it. So a tree is walked by descriptors of its directories, no symbolic
link is followed, and a file that has a second name elsewhere keeps its owner.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.container.usability import PASSED_OVER, UNFINISHED, USE
from registry.container.way import permits, way_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from registry.container.needs import Needs
    from registry.container.user import User
    from registry.container.way import Step

_DEEPEST: Final = 300
_TELL_SECONDS: Final = 30.0
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Changes:
    """What was changed so that the user can use it, and what went wrong, by path."""

    done: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def add(self, done: Iterable[str]) -> None:
        """Add what is `done`, one by one: what follows may go wrong."""
        for each in done:
            self.done.append(each)


def make_usable(problems: list[str], needs: Needs, user: User, tell: Callable[[str], None], changes: Changes) -> None:
    """Change what is needed for `user` to use `needs`, where `problems`, from unusable(), are; say so in `changes`.

    How far it is goes to `tell` while that takes long. Trees come first: once `user` may write to the directory that a
    tree is in, a symbolic link there, such as to another disk, may be its own.
    """
    changes.wrong.clear()
    for tree in _trees_of(problems, needs):
        try:
            changed = hand_over(tree, user, tell)
            if changed:
                changes.done.append(f"{tree} (to write, {changed} changed owner)")
            if tree in needs.read_trees:  # else the directory that it is in is given, too
                changes.add(let_search(tree, user))
        except OSError as error:
            changes.wrong[tree] = f"{tree}: {error.strerror}"
    for path in problems:
        if path not in needs.files | needs.made | needs.directories:
            continue
        try:
            if path in needs.files:
                changes.add(let_read(path, user))
            elif give_directory(path, user, make=path in needs.made):
                changes.done.append(f"{path} (to write)")
        except OSError as error:
            changes.wrong[path] = f"{path}: {error.strerror}"


def _trees_of(problems: list[str], needs: Needs) -> list[str]:
    """Return the trees that have one of `problems`, or are in a directory that has, and so could not be looked at."""
    closed = [path for path in problems if path in needs.made]
    return [
        tree
        for tree in sorted(needs.trees | needs.read_trees)
        if any(path == tree or path.startswith(f"{tree}/") for path in problems)
        or any(Path(tree).is_relative_to(path) for path in closed)
    ]


def hand_over(tree: str, user: User, tell: Callable[[str], None]) -> int:
    """Give `user` all in `tree` that it could not write to, and the tree itself; return how many files changed hands.

    An interruption leaves a mark, so that the next start goes on. `tell` is told now and then how far it is.

    Raises:
        OSError: an owner cannot be changed, or the tree is behind a symbolic link that `user` may have made.
    """
    if not Path(tree).is_dir():
        return 0
    walk = _HandOver(user, tree, tell)
    with way_to(tree, user) as steps:
        directory = steps[-1].open(_DIRECTORY_FLAGS & ~os.O_NOFOLLOW)
    try:
        marked = _mark(directory)
        walk.enter(".", directory)
        if marked:
            os.unlink(UNFINISHED, dir_fd=directory)
    finally:
        os.close(directory)
    return walk.changed


def _mark(directory: int) -> bool:
    """Make the mark in `directory`, in the place of what is not one; return False where that cannot be deleted."""
    try:
        status = os.stat(UNFINISHED, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return True
        remove = os.rmdir if stat.S_ISDIR(status.st_mode) else os.unlink
        remove(UNFINISHED, dir_fd=directory)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    os.close(os.open(UNFINISHED, flags, 0o600, dir_fd=directory))
    return True


@dataclass(slots=True)
class _HandOver:
    user: User
    tree: str
    tell: Callable[[str], None]
    changed: int = 0
    _told: float = field(default_factory=time.monotonic)

    def enter(self, name: str, parent: int | None, depth: int = 0) -> None:
        """Change what is in the directory `name` of `parent`, then the directory itself."""
        if depth > _DEEPEST:
            raise OSError(errno.ELOOP, f"directories are nested more than {_DEEPEST} deep", name)
        directory = os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
        try:
            with os.scandir(directory) as entries:
                # Nothing is kept of what is found: a directory may hold any number of names.
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in PASSED_OVER:
                            self.enter(entry.name, directory, depth + 1)
                    elif entry.is_file(follow_symlinks=False) and entry.name not in PASSED_OVER:
                        self._change_file(entry, directory)
            self._change_directory(directory)
        finally:
            os.close(directory)

    def _change_directory(self, directory: int) -> None:
        status = os.fstat(directory)
        if permits(status, self.user, USE):
            return
        os.fchown(directory, self.user.uid, self.user.gid)
        if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(directory, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
        self._count()

    def _change_file(self, entry: os.DirEntry[str], directory: int) -> None:
        status = entry.stat(follow_symlinks=False)
        # Another name may be outside of the tree, where the file is none of the registry's. What is complete is never
        # written to, so to read it is enough.
        if status.st_nlink > 1 or status.st_uid == self.user.uid or permits(status, self.user, os.R_OK | os.W_OK):
            return
        os.chown(entry.name, self.user.uid, self.user.gid, dir_fd=directory, follow_symlinks=False)
        self._count()

    def _count(self) -> None:
        self.changed += 1
        if time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            self.tell(f"{self.tree}: {self.changed} files belong to user {self.user} now, going on")


def give_directory(path: str, user: User, *, make: bool = False) -> bool:
    """Give `user` the directory `path`, without what is in it; return whether it was changed.

    With `make` it is made if need be, with its parents.

    Raises:
        OSError: it cannot be made, its owner cannot be changed, or it is behind a link that `user` may have made.
    """
    with way_to(path, user, make=make) as steps:
        directory = steps[-1]
        if not stat.S_ISDIR(directory.status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if permits(directory.status, user, USE):
            return False
        directory.give(user.uid, user.gid)
        directory.add_mode(stat.S_IRWXU)
    return True


def let_read(path: str, user: User) -> Iterator[str]:
    """Let `user` read the file `path`, and search the directories that lead to it; yield what was changed.

    The owner stays where the group can be given the right, so that a key of root does not become another user's of the
    host. A directory keeps its owner: it may be somebody's home.

    Raises:
        OSError: it cannot be changed, is no regular file, or is behind a link that `user` may have made.
    """
    with way_to(path, user) as steps:
        file = steps[-1]
        if not stat.S_ISREG(file.status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        readable = permits(file.status, user, os.R_OK)
        if not readable and file.status.st_nlink > 1:
            raise OSError(errno.EMLINK, "it has another name, which may be somebody else's", path)
        yield from _let_search(steps[:-1], user)
        if readable:
            return
        if file.status.st_gid == user.gid and file.status.st_uid != user.uid:
            file.add_mode(os.R_OK << 3)
        else:
            file.give(user.uid, -1)
            file.add_mode(os.R_OK << 6)
    yield f"{path} (to read)"


def let_search(path: str, user: User) -> Iterator[str]:
    """Let `user` search the directories that lead to `path`; yield what was changed.

    Raises:
        OSError: one of them is of another group, or a link that `user` may have made.
    """
    with way_to(path, user) as steps:
        yield from _let_search(steps[:-1], user)


def _let_search(directories: list[Step], user: User) -> Iterator[str]:
    """Let `user` search `directories` by its group, unless one of them is of another group; yield what was changed.

    Raises:
        OSError: one of them is of another group.
    """
    closed = {each.path: each for each in directories if not permits(each.status, user, os.X_OK)}
    for each in closed.values():
        if each.status.st_gid != user.gid or each.status.st_uid == user.uid:
            raise OSError(errno.EACCES, f"the directory {each.path} is closed to user {user}", each.path)
    for path, each in closed.items():
        each.add_mode(os.X_OK << 3)
        yield f"{path} (to search)"
