"""Makes files and directories usable for an unprivileged user: only what is not, and never what somebody slipped in.

Who may write to a tree may have put links into it. So a tree is walked by descriptors of its directories, no symbolic
link is followed, and a file that has a second name elsewhere keeps its owner.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.container.needs import Needs
    from registry.container.user import User

UNFINISHED: Final = ".chown-unfinished"
"""In a tree while it changes hands; if it is there at a start, the last one was interrupted."""
_LOOKED_AT: Final = 4096
_FOLLOWED: Final = 256
_DEEPEST: Final = 300
_TELL_SECONDS: Final = 30.0
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSED_OVER: Final = frozenset({"lost+found", UNFINISHED})
_USE: Final = os.R_OK | os.W_OK | os.X_OK


def unusable(needs: Needs) -> list[str]:
    """Return paths among `needs` that this process cannot use, one for each need at most.

    Trees are looked at from the top, in each of their levels at the newest directories, and no more of them than takes
    a moment: a small tree as a whole. What is read-only for all is not expected to be writable.
    """
    found = [path for path in sorted(needs.files) if not os.access(path, os.R_OK)]
    for path in sorted(needs.made | needs.directories):
        if os.path.exists(path) or path in needs.made:  # noqa: PTH110  Path raises where a way cannot be searched
            found += [] if os.access(path, _USE) or _is_read_only(path) else [path]
    for tree in sorted(needs.trees | needs.read_trees):
        writing = tree in needs.trees and not _is_read_only(tree)
        if writing and os.path.lexists(_unfinished(tree)):
            found.append(tree)
        else:
            found += islice(_unusable_below(tree, _USE if writing else os.R_OK | os.X_OK), 1)
    return found


def _unusable_below(tree: str, use: int) -> Iterator[str]:
    """Yield what is found in `tree` of directories that cannot be used for `use` and files that cannot be read."""
    level = [tree] if os.path.isdir(tree) else []  # noqa: PTH112  as above
    # A symbolic link may lead to a directory above it.
    seen: set[tuple[int, int]] = set()
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
                elif stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    directories.append((status.st_mtime_ns, path))
        level = [path for _, path in sorted(directories, reverse=True)[:_FOLLOWED]]


def _entries(directory: str, limit: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in `directory`, no more than `limit`, with the status of what it leads to.

    A server that runs already may delete it meanwhile.
    """
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in islice(entries, limit):
            if entry.name not in _PASSED_OVER:
                try:
                    status = entry.stat()
                except OSError:  # gone, or a link that leads nowhere
                    continue
                yield entry.path, status


def _is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def make_usable(problems: list[str], needs: Needs, user: User, tell: Callable[[str], None]) -> list[str]:
    """Change what is needed for `user` to use `needs`, where `problems`, from unusable(), are; return what went wrong.

    One line that says what was changed goes to `tell`, and how far it is while that takes long.
    """
    done: list[str] = []
    wrong: list[str] = []
    for path in problems:
        try:
            done += _make_one_usable(path, needs, user, tell)
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
    if done:
        tell(f"made usable for user {user}: {', '.join(done)}")
    return wrong


def _make_one_usable(path: str, needs: Needs, user: User, tell: Callable[[str], None]) -> Iterator[str]:
    if path in needs.files:
        if let_read(path, user):
            yield f"{path} (to read)"
        return
    if path in needs.made | needs.directories and give_directory(path, user):
        yield f"{path} (to write)"
    for tree in needs.trees | needs.read_trees:
        if path == tree or path.startswith(f"{tree}/"):
            changed = hand_over(tree, user, tell)
            if changed:
                yield f"{tree} (to write, {changed} changed owner)"


