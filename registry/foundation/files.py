"""Files that other people and processes change while the registry runs."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

T = TypeVar("T")

_Signature = tuple[int, int, int, int, int]


class FileError(Exception):
    """A watched file cannot be read or is malformed; the text names it and says why."""


class WatchedFile(Generic[T]):
    """What a file says, read again whenever the file is another one or has changed.

    The signature follows symbolic links, so it also changes when a link is swapped, as Kubernetes does with
    mounted secrets. It includes the time of the inode's last change: an edit that keeps size and time of
    modification is seen too. One ``stat`` a call is the price.
    """

    def __init__(self, path: str, parse: Callable[[bytes], T]) -> None:
        self.path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._signature: _Signature | None = None
        self._value: T | None = None
        self._good = False
        self._error: FileError | None = None

    def current(self) -> T:
        """Return what the file says now.

        Raises:
            FileError: it cannot be read, or `parse` raised a ValueError.
        """
        with self._lock:
            self._refresh()
            if self._error is not None:
                raise self._error
            return self._value  # type: ignore[return-value]  # no error, so a value: T itself may include None

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

    def _refresh(self) -> None:
        try:
            if _signature(Path(self.path).stat()) == self._signature:
                return
            with Path(self.path).open("rb") as file:
                # Taken from the open file and before the read: a change during the read is seen next time.
                self._signature = _signature(os.fstat(file.fileno()))
                content = file.read()
            self._value = self._parse(content)
        except OSError as error:
            self._signature = None
            self._fail(f"{self.path}: {error.strerror or error}")
        except ValueError as error:
            self._fail(f"{self.path}: {error}")
        else:
            self._good, self._error = True, None

    def _fail(self, text: str) -> None:
        if self._error is None or str(self._error) != text:
            logger.error("cannot use %s", text)
        self._error = FileError(text)


def _signature(status: os.stat_result) -> _Signature:
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def create_file(path: str, content: bytes) -> bool:
    """Create `path` with `content`, whole and readable by its owner only, unless it exists; tell which.

    However many processes try at once, one of them creates it and the others find all of its content.

    Raises:
        OSError: it cannot be created.
    """
    parent = Path(path).parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = _write_temporary(parent, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    _sync_directory(parent)
    return True


def replace_file(path: str, content: bytes) -> None:
    """Put `content` in the place of the file at `path`; a reader sees the old content or the new.

    Owner and mode are kept; a new file is readable by its owner only. A symbolic link is followed. A file
    that is itself a mount point (a single file mounted into a container) cannot be replaced and is rewritten.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path).resolve()
    temporary = _write_temporary(target.parent, content)
    try:
        with contextlib.suppress(FileNotFoundError):
            status = target.stat()
            temporary.chmod(stat.S_IMODE(status.st_mode))
            with contextlib.suppress(PermissionError):
                os.chown(temporary, status.st_uid, status.st_gid)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno != errno.EBUSY:
            raise
        target.write_bytes(content)
    _sync_directory(target.parent)


def _write_temporary(directory: Path, content: bytes) -> Path:
    path = directory / f".{secrets.token_hex(8)}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
