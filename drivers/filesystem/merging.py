"""The lines of all files of a log, merged by their times."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH116

from __future__ import annotations

import json
import os
import time
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from drivers.filesystem.appending import AGE_NS, time_of
from drivers.filesystem.unread import Unread
from drivers.log import MOST_BYTES, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COMPLETE_NS: Final = 2 * AGE_NS
"""How long after its making nobody appends to a file any more, where clocks are less than an hour apart."""

_ROUND_NS: Final = 60 * 1_000_000_000
"""How often files are looked at of which that is so: clocks may be further apart, or have been set."""

_SETTLING_NS: Final = 60 * 1_000_000_000
"""How long after it was written a line may be seen in part: network file systems remember attributes for so long."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far files have been read, by their keys.

    Those that are `whole` had no more to read when all were looked at, at `at_ns`, and nobody should append to them.
    """

    at_ns: int = 0
    read: Mapping[str, int] = field(default_factory=dict)
    whole: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, text: str) -> Position:
        """Return the position of that text; the first one if it is "" or that of another medium."""
        try:
            found = json.loads(text or "{}")
            return cls(int(found["at"]), _offsets(found["read"]), _offsets(found["whole"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps({"at": self.at_ns, "read": self.read, "whole": self.whole}, separators=(",", ":"))

    def is_recent(self, now_ns: int) -> bool:
        """Tell whether all files were looked at lately; they were not if the clock was set back since."""
        return 0 <= now_ns - self.at_ns < _ROUND_NS

    def unread(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are not whole."""
        return [name for name in names if key_of(name) not in self.whole]

    def offset(self, name: str) -> int:
        """Return up to where the file of that name was read."""
        key = key_of(name)
        return self.read.get(key) or self.whole.get(key, 0)


def key_of(name: str) -> str:
    """Return what stands for the file of that name in positions: 48 random bits of it."""
    return name[20:32]


def _offsets(found: Mapping[str, object]) -> dict[str, int]:
    return {key: int(str(offset)) for key, offset in found.items()}


class Merge:
    """Reads on behind `known` in the files `names` of `directory`, which are sorted.

    A file is looked at only when its turn comes: no line is older than its file. The position tells of each file that
    exists how far it was read, so that clocks decide the order only, and what comes a minute late.
    """

    def __init__(self, directory: str, names: Sequence[str], known: Position) -> None:
        now_ns = time.time_ns()
        self._directory = directory
        self._names = names
        self._known = known
        self._at_ns = known.at_ns if known.is_recent(now_ns) else now_ns
        self._complete_ns = now_ns - COMPLETE_NS
        self._settled_ns = now_ns - _SETTLING_NS
        self._waiting = deque(names if self._at_ns == now_ns else known.unread(names))
        self._offsets: dict[str, int] = {}
        """Of the files that were looked at."""
        self._unread: dict[str, Unread] = {}
        """What is left of those to read, and what was read of them now."""
        self._next: list[tuple[int, str]] = []
        """A heap of the times of the next lines, and their files."""

    def page(self, before_ns: int, limit: int) -> tuple[list[Record], Position]:
        """Return what Log.after() does; the position is `known` itself if there is nothing new to say."""
        records: list[Record] = []
        size = 0
        while len(records) < limit and self._find_next(before_ns):
            time_ns, name = heappop(self._next)
            unread = self._unread[name]
            content = unread.take()
            if content is not None:
                size += len(content)
                if records and size > MOST_BYTES:
                    heappush(self._next, (time_ns, name))
                    break
                records.append(Record(time_ns, content))
            self._find_time(name, unread)
        if len(records) == limit or size > MOST_BYTES:  # not all files may have been looked at
            self._at_ns = self._known.at_ns
        if not self._unread and self._at_ns == self._known.at_ns:
            return records, self._known
        return records, self._position()

    def _find_next(self, before_ns: int) -> bool:
        """Find the next line of all; tell whether there is one before that time."""
        while self._waiting:
            made_ns = time_of(self._waiting[0])
            if made_ns >= before_ns or (self._next and made_ns > self._next[0][0]):
                break
            self._begin(self._waiting.popleft())
        return bool(self._next) and self._next[0][0] < before_ns

    def _begin(self, name: str) -> None:
        offset = self._known.offset(name)
        path = f"{self._directory}/{name}"
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return
        self._offsets[name] = offset
        if found.st_size > offset:
            made_ns = time_of(name)
            complete = max(made_ns, found.st_mtime_ns) < self._complete_ns
            self._unread[name] = Unread(path, made_ns, offset, complete=complete, settled_ns=self._settled_ns)
            self._find_time(name, self._unread[name])

    def _find_time(self, name: str, unread: Unread) -> None:
        """Take note of the time of the next line, and that all before it need not be read again."""
        time_ns = unread.next_time()
        self._offsets[name] = unread.offset
        if time_ns is not None:
            heappush(self._next, (time_ns, name))

    def _position(self) -> Position:
        read, whole = {}, {}
        unfinished = {name for _, name in self._next}
        for name in self._names:
            key, offset = key_of(name), self._offsets.get(name)
            if offset is None:
                if key in self._known.whole:
                    whole[key] = self._known.whole[key]
                elif key in self._known.read:
                    read[key] = self._known.read[key]
            elif name not in unfinished and time_of(name) < self._complete_ns:
                whole[key] = offset
            elif offset:
                read[key] = offset
        return Position(self._at_ns, read, whole)