def hand_over(tree: str, user: User, tell: Callable[[str], None]) -> int:
    """Give `user` all in `tree` that it could not write to, and the tree itself; return how many files changed hands.

    An interruption leaves a mark, so that the next start goes on. `tell` is told now and then how far it is.

    Raises:
        OSError: an owner cannot be changed.
    """
    if not Path(tree).is_dir():
        return 0
    mark = _unfinished(tree)
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    walk = _HandOver(user, tree, tell)
    walk.enter(tree, None)
    mark.unlink()
    return walk.changed


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
                        if entry.name not in _PASSED_OVER:
                            self.enter(entry.name, directory, depth + 1)
                    elif entry.is_file(follow_symlinks=False) and entry.name not in _PASSED_OVER:
                        self._change_file(entry, directory)
            self._change_directory(directory)
        finally:
            os.close(directory)

    def _change_directory(self, directory: int) -> None:
        status = os.fstat(directory)
        if _permits(status, self.user, _USE):
            return
        os.fchown(directory, self.user.uid, self.user.gid)
        if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(directory, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
        self._count()

    def _change_file(self, entry: os.DirEntry[str], directory: int) -> None:
        status = entry.stat(follow_symlinks=False)
        # Another name may be outside of the tree, where the file is none of the registry's. What is complete is never
        # written to, so to read it is enough.
        if status.st_nlink > 1 or status.st_uid == self.user.uid or _permits(status, self.user, os.R_OK | os.W_OK):
            return
        os.chown(entry.name, self.user.uid, self.user.gid, dir_fd=directory, follow_symlinks=False)
        self._count()

    def _count(self) -> None:
        self.changed += 1
        if time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            self.tell(f"{self.tree}: {self.changed} files belong to user {self.user} now, going on")


def give_directory(path: str, user: User) -> bool:
    """Give `user` the directory `path`, without what is in it, making it if need be; return whether it was changed.

    Raises:
        OSError: it cannot be made or its owner cannot be changed.
    """
    Path(path).mkdir(parents=True, exist_ok=True)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(directory)
        if _permits(status, user, _USE):
            return False
        os.fchown(directory, user.uid, user.gid)
        os.fchmod(directory, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
    finally:
        os.close(directory)
    return True


def let_read(path: str, user: User) -> bool:
    """Let `user` read the file `path`, and search the directories that lead to it; return whether that was done.

    The owner stays where the group can be given the right, so that a key of root does not become another user's of the
    host. Where `user` may write to a directory on the way, a symbolic link may be its own: it is not followed.

    Raises:
        OSError: an owner or a mode cannot be changed.
    """
    named, real = Path(path).absolute(), Path(path).resolve(strict=True)
    ways = {*real.parents, *(each.resolve() for each in named.parents)}
    if real != named and any(_may_replace(each.stat(), user) for each in ways):
        return False
    for directory in ways:
        _grant(str(directory), user, os.X_OK, os.O_DIRECTORY)
    return _grant(str(real), user, os.R_OK, os.O_NONBLOCK)


def _may_replace(directory: os.stat_result, user: User) -> bool:
    """Tell whether `user` may put a link in the place of what another user has in the directory."""
    sticky = directory.st_mode & stat.S_ISVTX and directory.st_uid != user.uid
    return not sticky and _permits(directory, user, os.W_OK)


def _grant(path: str, user: User, use: int, flags: int) -> bool:
    """Let `user` do `use` with what is at `path`, by its group if that is the user's own; return whether it can now."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    try:
        status = os.fstat(descriptor)
        if _permits(status, user, use):
            return True
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            return False
        if status.st_gid == user.gid and status.st_uid != user.uid:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | use << 3)
        else:
            os.fchown(descriptor, user.uid, -1)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | use << 6)
    finally:
        os.close(descriptor)
    return True


def _permits(status: os.stat_result, user: User, use: int) -> bool:
    """Tell whether the mode lets `user` do all of `use`: read is 4, write 2, execute 1, as for os.access()."""
    if status.st_uid == user.uid:
        shift = 6
    elif status.st_gid == user.gid:
        shift = 3
    else:
        shift = 0
    return status.st_mode >> shift & use == use


def _unfinished(tree: str) -> Path:
    return Path(tree) / UNFINISHED
