"""A directory on a local or network file system, laid out as the Go registry's driver of this name does.

An object is a file. A file is written under a hidden name, made durable and renamed into place, so a crash
leaves hidden files and uploads behind, never half an object. An upload is a plain file at its path, appended
to under an exclusive flock(2): it keeps out other threads, other processes and, on NFS, other hosts.
"""

# One string goes straight to the system call; a Path costs more than the call.
# ruff: noqa: PTH100, PTH102, PTH104, PTH106, PTH108, PTH116, PTH120

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from drivers.base import (
    PIECE_SIZE,
    DriverError,
    InvalidPathError,
    NoSpaceError,
    ObjectTooLargeError,
    ParameterError,
    PathExistsError,
    PathNotFoundError,
    Stat,
    StorageDriver,
    UnavailableError,
    UploadBusyError,
    Writer,
    checked_path,
)
from drivers.filesystem_names import DirectoryNames
from drivers.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

_DEFAULT_ROOT = "/var/lib/registry"
_DEFAULT_THREADS = 100
_LEAST_THREADS = 25
_LOCK_POLL_SECONDS = 0.02
_CLOSED = -1
_HIDDEN = ".tmp-"
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What FAT and some network file systems answer."""

_ATTEMPTS = 100
"""How often a write begins again because somebody deleted the directory under it."""


class _StaleError(UnavailableError):
    """Another NFS client replaced the file while we had it open; who asks again finds the new one."""


_ERRORS: Mapping[int | None, type[DriverError]] = {
    errno.EEXIST: PathExistsError,
    errno.ENOENT: PathNotFoundError,
    errno.ENOTDIR: PathNotFoundError,
    errno.EISDIR: PathNotFoundError,
    errno.ENAMETOOLONG: InvalidPathError,
    errno.ENOSPC: NoSpaceError,
    errno.EDQUOT: NoSpaceError,
    errno.EFBIG: NoSpaceError,
    errno.ESTALE: _StaleError,
}


class _Translated(Translation):
    __slots__ = ()
    driver = "filesystem"
    failures = (OSError,)

    @staticmethod
    def word(error: OSError) -> type[DriverError]:
        return _ERRORS.get(error.errno, DriverError)

    @staticmethod
    def text(error: OSError) -> str:
        return str(error.strerror)


class FilesystemDriver(StorageDriver):
    """Objects as files below `root`; an upload that is open elsewhere is waited for `lock_seconds`."""

    name = "filesystem"

    def __init__(self, root: str, *, lock_seconds: float = 5.0) -> None:
        self._root = os.path.abspath(root)
        self._lock_seconds = lock_seconds
        self._mount = _mount_of(self._root)
        self._names = DirectoryNames()

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        root = parameters.get("rootdirectory", _DEFAULT_ROOT)
        if not isinstance(root, str) or not root:
            raise ParameterError(f"rootdirectory: must name a directory, not {root!r}")
        _parse_threads(parameters.get("maxthreads", _DEFAULT_THREADS))
        return cls(root)

    def check(self) -> None:
        probe = f"{self._root}/{_hidden_name()}"
        call = "create"
        try:
            grown = _make_directory(self._root)
            call = "write to"
            fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                _write_all(fd, b"probe")
                os.fsync(fd)
                call = "lock a file in"
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(fd)
                os.unlink(probe)
            _sync_directories([self._root, *grown])
        except OSError as error:
            raise DriverError(
                f"filesystem: cannot {call} rootdirectory {self._root}: {error.strerror};"
                f" it must be a directory that user {os.geteuid()} may write to, with locks"
            ) from error

    def probe(self) -> None:
        try:
            os.stat(self._root)
        except OSError as error:
            raise DriverError(f"filesystem: stat rootdirectory {self._root}: {error.strerror}") from error
        self._check_mount()

    def _check_mount(self) -> None:
        """Refuse to go on below a mount point that has lost its file system: what is written there is lost with it."""
        here, above = os.stat(self._mount), os.stat(f"{self._mount}/..")
        if here.st_dev == above.st_dev and here.st_ino != above.st_ino:
            raise UnavailableError(f"filesystem: nothing is mounted at {self._mount} any more")

    def get(self, path: str, *, limit: int) -> bytes:
        try:
            return self._get(path, limit)
        except _StaleError:
            return self._get(path, limit)

    def _get(self, path: str, limit: int) -> bytes:
        with _Translated("get", path):
            fd = os.open(self._name_of(path), os.O_RDONLY)
            try:
                size = _stat_of(os.fstat(fd), path).size
                if size > limit:
                    raise ObjectTooLargeError(f"filesystem: get {path}: {size} bytes, at most {limit} allowed")
                content = os.read(fd, size)
                while len(content) < size and (more := os.read(fd, size - len(content))):
                    content += more
                return content
            finally:
                os.close(fd)

    def put(self, path: str, content: bytes) -> None:
        target = self._name_of(path)
        with _Translated("put", path):
            self._check_mount()
            _place(target, lambda: _write_beside(target, content, os.rename))

    def create(self, path: str, content: bytes) -> None:
        target = self._name_of(path)
        with _Translated("create", path):
            self._check_mount()
            _place(target, lambda: _write_beside(target, content, _rename_to_new))

    def stat(self, path: str) -> Stat:
        with _Translated("stat", path):
            return _stat_of(os.stat(self._name_of(path)), path)

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        pieces = self._pieces(path, start, stop)
        next(pieces)  # runs it up to where the file is open; from here on close() closes the file too
        return pieces

    def _pieces(self, path: str, start: int, stop: int | None) -> Generator[bytes]:
        with _Translated("read", path):
            fd = os.open(self._name_of(path), os.O_RDONLY)
            try:
                size = _stat_of(os.fstat(fd), path).size
                yield b""
                yield from _pread(fd, start, size if stop is None else min(stop, size))
            finally:
                os.close(fd)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        with _Translated("list", path):
            try:
                return self._names.after(self._name_of(path), after, limit)
            except (FileNotFoundError, NotADirectoryError):
                return []

    def delete(self, path: str) -> None:
        target = self._name_of(path)
        with _Translated("delete", path):
            try:
                os.unlink(target)
            except IsADirectoryError:
                hidden = f"{os.path.dirname(target)}/{_hidden_name()}"
                os.rename(target, hidden)
                _remove_tree(hidden)
            self._prune(os.path.dirname(target))

    def _prune(self, directory: str) -> None:
        """Remove `directory` and its parents as far as they are empty, durably with what went before."""
        while directory != self._root:
            try:
                os.rmdir(directory)
            except FileNotFoundError:
                pass  # somebody else is pruning too
            except OSError:
                break
            directory = os.path.dirname(directory)
        _sync_directory(directory)

    def create_upload(self, path: str) -> None:
        target = self._name_of(path)
        with _Translated("create upload", path):
            self._check_mount()
            _place(target, lambda: os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o666)))

    def upload_size(self, path: str) -> int:
        return self.stat(path).size

    def open_upload(self, path: str) -> Writer:
        name = self._name_of(path)
        with _Translated("open upload", path):
            fd = os.open(name, os.O_RDWR | os.O_APPEND)
            try:
                self._lock(fd, path)
                return _FileWriter(self, path, fd, _size_if_still_at(name, fd))
            except BaseException:
                os.close(fd)
                raise

    def _lock(self, fd: int, path: str) -> None:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise UploadBusyError(f"filesystem: another request is writing to {path}") from None
            time.sleep(_LOCK_POLL_SECONDS)

    def purge(self, before: float) -> int:
        count = 0
        with _Translated("purge", self._root):
            for directory, names, files in os.walk(self._root):
                for name in filter(_is_hidden_name, [*names, *files]):
                    with suppress(FileNotFoundError):
                        count += _remove_older(f"{directory}/{name}", before)
                names[:] = [name for name in names if not _is_hidden_name(name)]
        return count

    def local_path(self, path: str) -> str:
        return self._name_of(path)

    def _name_of(self, path: str) -> str:
        return self._root + checked_path(path)


class _FileWriter(Writer):
    """Owns `fd`, which holds the lock; `size` is what the file had when it was locked."""

    def __init__(self, driver: FilesystemDriver, path: str, fd: int, size: int) -> None:
        self._driver = driver
        self._path = path
        self._fd = fd
        self._size = self._durable_size = size

    @property
    def size(self) -> int:
        return self._size

    def write(self, piece: bytes) -> None:
        with _Translated("write", self._path):
            rest = memoryview(piece)
            while rest:
                written = os.write(self._fd, rest)
                self._size += written
                rest = rest[written:]

    def content(self) -> Iterator[bytes]:
        with _Translated("read upload", self._path):
            yield from _pread(self._fd, 0, self._size)

    def commit(self, destination: str) -> None:
        source, target = self._driver.local_path(self._path), self._driver.local_path(destination)
        with _Translated("commit", self._path):
            self._sync()
            _place(target, lambda: self._rename(source, target))
            self._release()
            _sync_directory(os.path.dirname(source))

    def _rename(self, source: str, target: str) -> None:
        if _size_if_still_at(source, self._fd) != self._size:
            raise DriverError(f"filesystem: commit {self._path}: a program without our lock wrote to it")
        os.rename(source, target)

    def cancel(self) -> None:
        name = self._driver.local_path(self._path)
        with _Translated("cancel", self._path):
            with suppress(PathNotFoundError):
                _size_if_still_at(name, self._fd)
                os.unlink(name)
            self._release()
            _sync_directory(os.path.dirname(name))

    def close(self) -> None:
        if self._fd == _CLOSED:
            return
        with _Translated("close", self._path):
            try:
                if self._size != self._durable_size:
                    self._sync()
            finally:
                self._release()

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError:
            # The kernel may have dropped what it failed to write, and will not say so twice: a later fsync
            # would succeed. Go back to what was durable when the upload was opened.
            os.ftruncate(self._fd, self._durable_size)
            self._size = self._durable_size
            raise
        self._durable_size = self._size

    def _release(self) -> None:
        fd, self._fd = self._fd, _CLOSED
        os.close(fd)


def _parse_threads(value: object) -> int:
    """Return `maxthreads` as the Go registry would take it.

    There it bounds goroutines in system calls. Here a worker has ``http.threads`` threads and no more, each
    in at most one call, so the value is checked and nothing further is made of it.
    """
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and value.isdecimal())):
        raise ParameterError(f"maxthreads: must be a whole number, not {value!r}")
    return max(int(value), _LEAST_THREADS)


def _mount_of(path: str) -> str:
    """Return where the file system is mounted that `path` lies on."""
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _hidden_name() -> str:
    return f"{_HIDDEN}{uuid.uuid4().hex}"


def _is_hidden_name(name: str) -> bool:
    return name.startswith(_HIDDEN)


def _remove_older(target: str, before: float) -> int:
    """Remove a file or a tree that was last changed before that time; return how many."""
    status = os.lstat(target)
    if status.st_mtime >= before:
        return 0
    if stat.S_ISDIR(status.st_mode):
        _remove_tree(target)
    else:
        os.unlink(target)
    return 1


def _stat_of(status: os.stat_result, path: str) -> Stat:
    if not stat.S_ISREG(status.st_mode):
        raise PathNotFoundError(f"filesystem: {path} is no object but a prefix of others")
    return Stat(status.st_size, status.st_mtime)


def _size_if_still_at(name: str, fd: int) -> int:
    """Return the size of the open upload `fd` if `name` is still its name.

    Raises:
        PathNotFoundError: it was published or deleted since it was opened.
    """
    with suppress(FileNotFoundError):
        found = os.stat(name)
        if os.path.samestat(found, os.fstat(fd)):
            return found.st_size
    raise PathNotFoundError(f"filesystem: {name}: this upload has ended")


def _pread(fd: int, start: int, stop: int) -> Iterator[bytes]:
    while start < stop and (piece := os.pread(fd, min(PIECE_SIZE, stop - start), start)):
        yield piece
        start += len(piece)


def _place(target: str, step: Callable[[], None]) -> None:
    """Have `step` make the file `target`, durably, in a directory that is made first if need be."""
    directory = os.path.dirname(target)
    grown = [directory]
    try:
        for _ in range(_ATTEMPTS):
            try:
                step()
            except FileNotFoundError:
                grown += _make_directory(directory)
            else:
                return _sync_directories(grown)
    except (NotADirectoryError, IsADirectoryError) as error:
        raise InvalidPathError(f"filesystem: {target}: a directory and a file cannot share a name") from error
    raise UnavailableError(f"filesystem: {directory} is deleted as often as it is made")


def _write_beside(target: str, content: bytes, rename: Callable[[str, str], None]) -> None:
    """Write a durable file beside `target` and `rename` it into place."""
    temporary = f"{os.path.dirname(target)}/{_hidden_name()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            _write_all(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _rename_to_new(source: str, target: str) -> None:
    """Rename a file; FileExistsError if something has the name already."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Of two callers at a time both may find nothing here; such a medium has no better way.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        return os.rename(source, target)
    return os.unlink(source)


def _write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _make_directory(directory: str) -> list[str]:
    """Make `directory` and the parents that it lacks; return the directories that have a new entry to sync."""
    parent = os.path.dirname(directory)
    grown = []
    try:
        os.mkdir(directory)
    except FileExistsError:
        return []
    except FileNotFoundError:
        grown = _make_directory(parent)
        with suppress(FileExistsError, FileNotFoundError):  # pruned again already: the caller tries again
            os.mkdir(directory)
    return [*grown, parent]


def _sync_directories(directories: Iterable[str]) -> None:
    for directory in directories:
        _sync_directory(directory)


def _sync_directory(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # somebody has deleted it since: there is nothing in it to make durable
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # how some network file systems say that they have no such call
            raise
    finally:
        os.close(fd)


def _remove_tree(directory: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            return shutil.rmtree(directory)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # a put that was already under way left its file here
                raise
    return None
