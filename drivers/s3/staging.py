"""What an object store keeps of an upload: parts that are written once, and one small record that names them.

An upload at ``a/b/data`` lies below the hidden prefix ``a/b/.data/``:

``state``
    the record: one line of JSON with the names of the parts, followed by the last bytes if they are few.
everything else
    parts, all of one size as some vendors insist, and fragments of the next part, one for each request that
    did not fill it. Each bears a name that no other writer can choose and is never written again.

So there is nothing to lock and nothing to list. Who loses a race for the record has changed nothing; who
wins it publishes exactly the names in its own view, whatever others do meanwhile. The record's checkpoint is
a random number that is made with each version of it: equal checkpoints mean the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

from drivers.base import PIECE_SIZE, DriverError, NoSpaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PARTS_AT_ONCE: Final = 4
SPOOL_MEMORY: Final = 256 * 1024
INLINE_SIZE: Final = 64 * 1024
"""Up to so many bytes after the last part or fragment lie in the record itself."""

RECORD_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a record: far above those of 10,000 parts and a part's fragments."""

_STATE: Final = "state"


class StagingStore(Protocol):
    """What an upload asks of its object store. Keys are the store's own; errors are the contract's."""

    def fetch(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """Return the object and its version; PathNotFoundError if there is none."""

    def version(self, key: str) -> str:
        """Return the version of the object; PathNotFoundError if there is none."""

    def swap(self, key: str, content: bytes, version: str) -> str:
        """Replace the object if it still has `version` and return the new one.

        A store that cannot compare replaces it in any case.

        Raises:
            UploadBusyError: it has another, or is gone.
        """

    def put_staged(self, key: str, body: IO[bytes]) -> None:
        """Store what `body` holds from its beginning, to be read back or joined soon."""

    def put_final(self, key: str, body: IO[bytes]) -> None:
        """Store what `body` holds from its beginning, atomically, as put() of the driver would."""

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield the object in pieces of at most PIECE_SIZE."""

    def copy(self, source: str, destination: str) -> None:
        """Copy an object, of at most the largest part's size, inside the store."""

    def begin_join(self, destination: str) -> str:
        """Prepare join() and return its ticket: who has it can finish or abandon the work."""

    def join(self, ticket: str, destination: str, sources: Sequence[str], rest: IO[bytes] | None) -> None:
        """Make `destination` of `sources`, inside the store, and what `rest` holds; atomically.

        Raises:
            PathNotFoundError: a source is gone; nothing was made.
        """

    def abandon_join(self, ticket: str, destination: str) -> None:
        """Give back what a join that did not end holds; harmless when repeated."""

    def remove(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already are no error."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How an upload is cut: parts of `size` bytes, until there are `count`; then each `growth` become one.

    All parts of an upload have one size at any time. With 5,000 and 10 the limit of 10,000 parts allows for
    more than 5 TB however small the first size is, and only what is longer than 5,000 parts is copied again,
    while its client waits.
    """

    size: int
    count: int = 5000
    growth: int = 10
    largest: int = 5 * 1024**3

    def grows(self, size: int, count: int) -> bool:
        """Tell whether `count` parts of `size` are to become fewer and larger ones."""
        return count >= self.count and count % self.growth == 0 and size * self.growth <= self.largest

    def parts_at_once(self, size: int) -> int:
        """Return how many parts of `size` one upload may send at a time."""
        return max(1, PARTS_AT_ONCE * self.size // size)


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of an upload. `join` is the destination and ticket of a commit that has begun."""

    part_size: int
    checkpoint: str
    parts: tuple[str, ...] = ()
    fragments: tuple[tuple[str, int], ...] = ()
    inline: bytes = b""
    join: tuple[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes of the upload."""
        return self.part_size * len(self.parts) + sum(size for _, size in self.fragments) + len(self.inline)

    @property
    def names(self) -> set[str]:
        """All objects of the upload but the record."""
        return {*self.parts, *(name for name, _ in self.fragments)}

    def dump(self) -> bytes:
        """Return the record as it is stored."""
        fields = {
            "version": 1,
            "checkpoint": self.checkpoint,
            "part_size": self.part_size,
            "parts": self.parts,
            "fragments": self.fragments,
            "join": self.join,
        }
        return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n" + self.inline

    @classmethod
    def load(cls, content: bytes) -> Record:
        """Return the record that was stored as `content`.

        Raises:
            DriverError: it is none, or of a later version.
        """
        line, _, inline = content.partition(b"\n")
        try:
            fields = json.loads(line)
            if fields["version"] != 1:
                raise DriverError(f"the record of an upload is of version {fields['version']}, too new for us")
            return cls(
                part_size=fields["part_size"],
                checkpoint=fields["checkpoint"],
                parts=tuple(fields["parts"]),
                fragments=tuple((name, size) for name, size in fields["fragments"]),
                inline=inline,
                join=tuple(fields["join"]) if fields["join"] else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DriverError(f"the record of an upload is malformed: {error!r}") from error


class Spool:
    """Bytes on their way into the store: in memory while they are few, in an unlinked file else."""

    def __init__(self) -> None:
        # Closed by close(); the class is the context manager.
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_MEMORY)  # noqa: SIM115
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, piece: bytes | memoryview) -> None:
        """Append `piece`."""
        try:
            self.file.write(piece)
            self.file.flush()
        except OSError as error:
            # Not gettempdir(), which raises as well where no directory can be written to.
            raise NoSpaceError(f"spool an upload: {error.strerror}; TMPDIR may name another directory") from error
        self.size += len(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield all that was written; then more may be written."""
        self.file.seek(0)
        while piece := self.file.read(PIECE_SIZE):
            yield piece

    def close(self) -> None:
        """Give back memory and disk."""
        self.file.close()


def staging_prefix(key: str) -> str:
    """Return what the keys of all objects of the upload at `key` begin with."""
    directory, _, name = key.rpartition("/")
    return f"{directory}/.{name}/"


def record_key(key: str) -> str:
    """Return the key of the record of the upload at `key`."""
    return staging_prefix(key) + _STATE


def is_record(key: str) -> bool:
    """Tell whether `key` is that of an upload's record."""
    directory, _, name = key.rpartition("/")
    return name == _STATE and directory.rpartition("/")[2].startswith(".")
