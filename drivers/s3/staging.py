"""What the bucket holds of an upload: parts that are written once, and one small record that names them.

An upload at ``a/b/data`` is stored below the hidden prefix ``a/b/.data/``:

``state``
    the record: one line of JSON with the names of the parts, followed by the last bytes if they are few.
everything else
    parts, all of one size because some vendors require that, and fragments of the next part, one for each request
    that did not fill it. No other writer can choose the name of any of them, and none is ever written again.

So there is nothing to lock and nothing to list. A writer that loses a race for the record has changed nothing; the
one that wins publishes exactly the names in its own record, whatever others do meanwhile. The record's checkpoint is
a random number that is made with each version of it: equal checkpoints mean the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Self

from drivers.base import PIECE_SIZE, DriverError, NoSpaceError, UnavailableError
from drivers.translation import reason_of, word_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS_AT_ONCE: Final = 4
SPOOL_MEMORY: Final = 256 * 1024
INLINE_SIZE: Final = 64 * 1024
"""The record itself holds up to this many bytes after the last part or fragment."""

RECORD_LIMIT: Final = 8 * 1024 * 1024
"""The largest record in bytes: far more than the names of 10,000 parts and of a part's fragments need."""

_STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How an upload is cut: into parts of `size` bytes, until there are `count`; then each `growth` become one.

    All parts of an upload have the same size at any time. With 5,000 and 10 an upload may have more than 5 TB within
    the limit of 10,000 parts, however small the first size is. Only an upload of more than 5,000 parts is copied
    once more, while its client waits.
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
    """What is stored of an upload. `join` is the destination and the multipart upload id of a commit that has begun."""

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
    def sizes(self) -> Iterator[tuple[str, int]]:
        """The names of all objects of the upload except the record, in the order of their bytes, with their sizes."""
        yield from ((name, self.part_size) for name in self.parts)
        yield from self.fragments

    @property
    def names(self) -> set[str]:
        """The names of all objects of the upload except the record."""
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
            DriverError: it is malformed, or of a later version.
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
    """Bytes that will be sent to the store: in memory while they are few, otherwise in an unlinked file."""

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
            # Without rights or without a directory there is no space either, and TMPDIR is what helps.
            word = UnavailableError if word_of(error) is UnavailableError else NoSpaceError
            # gettempdir() cannot be named here: it raises, too, where there is no directory to write to.
            raise word(f"spool an upload: {reason_of(error)}; TMPDIR may name another directory") from error
        self.size += len(piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield all that was written. More may be written afterwards."""
        try:
            self.file.seek(0)
            while piece := self.file.read(PIECE_SIZE):
                yield piece
        except OSError as error:
            raise UnavailableError(f"read the spool of an upload: {reason_of(error)}") from error

    def close(self) -> None:
        """Free the memory and the disk space."""
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
