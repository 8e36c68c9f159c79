"""The contract of a storage driver: a flat map from paths to objects, and uploads that grow into one.

It asks for nothing that an object store cannot give: no directories, no rename, no append to an object
that is visible. What a driver says is done is durable: it survives the loss of power.

Paths are absolute, ``/``-separated and made of ``[A-Za-z0-9._-]`` components. A component that begins with
a dot belongs to the driver (temporary names); callers neither write nor see one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

PIECE_SIZE = 1024 * 1024
"""Bytes in which content is read and written: nothing larger than this is held for one stream."""

# A component has one way to match, so none is tried again (``*+``): a third quicker, and each call asks.
_PATH = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*+)++")


class DriverError(Exception):
    """The storage failed; the text says which call and how, in one line fit for a log."""


class PathNotFoundError(DriverError):
    """Nothing lies at the path."""


class PathExistsError(DriverError):
    """Something lies at the path already."""


class InvalidPathError(DriverError):
    """The path is not one that a driver stores under."""


class ObjectTooLargeError(DriverError):
    """A whole object was asked for that is larger than the caller's limit."""


class UploadBusyError(DriverError):
    """Another request is writing to this upload now."""


class NoSpaceError(DriverError):
    """The medium is full or over its quota; reads go on working."""


class UnavailableError(DriverError):
    """The storage asks for patience: throttled, restarting, unreachable."""


class ParameterError(Exception):
    """A driver's configuration is wrong; the text names the parameter and says what to change."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of an object: its size in bytes and when it was last written (seconds since the epoch)."""

    size: int
    modified: float


