"""The lines of all files of a log, merged by their times."""

# A string is passed to the system call as it is; to make a Path costs more than the call.
# ruff: noqa: PTH116

from __future__ import annotations

import json
import os
import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from drivers.filesystem.appending import AGE_NS, NAME, time_of
from drivers.filesystem.unread import Unread
from drivers.log import MOST_BYTES, Page, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMPLETE_NS: Final = 2 * AGE_NS
"""How long after its making nobody appends to a file any more: clocks may be an hour apart."""

_SETTLING_NS: Final = 60 * 1_000_000_000
"""How long after it was written a line may be seen in part: network file systems remember attributes for so long."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far files have been read, by their names; all others that were made before `since_ns` were read whole."""

    since_ns: int = 0
    offsets: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, text: str) -> Position:
        """Return the position of that text; the first one if it is "" or that of another medium."""
        try:
            read = json.loads(text or "{}")
            offsets = {name: int(offset) for name, offset in read["read"].items() if NAME.fullmatch(name)}
            return cls(int(read["since"]), offsets)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps({"since": self.since_ns, "read": self.offsets}, separators=(",", ":"))

    def unread(self, names: Sequence[str]) -> list[str]:
        """Return those of `names`, which are sorted, of which there may be more to read."""
        new = bisect_left(names, _first_since(self.since_ns))
        return [*(name for name in names[:new] if name in self.offsets), *names[new:]]


class Merge:
    """Reads on behind `known` in the files `names` of `directory`, which are sorted.

    A file is looked at only when its turn comes: no line is older than its file.
    """

    def __init__(self, directory: str, names: Sequence[str], known: Position) -> None:
        now_ns = time.time_ns()
        if known.since_ns > now_ns - AGE_NS:  # the clock was ahead: files may have been left that are not complete
            known = Position(now_ns - COMPLETE_NS, known.offsets)
        self._directory = directory
        self._known = known
        self._complete_ns = now_ns - COMPLETE_NS
        self._settled_ns = now_ns - _SETTLING_NS
        self._waiting = deque(known.unread(names))
        self._offsets: dict[str, int] = {}
        """Of the files that were looked at."""
        self._unread: dict[str, Unread] = {}
        """What is left of those to read, and what was read of them now."""
        self._next: list[tuple[int, str]] = []
        """A heap of the times of the next lines, and their files."""

    def page(self, before_ns: int, limit: int) -> Page:
        """Return what Log.after() does."""
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
        return Page(records, self._position().dump())

    def _find_next(self, before_ns: int) -> bool:
        """Find the next line of all; tell whether there is one before that time."""
        while self._waiting:
            made_ns = time_of(self._waiting[0])
            if made_ns >= before_ns or (self._next and made_ns > self._next[0][0]):
                break
            self._begin(self._waiting.popleft())
        return bool(self._next) and self._next[0][0] < before_ns

    def _begin(self, name: str) -> None:
        offset = self._known.offsets.get(name, 0)
        path = f"{self._directory}/{name}"
        try:
            grown = os.stat(path).st_size > offset
        except FileNotFoundError:
            return
        self._offsets[name] = offset
        if grown:
            made_ns = time_of(name)
            complete = made_ns < self._complete_ns
            self._unread[name] = Unread(path, made_ns, offset, complete=complete, settled_ns=self._settled_ns)
            self._find_time(name, self._unread[name])

    def _find_time(self, name: str, unread: Unread) -> None:
        """Take note of the time of the next line, and that all before it need not be read again."""
        time_ns = unread.next_time()
        self._offsets[name] = unread.offset
        if time_ns is not None:
            heappush(self._next, (time_ns, name))

    def _position(self) -> Position:
        since_ns = min(self._complete_ns, time_of(self._waiting[0])) if self._waiting else self._complete_ns
        since_ns = max(since_ns, self._known.since_ns)
        offsets = {name: self._known.offsets[name] for name in self._waiting if name in self._known.offsets}
        first, unfinished = _first_since(since_ns), {name for _, name in self._next}
        offsets |= {
            name: offset for name, offset in self._offsets.items() if name in unfinished or (name >= first and offset)
        }
        return Position(since_ns, offsets)


def _first_since(time_ns: int) -> str:
    """Return what comes before the names of all files that were made at that time or later, and behind all others."""
    return f"{time_ns:019}"
