"""The contract of a storage driver: a flat map from paths to objects, and uploads that become objects.

It needs nothing that an object store does not have: no directories, no rename, and no append to an object
that is visible. When a call returns, what it did is durable: it survives a loss of power.

Paths are absolute, and their components are separated by ``/`` and made of ``[A-Za-z0-9._-]``. Components that
begin with a dot are reserved for the driver's temporary names: callers neither write nor see them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from drivers.claims import ObjectClaims
    from drivers.log import Log
    from registry.foundation.circuit import Circuit

Result = TypeVar("Result")

PIECE_SIZE = 1024 * 1024
"""Content is read and written in pieces of at most this many bytes, so a stream never holds more in memory."""

TOUCHED_SIZE: Final = PIECE_SIZE
"""The largest object in bytes that every driver can touch."""

_LISTED = 1000
"""Names that are listed at once to find all of them."""

_FEW_NAMES = 16
"""Names that are listed to find one of a kind that most are of."""

# Each component can match in one way only, so the expression need not backtrack (``*+``). That saves a third of the
# time of a check that every call makes.
_COMPONENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*+"
_PATH = re.compile(rf"(?:/{_COMPONENT})++")


class DriverError(Exception):
    """The storage failed; the text says which call and how, in one line fit for a log.

    Where it is none of the classes below, it stays so until somebody changes something: what is stored is damaged, say.
    """

    call: str = ""
    """The call that failed, as the text names it; "" if only the text tells."""
    subject: str = ""
    """What the call was about, a path or the driver's name for it; "" if only the text tells."""


class PathNotFoundError(DriverError):
    """There is nothing at the path."""


class PathExistsError(DriverError):
    """There is something at the path already."""


class ChangedError(DriverError):
    """The object at the path is not the one that the caller expects, or is gone."""


class InvalidPathError(DriverError):
    """A driver cannot store anything under this path."""


class ObjectTooLargeError(DriverError):
    """The object is larger than the limit of the caller, who asked for all of it at once."""


class UploadBusyError(DriverError):
    """Another request is writing to this upload."""


class NoSpaceError(DriverError):
    """The medium is full or over its quota; reads still work."""


class NotPermittedError(DriverError):
    """The medium does not let this registry do it, until somebody changes owner, mode or credentials."""


class NotWritableError(NotPermittedError):
    """The medium does not let this registry write or delete; it may still let it read."""


class UnavailableError(DriverError):
    """The storage cannot do it now and may do so later.

    It throttles, restarts, cannot be reached or reports an error of its hardware; or this process has run out of what
    it needs to ask it, such as file descriptors.
    """

    retry_seconds: int | None = None
    """For how long it is not asked anyway, as it has not answered before; None where it may be asked at once."""


class CollectingError(UnavailableError):
    """A garbage collection works on it, for a moment. No driver raises it: what stands on drivers does."""


@dataclass(frozen=True, slots=True)
class Stat:
    """An object's size in bytes, and the time of its last change in seconds since the epoch."""

    size: int
    modified: float


class Found(NamedTuple):
    """An object that walk() has found; size in bytes, time as of Stat, by the clock of the medium.

    `version` is any text. An object that is put in its place has another one, except perhaps one of the same size that
    is put within a second.
    """

    path: str
    size: int
    modified: float
    version: str


