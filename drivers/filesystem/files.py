"""Files that appear whole and stay: written under a hidden name, made durable, then renamed.

A loss of power may undo two things: the bytes of a file until the file is synced, and a name until its directory is.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH102, PTH104, PTH106, PTH108, PTH116

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import (
    ChangedError,
    DriverError,
    InvalidPathError,
    PathExistsError,
    PathNotFoundError,
    UnavailableError,
)
from drivers.filesystem.locks import LOCK_SECONDS
from drivers.filesystem.mounts import keeps_order
from drivers.filesystem.renaming import rename_if, rename_over, rename_to_new
from drivers.filesystem.rights import remedy
from drivers.translation import NOT_PERMITTED, Translation, reason_of, word_of
from registry.foundation.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_HIDDEN = ".tmp-"
_ATTEMPTS = 100
"""How often a write is tried again because somebody deleted its directory meanwhile."""


class StaleError(UnavailableError):
    """Another NFS client replaced the file while we had it open; opening it again finds the new one."""


_ERRORS: Mapping[int | None, type[DriverError]] = {
    errno.EEXIST: PathExistsError,
    errno.ENOENT: PathNotFoundError,
    errno.ENOTDIR: PathNotFoundError,
    errno.EISDIR: PathNotFoundError,
    errno.ENAMETOOLONG: InvalidPathError,
    errno.ESTALE: StaleError,
}
_MENDABLE = NOT_PERMITTED | {errno.EROFS}


class Translated(Translation):
    """A block whose OSErrors are raised as the contract's errors."""

    __slots__ = ()
    driver = "filesystem"
    failures = (OSError,)

    @staticmethod
    def word(error: OSError) -> type[DriverError]:
        return _ERRORS.get(error.errno) or word_of(error)

    @staticmethod
    def text(error: OSError) -> str:
        if error.errno in _MENDABLE and (advice := remedy(error)):
            return f"{reason_of(error)}; {advice}"
        return reason_of(error)


