"""A directory on a local or network file system, laid out as the Go registry's driver of this name does.

An object is a file. It is written under a hidden name, made durable and then renamed, so a crash may leave hidden
files and uploads behind, but never half an object. Objects that never change and have the same content may be one
file with several names. An upload is a plain file at its path, to which is appended under an exclusive flock(2). The
lock keeps out other threads, other processes and, on NFS, other hosts.
"""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH100, PTH104, PTH108, PTH112, PTH116, PTH120, PTH123

from __future__ import annotations

import fcntl
import logging
import os
import stat
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Self

from drivers.base import (
    ChangedError,
    Claim,
    Found,
    ObjectTooLargeError,
    PathNotFoundError,
    Stat,
    StorageDriver,
    UnavailableError,
    Writer,
    checked_path,
)
from drivers.filesystem.claims import FileClaim, claimed_file
from drivers.filesystem.deleting import discard, remove_empty
from drivers.filesystem.files import (
    NewNames,
    StaleError,
    Translated,
    hidden_name,
    make_directory,
    make_empty_file,
    parent_of,
    remove_hidden,
    remove_tree,
    sync_directories,
    write_all,
)
from drivers.filesystem.locks import LOCK_SECONDS, lock
from drivers.filesystem.log import FileLog
from drivers.filesystem.names import DirectoryNames
from drivers.filesystem.renaming import locked_if
from drivers.filesystem.rights import READING, WRITING, find_foreign, remedy, require, require_writable_way, subject_of
from drivers.filesystem.uploads import FileWriter, pread, size_if_still_at
from drivers.filesystem.walking import walk, walk_in_order
from drivers.translation import word_of
from registry.foundation.errors import ParameterError
from registry.foundation.files import check_creatable, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from drivers.log import Log

_DEFAULT_ROOT = "/var/lib/registry"
_DEFAULT_THREADS = 100
_LEAST_THREADS = 25
_log = logging.getLogger(__name__)