class Writer(ABC):
    """The one open end of an upload. Close keeps, commit publishes, cancel forgets.

    A writer is a context manager: leaving the block closes it, also after an exception, so what has arrived
    of a broken request is kept. From opening to leaving nobody else may change the upload; where the medium
    has no lock, :meth:`commit` must fail rather than publish bytes that this writer did not see.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes in the upload: those found when it was opened and those written since."""

    @property
    def checkpoint(self) -> str:
        """Identity of the stored bytes ``0..size``, valid on opening and again after :meth:`close`.

        The caller signs it into the client's token. A driver whose lock already makes acknowledged bytes
        immutable has nothing to add and says "".
        """
        return ""

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Append `piece`."""

    @abstractmethod
    def content(self) -> Iterator[bytes]:
        """Yield the whole upload, bytes ``0..size``, in pieces of at most PIECE_SIZE.

        After this nothing more may be written: a driver may have to seal the upload to read it back.
        """

    @abstractmethod
    def commit(self, destination: str) -> None:
        """Publish exactly bytes ``0..size`` at `destination`, atomically and durably; the upload is then gone.

        What lay at `destination` is replaced. The bytes do not travel through this process.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Forget the upload and everything that was stored for it."""

    @abstractmethod
    def close(self) -> None:
        """Keep what was written, durably, for another request to continue. Harmless when repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class StorageDriver(ABC):
    """A storage medium. Instances are shared by all threads of a process and made after the fork.

    Every method may raise InvalidPathError for a path that is none, UnavailableError, and DriverError
    for any other failure of the medium.
    """

    name: ClassVar[str]
    """The driver's name in logs and metrics, as the Go registry spells it."""

    shared_between_processes: ClassVar[bool] = True
    """Whether another process with the same parameters sees the same objects."""

    @classmethod
    @abstractmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        """Build the driver from its section of the configuration.

        Raises:
            ParameterError: a parameter is missing or wrong.
        """

    @abstractmethod
    def check(self) -> None:
        """Return if the medium can be used; called once at start.

        Raises:
            DriverError: it cannot; the text says which call failed, how, and what to change.
        """

    def probe(self) -> None:
        """Return if the medium answers; called every few seconds, so it is cheap and writes nothing.

        Raises:
            DriverError: it does not; the text says how.
        """
        with suppress(PathNotFoundError):
            self.stat("/docker")

    @abstractmethod
    def get(self, path: str, *, limit: int) -> bytes:
        """Return the whole object at `path`.

        Raises:
            PathNotFoundError: there is none.
            ObjectTooLargeError: it has more than `limit` bytes.
        """

    @abstractmethod
    def put(self, path: str, content: bytes) -> None:
        """Create or replace the object at `path`, atomically: a reader sees the old bytes or the new ones.

        Raises:
            NoSpaceError: the medium is full; what lay there is unchanged.
        """

    def put_in_order(
        self,
        objects: Iterable[tuple[str, bytes]],
        *,
        best_effort: Iterable[tuple[str, bytes]] = (),
        copies_of: str | None = None,
    ) -> None:
        """Create or replace objects, each a path and its content, in order; those of `best_effort` come last.

        Each is put as by :meth:`put`. Nobody sees an object before all that come before it, not even after a loss of
        power. When this returns, `objects` are durable. An object of `best_effort` need not be: a loss of power may
        take it away, always as a whole, even if it leaves a later one.

        `copies_of` is the path of one of `objects`. A caller who gives it promises that each object of `best_effort`
        has the content of that one, and that no program ever writes other content to any of these paths. So a driver
        may store the content once for all of them; each is still deleted on its own.

        Raises:
            NoSpaceError: the medium is full; the first of the objects may have been stored.
        """
        del copies_of
        for path, content in (*objects, *best_effort):
            self.put(path, content)

    @abstractmethod
    def create(self, path: str, content: bytes) -> None:
        """Create the object at `path`, atomically, if there is none: of several callers at a time one succeeds.

        An answer that was lost is asked for again, so the object that is found there may be the caller's own.

        Raises:
            PathExistsError: there is one; it is unchanged.
            NoSpaceError: the medium is full.
        """

    @abstractmethod
    def stat(self, path: str) -> Stat:
        """Return size and time of the object at `path`.

        Raises:
            PathNotFoundError: there is none (a mere prefix of other paths is none).
        """

    @abstractmethod
    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes ``start..stop`` (half-open; to the end without `stop`) in pieces of at most PIECE_SIZE.

        The object is opened before this returns, so a missing one is known at once. A `start` at or past the
        end yields nothing. Whoever does not exhaust the iterator calls its ``close()``.

        Raises:
            PathNotFoundError: there is no object.
        """

    @abstractmethod
    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        """Return the names directly below `path` that sort after `after`, in byte order; `limit` if there are as many.

        A name is one component, whether an object or a prefix of other paths. What was written or deleted
        before the call is seen by it. A path with nothing below it gives ``[]``. A file system may also name
        directories that hold nothing (another program's leftovers): do not take a name for an object.
        """

    def holds(self, path: str, *, likely: str = "") -> bool:
        """Tell whether anything lies below `path`: whether :meth:`list` names anything there.

        Who has just seen `path` in a listing may give a name that is `likely` to be below it. That is looked for first
        if it costs less than to list, and changes no answer, save that a file system on the network may remember
        the name for up to a minute after it went while `path` stayed.
        """
        del likely
        return bool(self.list(path, limit=1))

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete the object at `path` or everything below it, uploads included; atomic for a single object.

        Siblings whose names merely begin alike stay. A prefix under which nothing is left is listed no more.

        Raises:
            PathNotFoundError: there was nothing.
        """

    @abstractmethod
    def create_upload(self, path: str) -> None:
        """Begin an empty upload at `path`. It is no object: ``stat`` and ``get`` need not see it.

        The driver may keep objects of its own beside it in the same directory, hidden from ``list``.
        """

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        """Put `objects`, which tell of an upload, as put_in_order() does; then begin it at `path` as create_upload().

        Raises:
            NoSpaceError: the medium is full; the upload was not begun.
        """
        self.put_in_order(objects)
        self.create_upload(path)

    @abstractmethod
    def upload_size(self, path: str) -> int:
        """Return the bytes stored so far in the upload at `path`, without opening it.

        Raises:
            PathNotFoundError: there is no upload.
        """

    @abstractmethod
    def open_upload(self, path: str) -> Writer:
        """Open the upload at `path` at its end. It may have been begun by the Go registry.

        Raises:
            PathNotFoundError: there is no upload.
            UploadBusyError: another request has it open and did not end within a few seconds.
        """

    def purge(self, before: float) -> int:
        """Delete what broken work begun before that time has left where no path shows it; return how much."""
        del before
        return 0

    def local_path(self, path: str) -> str | None:
        """Return the name of a local file that holds exactly the object at `path`, or None.

        The name may be handed to sendfile or to a front-end server; it is not checked to exist.
        """
        del path
        return None

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        """Return a URL from which a client may fetch the object at `path` itself, or None.

        `client` is the address of who asks, "" if it is not known. It may be a lie: it decides which way leads to
        the object, never whether there is one.
        """
        del path, method, client
        return None

    def object_key(self, path: str) -> str | None:
        """Return the key in its bucket of the object at `path`, for a CDN that serves this bucket; None without one."""
        del path
        return None


def checked_path(path: str) -> str:
    """Return `path` if a driver may store under it.

    Raises:
        InvalidPathError: it is not absolute, or has an empty, hidden or foreign component.
    """
    if not _PATH.fullmatch(path):
        raise InvalidPathError(f"invalid path: {path!r}")
    return path