class NewNames:
    """New names that may not be durable yet: that of the last file and those of the directories made for it."""

    __slots__ = ("_device", "_directories", "_lock_seconds", "_made")

    def __init__(self, lock_seconds: float = LOCK_SECONDS) -> None:
        self._lock_seconds = lock_seconds
        self._directories: list[str] = []
        """Directories with a new entry, all on one file system; the first has the newest entry."""
        self._device: int | None = None
        """The file system of these directories, if it is known."""
        self._made = ""
        """The topmost directory that was made for the last name, so that all in it is new; "" if none was made."""

    def place(self, target: str, step: Callable[[str], None]) -> None:
        """Let `step` make the file `target`, once there is a directory for it."""
        directory = parent_of(target)
        if self._directories and directory not in self._directories:
            self.sync()
        self._place(target, step)
        self._device = None

    def replace(self, target: str, content: bytes) -> None:
        """Create or replace the file `target`, once its bytes and the names so far are durable.

        A file that is there is locked meanwhile, so that nobody else compares it in between; see swap().
        """
        self._place(target, partial(self._write_beside, content, self._rename_over))

    def create(self, target: str, content: bytes) -> None:
        """Create the file `target` as replace() does; FileExistsError if something has the name already."""
        self._place(target, partial(self._write_beside, content, rename_to_new))

    def swap(self, target: str, expected: bytes, content: bytes) -> None:
        """Replace the file `target`, whose content must be `expected`; otherwise ChangedError."""
        rename = partial(rename_if, expected=expected, lock_seconds=self._lock_seconds)
        try:
            self._write_beside(content, rename, target)
        except FileNotFoundError as error:
            raise ChangedError(f"filesystem: {target} is gone") from error
        self._directories = [parent_of(target)]

    def share(self, source: str, target: str) -> bool:
        """Make `target` a second name of the file `source`, once the names so far are durable; return whether it is.

        It is not if the file system has no hard links, if there is no such source, or if the directory of `target`
        exists already: then `target` may exist, too.
        """
        try:
            if not self._make(parent_of(target)):
                return False
        except OSError:
            return False
        self.sync()
        try:
            os.link(source, target)
        except OSError:
            return False
        return True

    def leave_at_risk(self) -> None:
        """Let a loss of power take away the names that are not durable yet."""
        self._directories = []

    def took_from(self, directory: str) -> None:
        """Make it durable together with the new names that a file was moved away from `directory`."""
        self._directories.append(directory)

    def _place(self, target: str, step: Callable[[str], None]) -> None:
        directory = parent_of(target)
        grown = [directory]
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    grown += make_directory(directory) if attempt else self._make(directory)
                    step(target)
                except FileNotFoundError:  # somebody has deleted the empty directory since it was made
                    self._made = ""
                else:
                    self._directories = [*grown, *(each for each in self._directories if each not in grown)]
                    return
        except (NotADirectoryError, IsADirectoryError) as error:
            raise InvalidPathError(f"filesystem: {target}: a directory and a file cannot share a name") from error
        raise UnavailableError(f"filesystem: {directory} is deleted as often as it is made")

    def _make(self, directory: str) -> list[str]:
        """Make `directory` and its missing parents; return the directories that have a new entry to sync.

        It is tried before the file is written because most objects have a directory of their own, which is new.
        """
        if directory == self._made or directory in self._directories[:1]:
            return []
        if self._made and directory.startswith(f"{self._made}/"):
            return _make_below(self._made, directory)
        grown = make_directory(directory)
        if not grown:
            self._made = ""
        elif len(grown) == 1:
            self._made = directory
        else:
            self._made = grown[1]  # grown[0] was there before
        return grown

    def _rename_over(self, source: str, target: str) -> None:
        if self._made and f"{target}/".startswith(f"{self._made}/"):
            os.rename(source, target)  # into a directory that was made for it: there is nothing to lock
        else:
            rename_over(source, target, self._lock_seconds)

    def _write_beside(self, content: bytes, rename: Callable[[str, str], None], target: str) -> None:
        temporary = f"{parent_of(target)}/{hidden_name()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                write_all(fd, content)
                os.fsync(fd)
                self._become_durable(os.fstat(fd).st_dev)
            finally:
                os.close(fd)
            rename(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _become_durable(self, device: int) -> None:
        """Make the names durable, given that a younger file on `device` has just been synced."""
        if self._directories:
            if device == self._device and keeps_order(device):
                self._directories = []
            else:
                self.sync()
        self._device = device

    def sync(self) -> None:
        """Make the names durable."""
        for directory in self._directories:
            if sync_directory(directory) and self._keep_order(directory):
                break  # the entries of the other directories are older, so they are durable, too
        self._directories = []

    def _keep_order(self, directory: str) -> bool:
        if self._device is None:
            with suppress(FileNotFoundError):
                self._device = os.stat(directory).st_dev
        return self._device is not None and keeps_order(self._device)


def hidden_name() -> str:
    """Return a name that no file has and no listing shows."""
    return f"{_HIDDEN}{random.getrandbits(128):032x}"


def remove_hidden(root: str, before: float) -> int:
    """Remove what crashes before that time left below `root` under hidden names; return how many."""
    count = 0
    for directory, names, files in os.walk(root):
        for name in filter(_is_hidden, [*names, *files]):
            with suppress(FileNotFoundError):
                count += _remove_older(f"{directory}/{name}", before)
        names[:] = [name for name in names if not _is_hidden(name)]
    return count


def _is_hidden(name: str) -> bool:
    return name.startswith(_HIDDEN)


def _remove_older(target: str, before: float) -> int:
    status = os.lstat(target)
    if status.st_mtime >= before:
        return 0
    if stat.S_ISDIR(status.st_mode):
        remove_tree(target)
    else:
        os.unlink(target)
    return 1


def write_all(fd: int, content: bytes) -> None:
    """Write `content` at the position of `fd`."""
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, memoryview(content)[written:])


def make_empty_file(name: str) -> None:
    """Create the file `name` without content, if there is none."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o666))


def make_directory(directory: str) -> list[str]:
    """Make `directory` and its missing parents; return those that have a new entry to sync, the topmost first."""
    parent = parent_of(directory)
    grown = []
    try:
        os.mkdir(directory)
    except FileExistsError:
        return []
    except FileNotFoundError:
        grown = make_directory(parent)
        with suppress(FileExistsError, FileNotFoundError):  # the parent is deleted again: the caller tries again
            os.mkdir(directory)
    return [*grown, parent]


def _make_below(top: str, directory: str) -> list[str]:
    """Make `directory` and all on the way to it from `top`; return the directories that have a new entry to sync."""
    grown = []
    for name in directory[len(top) + 1 :].split("/"):
        below = f"{top}/{name}"
        try:
            os.mkdir(below)
            grown.append(top)
        except FileExistsError:
            pass
        top = below
    return grown


def parent_of(name: str) -> str:
    """Return the directory of the file `name`, which is absolute; os.path.dirname() takes longer to do the same."""
    return name.rpartition("/")[0]


def sync_directories(directories: Iterable[str]) -> None:
    """Make it durable which names were made and deleted in `directories`."""
    for directory in directories:
        sync_directory(directory)


def remove_tree(directory: str) -> None:
    """Delete `directory` and everything in it, also what others put there meanwhile."""
    for _ in range(_ATTEMPTS):
        try:
            # An upload that has ended leaves one file. For that rmtree would cost as much as the rest of the deletion.
            with os.scandir(directory) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
            return os.rmdir(directory)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # a put that was already under way left its file here
                raise
    return None