class FilesystemDriver(StorageDriver):
    """Objects as files below `root`. If an upload is open elsewhere, the driver waits for it `lock_seconds`."""

    name = "filesystem"

    def __init__(self, root: str, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self._root = os.path.abspath(root)
        self._lock_seconds = lock_seconds
        self._mount = _mount_of(self._root)
        self._mounted: tuple[int, int] | None = None
        """Device and inode of the file system that was last mounted there; the bare directory has others."""
        self._names = DirectoryNames()
        self._prefixes = DirectoryNames(directories_only=True)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        root = parameters.get("rootdirectory", _DEFAULT_ROOT)
        if not isinstance(root, str) or not root:
            raise ParameterError(f"rootdirectory: must name a directory, not {root!r}")
        _parse_threads(parameters.get("maxthreads", _DEFAULT_THREADS))
        return cls(root)

    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        call = "create"
        try:
            grown = [] if os.path.isdir(self._root) else make_directory(self._root)
            call = "read"
            os.close(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY))
            if read_only:
                return
            call = "write to"
            self._write_probe()
            sync_directories([self._root, *grown])
            for path in below:
                require_writable_way(self._root, checked_path(path))
        except OSError as error:
            raise word_of(error)(self._reason(call, error)) from error
        for path in below:
            if foreign := find_foreign(self._name_of(path)):
                _log.warning("%s", self._reason("use", foreign))

    def absent(self) -> str:
        if os.path.lexists(self._root):
            return ""
        try:
            check_creatable(self._root)
        except OSError as error:
            raise word_of(error)(self._reason("create", error)) from error
        return self._root

    def _write_probe(self) -> None:
        """Write, sync and lock a file in the root."""
        probe = f"{self._root}/{hidden_name()}"
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            write_all(fd, b"probe")
            os.fsync(fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
            os.unlink(probe)

    def _reason(self, call: str, error: OSError) -> str:
        """Return why the medium cannot be used, in one line that says what to change."""
        subject = subject_of(self._root, error)
        where = f"rootdirectory {subject}" if subject == self._root else subject
        advice = (
            remedy(error, self._root) or f"it must be a directory that user {os.geteuid()} may write to, with locks"
        )
        return f"filesystem: cannot {call} {where}: {error.strerror}; {advice}"

    def probe(self, *, read_only: bool = False) -> None:
        with Translated("use rootdirectory", self._root):
            os.stat(self._root)
            self._check_mount()
            # What can be read on a file system that is read-only is still served.
            reading = read_only or os.statvfs(self._root).f_flag & os.ST_RDONLY
            require(self._root, READING if reading else WRITING)

    def _check_mount(self) -> None:
        """Raise UnavailableError if nothing is mounted there any more: the next mount would hide what is written."""
        here = os.stat(self._mount)
        if self._mounted == (here.st_dev, here.st_ino):
            return
        above = os.stat(f"{self._mount}/..")
        if here.st_dev == above.st_dev and here.st_ino != above.st_ino:
            raise UnavailableError(f"filesystem: nothing is mounted at {self._mount} any more")
        self._mounted = here.st_dev, here.st_ino

    def get(self, path: str, *, limit: int) -> bytes:
        try:
            return self._get(path, limit)
        except StaleError:
            return self._get(path, limit)

    def _get(self, path: str, limit: int) -> bytes:
        with Translated("get", path):
            fd = os.open(self._name_of(path), os.O_RDONLY)
            try:
                size = _size_of(os.fstat(fd), path)
                if size > limit:
                    raise ObjectTooLargeError(f"filesystem: get {path}: {size} bytes, at most {limit} allowed")
                content = os.read(fd, size)
                while len(content) < size and (more := os.read(fd, size - len(content))):
                    content += more
                return content
            finally:
                os.close(fd)

    def put(self, path: str, content: bytes) -> None:
        self.put_in_order([(path, content)])

    def put_in_order(
        self,
        objects: Iterable[tuple[str, bytes]],
        *,
        best_effort: Iterable[tuple[str, bytes]] = (),
        copies_of: str | None = None,
    ) -> None:
        names = NewNames(self._lock_seconds)
        source = self._name_of(copies_of) if copies_of else None
        with Translated("put", self._root) as put:
            self._check_mount()
            for path, content in objects:
                put.about(path)
                names.replace(self._name_of(path), content)
            for path, content in best_effort:
                put.about(path)
                target = self._name_of(path)
                if source is None or not names.share(source, target):
                    names.replace(target, content)
                names.leave_at_risk()
            names.sync()

    def create(self, path: str, content: bytes) -> None:
        target, names = self._name_of(path), NewNames(self._lock_seconds)
        with Translated("create", path):
            self._check_mount()
            names.create(target, content)
            names.sync()

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        target, names = self._name_of(path), NewNames(self._lock_seconds)
        with Translated("replace", path):
            self._check_mount()
            try:
                names.swap(target, expected, content)
            except ChangedError:
                self._prune(parent_of(target))  # a deletion has left what was being written here
                raise
            names.sync()

    def delete_if(self, path: str, *, expected: bytes) -> None:
        target = self._name_of(path)
        with Translated("delete", path):
            with locked_if(target, expected, self._lock_seconds):
                os.unlink(target)
            self._prune(parent_of(target))

    def stat(self, path: str) -> Stat:
        with Translated("stat", path):
            return _stat_of(os.stat(self._name_of(path)), path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        pieces = self._pieces(path, start, stop)
        next(pieces)  # opens the file; from now on close() closes it
        return pieces

    def _pieces(self, path: str, start: int, stop: int | None) -> Generator[bytes]:
        with Translated("read", path):
            fd = os.open(self._name_of(path), os.O_RDONLY)
            try:
                size = _size_of(os.fstat(fd), path)
                yield b""
                yield from pread(fd, start, size if stop is None else min(stop, size))
            finally:
                os.close(fd)

    def _list(self, names: DirectoryNames, path: str, after: str, limit: int) -> list[str]:
        try:
            return names.after(self._name_of(path), after, limit)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            with Translated("list", path):
                raise

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._list(self._prefixes, path, after, limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        return self._list(self._names, path, after, limit)

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        # To look for a name costs a third of reading a directory. The listing reports any error.
        if path and likely and os.access(self._name_of(f"{path}/{likely}"), os.F_OK):
            return True
        return super().holds(path, is_name=is_name)

    def delete(self, path: str) -> None:
        target = self._name_of(path)
        with Translated("delete", path):
            try:
                os.unlink(target)
            except IsADirectoryError:
                hidden = f"{parent_of(target)}/{hidden_name()}"
                os.rename(target, hidden)
                remove_tree(hidden)
            self._prune(parent_of(target))

    def _prune(self, directory: str) -> None:
        """Remove `directory` and its parents as far as they are empty; make this and the deletion before it durable."""
        sync_directory(remove_empty(directory, self._root))

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        checked_path(path)
        with Translated("list", path):
            self._check_mount()
            yield from walk(self._root, path, leaf_in)
            # What was unmounted meanwhile has looked empty.
            self._check_mount()

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        checked_path(path)
        with Translated("list", path):
            self._check_mount()
            found = [*islice(walk_in_order(self._root, path, after.removeprefix(path)[1:]), limit)]
            # What was unmounted meanwhile has looked empty.
            self._check_mount()
            return found

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        with Translated("delete", self._root):
            self._check_mount()
            return discard(found, self._root, self._lock_seconds)

    def create_upload(self, path: str) -> None:
        self.start_upload(path, ())

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        target, names = self._name_of(path), NewNames(self._lock_seconds)
        with Translated("create upload", path):
            self._check_mount()
            for name, content in objects:
                names.replace(self._name_of(name), content)
            names.place(target, make_empty_file)
            names.sync()

    def upload_size(self, path: str) -> int:
        return self.stat(path).size

    def open_upload(self, path: str) -> Writer:
        name = self._name_of(path)
        with Translated("open upload", path):
            fd = os.open(name, os.O_RDWR | os.O_APPEND)
            try:
                lock(fd, path, self._lock_seconds)
                return FileWriter(path, name, fd, size_if_still_at(name, fd), self._name_of)
            except BaseException:
                os.close(fd)
                raise

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        return self.read(path, start)

    def claim(self, path: str) -> Claim | None:
        name = self._name_of(path)
        with Translated("claim", path):
            self._check_mount()
            fd = claimed_file(name)
        return None if fd is None else FileClaim(name, fd, self._root)

    def touch(self, path: str) -> None:
        with Translated("touch", path):
            name = self._name_of(path)
            _size_of(os.stat(name), path)
            os.utime(name)

    def log(self, path: str) -> Log:
        return FileLog(path, self._name_of(path), self._check_mount)

    def purge(self, before: float) -> int:
        with Translated("purge", self._root):
            return remove_hidden(self._root, before)

    def local_path(self, path: str) -> str:
        return self._name_of(path)

    def open_local(self, path: str) -> BinaryIO:
        with Translated("open", path):
            return open(self._name_of(path), "rb", buffering=0)

    def _name_of(self, path: str) -> str:
        return self._root + checked_path(path)


def _parse_threads(value: object) -> int:
    """Return `maxthreads` as the Go registry would take it.

    There it limits the goroutines in system calls. Here a worker has at most ``http.threads`` threads, each in at
    most one call, so the value is only checked.
    """
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and value.isdecimal())):
        raise ParameterError(f"maxthreads: must be a whole number, not {value!r}")
    return max(int(value), _LEAST_THREADS)


@cache
def _mount_of(path: str) -> str:
    """Return where the file system of `path` is mounted.

    A process that is forked later gets what the server found at its start: it may start while nothing is mounted.
    """
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _stat_of(status: os.stat_result, path: str) -> Stat:
    return Stat(_size_of(status, path), status.st_mtime)


def _size_of(status: os.stat_result, path: str) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise PathNotFoundError(f"filesystem: {path} is not an object but a prefix of others")
    return status.st_size