class Writer(ABC):
    """An open upload that grows at its end. Close keeps it, commit publishes it, cancel deletes it.

    A writer is a context manager. Leaving the block closes the writer, also after an exception: what has arrived of a
    request that broke off is kept. While a writer is open nobody else may change its upload. If the medium has no
    locks to ensure that, :meth:`commit` must fail rather than publish bytes that this writer did not see.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """How many bytes the upload has: those found when it was opened and those written since."""

    @property
    def checkpoint(self) -> str:
        """An identifier of the stored bytes ``0..size``.

        It is valid when the writer is opened and again after :meth:`close`. The caller signs it into the token that the
        client gets. A driver with locks never changes acknowledged bytes, so it needs no checkpoint and returns "".
        """
        return ""

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Append `piece`."""

    def flush(self) -> None:  # noqa: B027  where bytes of an upload cannot be shown there is nothing to do
        """Let :meth:`StorageDriver.read_upload` see what was written, as far as the medium can at little cost.

        It may see less. A writer that others read along with may call this after each piece: a driver does what costs
        something in larger steps, and not all the time. What was flushed need not be durable. The checkpoint may
        change, so it is valid again only after :meth:`close`.

        Raises:
            DriverError: as write() may. The next close() or commit() tells what is left.
        """

    @abstractmethod
    def content(self) -> Iterator[bytes]:
        """Yield the whole upload, bytes ``0..size``, in pieces of at most PIECE_SIZE.

        Nothing may be written afterwards, because a driver may have to seal an upload before it can read it.
        """

    @abstractmethod
    def commit(self, destination: str) -> None:
        """Publish exactly bytes ``0..size`` at `destination`, atomically and durably; then the upload no longer exists.

        An object that is at `destination` is replaced. The bytes are not sent through this process again, apart from
        the last part of an upload, which a driver may have to send (S3 does).
        """

    @abstractmethod
    def cancel(self) -> None:
        """Delete the upload and everything that was stored for it."""

    @abstractmethod
    def close(self) -> None:
        """Make what was written durable, so that another request can continue. Closing again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Claim(ABC):
    """What one caller of all processes and hosts has. It is a context manager; leaving the block releases the claim."""

    @property
    @abstractmethod
    def held(self) -> bool:
        """Whether no other may have it. Once that is False it stays so, and there may be two while this one goes on.

        Where the medium has locks it is True until release(). Else it is False if this process was not heard of for so
        long, or the storage did not answer for so long, that another may have taken the claim over.
        """

    @abstractmethod
    def release(self) -> None:
        """Let another have it at once; it leaves nothing in the storage. Releasing again does nothing.

        No DriverError leaves it: where the storage does not answer, the others find out that nobody has the claim.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class StorageDriver(ABC):
    """A storage medium. An instance is made after the fork and shared by all threads of its process.

    Every method may raise InvalidPathError for an invalid path, UnavailableError, and DriverError for any other
    failure of the medium. So may the methods of a writer and every step of an iterator. Errors of the operating system
    or of an SDK never leave a driver, except from a file that open_local() has returned.
    """

    name: ClassVar[str]
    """The driver's name in logs and metrics, as the Go registry spells it."""

    shared_between_processes: ClassVar[bool] = True
    """Whether other processes with the same parameters see the same objects."""

    circuit: Circuit | None = None
    """What says when the storage is not asked, as it does not answer; None where every call goes to it."""

    @classmethod
    @abstractmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        """Make a driver from its section of the configuration.

        Raises:
            registry.foundation.errors.ParameterError: a parameter is missing or wrong.
        """

    @abstractmethod
    def check(self, *, below: Sequence[str] = (), read_only: bool = False) -> None:
        """Return if the medium can be used. It is called at the start, and looks at little however much is stored.

        `below` are the prefixes below which the caller will write, unless it will only read: then nothing is written.
        Where the caller cannot write to all that lies deeper, it is told so in the log.

        Raises:
            DriverError: it cannot be used; the text says which call failed, how, and what to change.
        """

    def absent(self) -> str:
        """Return what :meth:`check` would make because it does not exist, "" if nothing; nothing is changed by this.

        Raises:
            DriverError: it could not be made; the text is that of :meth:`check`.
        """
        return ""

    def probe(self, *, read_only: bool = False) -> None:
        """Return if the medium answers. It is called every few seconds, so it is cheap and writes nothing.

        `read_only` is as for check().

        Raises:
            DriverError: it does not answer; the text says how it failed.
        """
        del read_only
        with suppress(PathNotFoundError):
            self.stat("/docker")

    @abstractmethod
    def get(self, path: str, *, limit: int) -> bytes:
        """Return the whole object at `path`.

        Raises:
            PathNotFoundError: there is none.
            ObjectTooLargeError: it has more than `limit` bytes.
        """

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        """Yield for each of `paths`, in order, the whole object there; None if there is none or it is longer.

        "Longer" is more than `limit` bytes. It is for many small objects: where a call takes long, a driver reads a
        few of them ahead. A caller who does not read the iterator to its end calls its ``close()``.
        """
        for path in paths:
            yield self._find(path, limit)

    def _find(self, path: str, limit: int) -> bytes | None:
        """Return the whole object at `path`; None if there is none or it has more than `limit` bytes."""
        try:
            return self.get(path, limit=limit)
        except (PathNotFoundError, ObjectTooLargeError):
            return None

    def together(self, *steps: Callable[[], Result]) -> list[Result]:
        """Do `steps`, none of which depends on another, and return what each of them has returned, in their order.

        Where a call takes long, a driver does them at a time, the last one in this thread. Else they are done one after
        the other, as this default does. None is on any more when this returns or raises.

        Raises:
            What a step has raised, the first of them that has; others may have been done or not.
        """
        return [step() for step in steps]

    @abstractmethod
    def put(self, path: str, content: bytes) -> None:
        """Create or replace the object at `path` atomically: a reader sees either the old bytes or the new ones.

        Raises:
            NoSpaceError: the medium is full; an object that was there is unchanged.
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
        """Create the object at `path` atomically if there is none: if several callers try at once, one succeeds.

        A driver may repeat a request whose answer was lost. So the object that is found may be the caller's own.

        Raises:
            PathExistsError: there is one; it is unchanged.
            NoSpaceError: the medium is full.
        """

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        """Replace the object at `path` atomically if its content is `expected`: if several callers try, one succeeds.

        A put(), create() or delete_if() at the same time, or a delete() of a prefix of `path`, comes as a whole before
        it or after it. As in create(), what is found may be the caller's own. A medium that cannot compare and write in
        one step does one after the other, as this default does.

        Raises:
            ChangedError: the object has another content, which is unchanged, or there is none.
            NoSpaceError: the medium is full.
        """
        self._require(path, expected)
        self.put(path, content)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        """Delete the object at `path` atomically if its content is `expected`; otherwise as replace()."""
        self._require(path, expected)
        self.delete(path)

    def _require(self, path: str, expected: bytes) -> None:
        if self._find(path, len(expected)) != expected:
            raise ChangedError(f"{path} is not what it was")

    @abstractmethod
    def stat(self, path: str) -> Stat:
        """Return size and time of the object at `path`.

        Raises:
            PathNotFoundError: there is none; a prefix of other paths is not an object.
        """

    @abstractmethod
    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes ``start..stop`` in pieces of at most PIECE_SIZE; without `stop`, all bytes from `start` on.

        The range is half-open and may reach past the end; a `start` at or after the end yields nothing. The object is
        opened before this returns, so it is known at once if it is missing. A caller who does not read the iterator
        to its end calls its ``close()``.

        Raises:
            PathNotFoundError: there is no object.
        """

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        """Return names as :meth:`list` does, but only those of prefixes of other paths, not those of objects.

        What is both is named. A driver that cannot tell them apart at no cost may name objects, too.
        """
        return self.list(path, after=after, limit=limit)

    @abstractmethod
    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` names directly below `path` that sort after `after`, in byte order, or all if fewer.

        A name is one component: that of an object or of a prefix of other paths. The call sees whatever was written or
        deleted before it. If there is nothing below `path` it returns ``[]``. A file system may also name empty
        directories that another program left: a name need not lead to an object.
        """

    def holds(self, path: str, *, likely: str = "", is_name: Callable[[str], object] | None = None) -> bool:
        """Tell whether there is anything below `path`, that is, whether :meth:`list` returns any name.

        Given `is_name`, only names count that :meth:`list_prefixes` returns and `is_name` takes.

        A caller who has just seen `path` in a listing may give a name that is `likely` to be below it, and that
        `is_name` takes. A driver that can look for a name at less cost than listing then does so first. The answer is
        the same, with one exception: where `likely` was deleted and `path` was not, a network file system may remember
        `likely` for up to a minute.
        """
        del likely
        if is_name is None:
            return bool(self.list(path, limit=1))
        found = self.list_prefixes(path, limit=_FEW_NAMES)
        while not any(map(is_name, found)):
            if len(found) < _FEW_NAMES:
                return False
            found = self.list_prefixes(path, after=found[-1], limit=_FEW_NAMES)
        return True

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete the object at `path` or everything below it, including uploads. A single object is deleted atomically.

        Other paths that only begin with the same characters stay. A prefix below which nothing is left is no longer
        listed.

        Raises:
            PathNotFoundError: there was nothing.
        """

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        """Yield each object below `path`, in no order.

        What is there, unchanged, from the first step to the last is named exactly once. What comes, goes or is replaced
        meanwhile may be named or not, and on a file system also twice. The bytes of an upload need not be named. What
        another program has left under a path that is not a valid one is passed over. Memory does not grow with what is
        found.

        `leaf_in` spares a file system most of the directories that it would read. It gives of a prefix the name of the
        only object that is looked for in each prefix right below it, "" where that is not known. Where there is an
        object of that name, what else lies below the same prefix may be passed over.
        """
        del leaf_in
        return self._in_order(path, "")

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        """Return the first `limit` objects below `path` that come after the object `after`, or all if fewer.

        They come in an order of the medium that stays the same: that of their paths by bytes, or by the bytes of one
        component after another. So whoever calls this again with the last path of a page as `after` finds all that is
        there throughout, each once, as by :meth:`walk`; the object at `after` may be gone meanwhile. It is for walks
        that are left off and gone on with.
        """
        checked_path(path)
        return [*islice(self._in_order(path, after.removeprefix(path)[1:]), limit)]

    def _in_order(self, path: str, after: str) -> Iterator[Found]:
        """Yield the objects below `path`, by their components, that come after `after`, a path relative to it or ""."""
        first, _, rest = after.partition("/")
        if first:
            yield from self._in_order(f"{path}/{first}", rest)
        while names := self.list(path, after=first, limit=_LISTED):
            for below in filter(is_path, [f"{path}/{name}" for name in names]):
                with suppress(PathNotFoundError):
                    stat = self.stat(below)
                    yield Found(below, stat.size, stat.modified, _version_of(stat))
                yield from self._in_order(below, "")
            first = names[-1]

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        """Delete each of the objects that is still the one that was found; return the paths of those that are not.

        What is gone already counts as deleted. They are taken a thousand at a time. A medium that cannot compare and
        delete in one step does one after the other, as this default does.

        Raises:
            DriverError: some could not be deleted. What else of the same thousand could be deleted is.
        """
        changed = []
        failure: DriverError | None = None
        for each in found:
            try:
                if _version_of(self.stat(each.path)) == each.version:
                    self.delete(each.path)
                else:
                    changed.append(each.path)
            except PathNotFoundError:
                continue
            except DriverError as error:
                failure = failure or error
        if failure:
            raise failure
        return changed

    @abstractmethod
    def create_upload(self, path: str) -> None:
        """Begin an empty upload at `path`. An upload is not an object: ``stat`` and ``get`` need not see it.

        Callers never begin an upload at a path that has one: some drivers would keep its bytes, others drop them.
        The driver may keep objects of its own beside it in the same directory, which ``list`` does not name.
        """

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        """Put `objects`, which describe an upload, by put_in_order(), and begin it at `path` by create_upload().

        When this returns both are durable. A call that fails, or a crash, may leave either without the other.

        Raises:
            NoSpaceError: the medium is full.
        """
        self.put_in_order(objects)
        self.create_upload(path)

    def end_upload(self, path: str, objects: Sequence[str]) -> None:
        """Delete what is left below the prefix `path` of an upload that was published or cancelled, if anything is.

        `objects` are the paths at which something may be left, unless a request has broken off. A driver may look
        nowhere else: what such a request has left stays then, for the purge of uploads.
        """
        del objects
        with suppress(PathNotFoundError):
            self.delete(path)

    @abstractmethod
    def upload_size(self, path: str) -> int:
        """Return how many bytes are stored in the upload at `path`, without opening it.

        Raises:
            PathNotFoundError: there is no upload.
        """

    @abstractmethod
    def open_upload(self, path: str) -> Writer:
        """Open the upload at `path`, to append to it. The Go registry may have begun it.

        Raises:
            PathNotFoundError: there is no upload.
            UploadBusyError: another request had it open and did not close it within a few seconds.
        """

    def read_upload(self, path: str, start: int = 0) -> Iterator[bytes]:
        """Yield bytes of the upload at `path`, from `start` on up to where it stands now, in pieces as read() does.

        Another may have it open and write to it: the bytes are those that it has flushed, as far as the medium can show
        bytes of an upload. This default shows none. Nothing is promised of them: a writer that fails may take back what
        it has flushed, and put other bytes in its place. So a reader verifies what it has read.

        The upload is opened before this returns, so it is known at once if it is missing. A caller who does not read
        the iterator to its end calls its ``close()``.

        Raises:
            PathNotFoundError: there is no upload; or, from a step, it has ended or was rearranged meanwhile.
        """
        del start
        self.upload_size(path)
        return iter(())

    def claim(self, path: str) -> Claim | None:
        """Return the claim at `path`, or None if another has it; this never waits for it.

        Of all who ask, in any thread, process or host, one has it, until it releases it or its process ends. A medium
        with locks knows at once that a process has ended. On others it is taken for ended when nothing was heard of it
        for ``drivers.claims.SILENT_SECONDS``, as seen by one who asks again and again. There may then be two for a
        moment, which a caller has to bear: see :attr:`Claim.held`.

        The driver keeps what it needs at `path` and below it, which list() and walk() may name, and delete() deletes:
        then another may have the claim, too. Nothing else may be there. What a process leaves that was killed goes
        with the next one's release, or with a deletion.
        """
        return self._object_claims.claim(checked_path(path))

    @cached_property
    def _object_claims(self) -> ObjectClaims:
        """Claims as objects, for a medium without locks."""
        from drivers.claims import ObjectClaims  # noqa: PLC0415  it is written in terms of this class

        return ObjectClaims(self)

    def touch(self, path: str) -> None:
        """Make the object at `path` as new as one that is put now; its bytes stay, and it may have another version.

        It is for small objects, at most TOUCHED_SIZE bytes. Nothing that is put or deleted at the same time is undone.
        A loss of power may undo the touch. Objects that a driver stores as one (`copies_of`) may be touched together.

        Raises:
            PathNotFoundError: there is none.
            ObjectTooLargeError: it is larger, and this driver cannot touch it.
        """
        content = self.get(path, limit=TOUCHED_SIZE)
        try:
            self.replace(path, content, expected=content)
        except (ChangedError, UploadBusyError):
            self.stat(path)  # what is there is new, or nothing is

    @abstractmethod
    def log(self, path: str) -> Log:
        """Return the log at `path`; nothing is made before its first append, and nothing else may be below `path`.

        A process that appends keeps it: a driver may have it open, in a file of its own. What the driver keeps there
        may be objects, which :meth:`list` names; :meth:`delete` deletes the log.
        """

    def purge(self, before: float) -> int:
        """Delete what interrupted calls left behind where no path leads, if they began before the time `before`.

        Returns how many such things were deleted. The time is in seconds since the epoch.
        """
        del before
        return 0

    def local_path(self, path: str) -> str | None:
        """Return the name of a local file that holds exactly the object at `path`, or None.

        The name may be given to a front-end server. Whether the file exists is not checked.
        """
        del path
        return None

    def open_local(self, path: str) -> BinaryIO | None:
        """Return that local file, open for reading at its beginning, or None; the caller closes it.

        Raises:
            PathNotFoundError: there is no object.
        """
        del path
        return None

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        """Return a URL from which a client may fetch the object at `path` itself, or None.

        `client` is the address of the client, or "" if it is not known. It may be forged, so it may decide where the
        client is sent, but never whether it gets the object.
        """
        del path, method, client
        return None

    def object_key(self, path: str) -> str | None:
        """Return the key of the object at `path` in its bucket, for a CDN that serves this bucket; else None."""
        del path
        return None


is_component: Final = re.compile(_COMPONENT).fullmatch
"""Whether the given text may be one component of a path; called for each file of a registry."""


def is_path(path: str) -> bool:
    """Tell whether a driver may store under `path`, so that it is not another program's or hidden."""
    return _PATH.fullmatch(path) is not None


def checked_path(path: str) -> str:
    """Return `path` if a driver may store under it.

    Raises:
        InvalidPathError: it is not absolute, or a component is empty, begins with a dot or has another character.
    """
    if not _PATH.fullmatch(path):
        raise InvalidPathError(f"invalid path: {path!r}")
    return path


def _version_of(stat: Stat) -> str:
    return f"{stat.size} {stat.modified!r}"
