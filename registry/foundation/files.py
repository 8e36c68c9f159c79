"""Files that operators and other processes change while the registry runs, and files that survive a loss of power."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import stat
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
"""The errors of some network file systems where a directory is synced."""

_Signature = tuple[int, int, int, int, int] | None
"""Differs once a file has changed or is another one; None stands for no file."""


class FileError(Exception):
    """A watched file cannot be read or is malformed; the text names it and says why."""


def read_file(path: str | Path) -> bytes:
    """Return what the regular file at `path` holds.

    A pipe, a device or a socket is refused: a read of it may wait forever, or never end.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def is_something_else(path: str) -> bool:
    """Tell whether what is at `path`, where symbolic links lead, is there and is not a regular file."""
    return os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113  a name may be too long


class FileWatch:
    """Tells when one of several files is another one or has changed.

    Symbolic links are followed, so a link that is swapped is a change, too: Kubernetes does that with mounted secrets.
    The time of the inode's last change counts, so an edit that keeps size and time of modification is seen. A call
    costs one ``stat`` for each file.
    """

    def __init__(self, *paths: str) -> None:
        self._paths = paths
        self._seen: list[_Signature] | None = None

    def changed(self) -> bool:
        """Tell whether a file has changed since the last call; the first call says that it has.

        Read the files after this: what changes while they are read is a change at the next call.
        """
        found = [_signature(path) for path in self._paths]
        if found == self._seen:
            return False
        self._seen = found
        return True

    def forget(self) -> None:
        """Have the next call say that a file has changed."""
        self._seen = None


class WatchedFile(Generic[T]):
    """What a file says, read again whenever the file is another one or has changed."""

    def __init__(self, path: str, parse: Callable[[bytes], T]) -> None:
        self.path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._watch = FileWatch(path)
        self._value: T | None = None
        self._good = False
        self._error: FileError | None = None

    def current(self) -> T:
        """Return what the file says now.

        Raises:
            FileError: it cannot be read, or `parse` raised a ValueError.
        """
        return self._read(logs=True)

    def require(self) -> T:
        """Return what current() does, and log nothing: whoever calls stops at the error, and says it.

        Raises:
            FileError: as current().
        """
        return self._read(logs=False)

    def last_good(self) -> T:
        """Return what the file says now or, while it is broken or gone, what it last said.

        Raises:
            FileError: it never said anything.
        """
        with self._lock:
            self._refresh()
            if not self._good and self._error is not None:
                raise self._error
            return self._value  # type: ignore[return-value]  # as above

    def _read(self, *, logs: bool) -> T:
        with self._lock:
            self._refresh(logs=logs)
            if self._error is not None:
                raise self._error
            return self._value  # type: ignore[return-value]  # no error, so a value: T itself may include None

    def _refresh(self, *, logs: bool = True) -> None:
        if not self._watch.changed():
            return
        try:
            self._value = self._parse(read_file(self.path))
        except OSError as error:
            self._watch.forget()  # it may be readable again without having changed
            self._fail(f"{self.path}: {reason_unreadable(error, self.path)}", logs=logs)
        except ValueError as error:
            self._fail(f"{self.path}: {error}", logs=logs)
        else:
            self._good, self._error = True, None

    def _fail(self, text: str, *, logs: bool) -> None:
        if logs and (self._error is None or str(self._error) != text):
            logger.error("cannot use %s", text)
        self._error = FileError(text)


def _signature(path: str) -> _Signature:
    try:
        status = os.stat(path)  # noqa: PTH116  "" is no file, where Path("") is a directory
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Keep other processes and threads that change the file at `path` out for as long as the block lasts.

    The file may be replaced in the block, so the lock is on one beside it, ``PATH.lock``, which stays.

    Raises:
        OSError: that file cannot be created; the text says so if its directory is missing.
    """
    target = Path(path)
    _require_directory(target)
    with target.with_name(f"{target.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_creatable(path: str) -> None:
    """Return if `path`, which does not exist, could be made, with the directories above it.

    Nothing tells but to try: a directory is made in the nearest one that exists, and removed again.

    Raises:
        OSError: it could not.
    """
    with suppress(FileNotFoundError):
        os.lstat(path)  # its name may be too long
    nearest = Path(path).absolute().parent
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    Path(tempfile.mkdtemp(prefix=".registry-", dir=nearest)).rmdir()


def check_creatable_file(path: str) -> None:
    """Return if create_file() could create the file at `path`, which does not exist.

    Raises:
        OSError: it could not.
    """
    target = _target_of(path)
    _require_directory(Path(target))
    check_creatable(target)


def _target_of(path: str) -> str:
    """Return where a file at `path` would be: a symbolic link that leads nowhere yet says where.

    Raises:
        OSError: the link leads to itself, or its name is too long.
    """
    with suppress(FileNotFoundError):
        os.stat(path)  # noqa: PTH116  "" is no file, where Path("") is a directory
    return os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114  as above


def _require_directory(target: Path) -> None:
    """Return if the directory of `target` is there. It is not made: more often than new, the path is mistyped."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {target.parent}")


def create_file(path: str, content: bytes) -> bool:
    """Create `path` with `content`, whole and readable by its owner only, unless it exists; tell which.

    However many processes try at once, one of them creates it and the others find all of its content. A symbolic link
    that leads nowhere is followed: what it names is created.

    Raises:
        OSError: it cannot be created; the text says so if its directory is missing.
    """
    target = _target_of(path)
    parent = Path(target).parent
    _require_directory(Path(target))
    temporary = _write_temporary(parent, content)
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_directory(str(parent))
    return True


def replace_file(path: str, content: bytes) -> None:
    """Replace the file at `path` by one with `content`, durably; a reader sees the old content or the new.

    Owner and mode are kept; a new file is readable by its owner only. A symbolic link is followed. A file
    that is itself a mount point (a single file mounted into a container) cannot be replaced and is rewritten.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(path))  # Path.resolve() ends in a RuntimeError where a link leads to itself
    temporary = _write_temporary(target.parent, content)
    try:
        with suppress(FileNotFoundError):
            status = target.stat()
            temporary.chmod(stat.S_IMODE(status.st_mode))
            with suppress(PermissionError):
                os.chown(temporary, status.st_uid, status.st_gid)
        rename_durably(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno != errno.EBUSY:
            raise
        with target.open("wb") as file:
            _write_durably(file, content)


def replace_private_file(path: str, content: bytes) -> None:
    """Replace what is at `path` by a file with `content`, durably, that only its owner, this process, may read.

    Neither the mode nor the owner of what was there is kept, and a symbolic link is replaced, not followed.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path)
    temporary = _write_temporary(target.parent, content)
    try:
        rename_durably(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def rename_durably(source: Path, target: Path) -> None:
    """Rename `source`, whose content is durable, to `target` in the same directory, replacing what is there.

    Raises:
        OSError: it cannot be renamed.
    """
    source.replace(target)
    sync_directory(str(target.parent))


def _write_temporary(directory: Path, content: bytes) -> Path:
    path = directory / f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            _write_durably(file, content)
    except OSError:
        path.unlink()
        raise
    return path


def _write_durably(file: BinaryIO, content: bytes) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def sync_directory(directory: str) -> bool:
    """Make it durable which names were made and deleted in `directory`; return whether that was possible.

    It is not possible on a file system that cannot sync a directory, nor if somebody has deleted the directory since:
    then there is nothing left to make durable.

    Raises:
        OSError: the sync has failed.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
        return False
    finally:
        os.close(descriptor)
    return True
