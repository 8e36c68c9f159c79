"""Adds lines to the audit log, each exactly once, however many try at a time and whenever one of them is killed.

Where the journal was read to is marked in the segment, and one conditional write adds all lines of what was read and
sets the mark: both are stored, or neither is. Of two that write at a time the second one fails, as the end of the log
is not where it was. A segment that another one is to follow is sealed first, by a last line that says so: who takes it
for the end still fails, too.

The head is written afterwards. It tells verification how far the log had come, so that lines that are missing at the
end are found. Where the log ends before that, lines were removed: they are not replaced, so that the gap remains. It is
also with the journal's cursor, and in the memory of the process, so that a log that was removed as a whole is found.
"""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from drivers.base import ChangedError, PathExistsError
from registry.audit.chain import BEGINNING, MalformedLineError, link, mark, read, read_mark
from registry.audit.head import Head
from registry.audit.record import OK, SEAL, SEGMENT, day_of, record_of
from registry.audit.segments import Segment, Segments
from registry.foundation import times
from registry.foundation.recent import RecentlyUsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from drivers.base import StorageDriver
    from registry.audit.chain import Line
    from registry.journal.reader import Delivered

SEGMENT_BYTES: Final = 1024 * 1024
"""A segment that has as many is not added to any more."""
AFTER: Final = "after"
"""The member of the first line of a segment that names the segment before, and the hashes of it and its last line."""
_KNOWN_IDS: Final = 20_000
_log = logging.getLogger(__name__)


class OutrunError(Exception):
    """Another process has added to the log since this one has looked; nothing was added."""


@dataclass(frozen=True, slots=True)
class _End:
    """Where the log ends: the last `segment`, its `content`, and how many bytes of it are lines, before the mark.

    Nothing may be added to a segment that is `closed`.
    """

    head: Head
    segment: Segment | None = None
    content: bytes = b""
    lines: int = 0
    closed: bool = False


class Writer:
    """Adds to the audit log in a storage, for one thread. Every method raises DriverError if the storage fails."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        self._segments = Segments(driver)
        self._known: RecentlyUsed[str, bool] = RecentlyUsed(_KNOWN_IDS)
        self._end: _End | None = None
        self._stored: Head | None = None
        self._seen = Head()
        """How far the log had come by what this process knows, whatever is in the storage now."""

    @property
    def head(self) -> Head:
        """How far the log has come, as this process knows it; it looks if it does not."""
        return self._look().head

    @property
    def segment(self) -> Segment | None:
        """The last segment; None if there is none."""
        return self._look().segment

    @property
    def segment_size(self) -> int:
        """How many bytes the last segment has."""
        return len(self._look().content)

    def forget(self) -> None:
        """Look at the storage before anything else, as another process may have written meanwhile."""
        self._end = self._stored = None

    def add(self, entries: Iterable[Delivered], position: str) -> None:
        """Add a line for each of `entries`, with which the journal is read to `position`.

        Raises:
            OutrunError: another process has added something, perhaps these.
        """
        self._look()
        new = {each.entry.id: each for each in entries if each.entry.id not in self._known}
        if not new:
            return
        records = [record_of(*each) for each in new.values()]
        # The clock of a host that is wrong must not begin a day that is far from over.
        began_ns = min(time.time_ns(), next(iter(new.values())).time_ns)
        self._write(records, position, day_of(began_ns))
        for entry_id in new:
            self._known.put(entry_id, value=True)

    def note(self, action: str, kind: str, now_ns: int, **details: str) -> None:
        """Add a line about the log itself.

        Raises:
            OutrunError: as for add().
        """
        self._write([_own(action, kind, now_ns, details)], self.head.position, day_of(now_ns))

    def store_head(self) -> None:
        """Store how far the log has come, unless this process has done so."""
        head = self.head
        if head.seq and head != self._stored:
            head.store(self._driver)
            self._stored = head

    def _write(self, records: Sequence[dict[str, Any]], position: str, day: str) -> None:
        end = self._look()
        segment = end.segment
        if segment is None:
            # So a log never lacks a head, unless somebody has removed it.
            end.head.store(self._driver)
            segment = Segment(day, 1)
        elif not end.closed and (end.lines >= SEGMENT_BYTES or day > segment.day):
            seal = _own(SEAL, SEGMENT, time.time_ns(), {})
            end = replace(self._store(end, segment, [seal], end.head.position), closed=True)
        if end.closed:
            sealed = hashlib.sha256(end.content).hexdigest()
            records[0][AFTER] = {"segment": str(segment), "sha256": sealed, "hash": end.head.hash}
            segment = segment.next(day)
        self._end = self._store(end, segment, records, position)

    def _store(self, end: _End, segment: Segment, records: Sequence[dict[str, Any]], position: str) -> _End:
        """Add lines to `segment`, which is the last one or a new one, and return that as the end."""
        # Whatever happens to the call, the storage knows what came of it.
        self._end = None
        is_new = segment != end.segment
        seq, previous = end.head.seq, end.head.hash
        added = []
        for record in records:
            seq += 1
            line, previous = link(previous, {**record, "seq": seq})
            added.append(line + b"\n")
        lines = (b"" if is_new else end.content[: end.lines]) + b"".join(added)
        content = lines + mark(previous, position) + b"\n"
        try:
            if is_new:
                self._driver.create(segment.path, content)
            else:
                self._driver.replace(segment.path, content, expected=end.content)
        except (ChangedError, PathExistsError) as error:
            raise OutrunError(str(segment)) from error
        self._seen = Head(seq, previous, str(segment), position)
        return _End(self._seen, segment, content, len(lines))

    def _look(self) -> _End:
        if self._end is None:
            self._end = self._find()
            self._seen = self._end.head
        return self._end

    def _find(self) -> _End:
        """Return where the log ends, by what is stored."""
        self._stored = Head.load(self._driver)
        found = self._stored or Head.of_cursor(self._driver) or Head()
        head = max(found, self._seen, key=lambda each: each.seq)
        start = Segment.parse(head.segment) if head.segment else None
        # The last but one, too, as the journal may give an entry again.
        before = start and replace(start, number=max(1, start.number - 1))
        content = b""
        latest = deque(self._segments.all(before), maxlen=2)
        for segment in latest:
            content = self._segments.read(segment)
            for line in lines_of(content):
                self._known.put(str(line.record.get("id")), value=True)
        if latest:
            return _ending(head, latest[-1], content)
        if head.seq:
            _log.error("the audit log was removed, which had come to line %d: see `registry audit verify`", head.seq)
        return _End(head, start, closed=start is not None)


def lines_of(content: bytes) -> Iterator[Line]:
    """Yield the lines of a segment that can be read."""
    for each in content.split(b"\n"):
        with suppress(MalformedLineError):
            yield read(each)


def marked_position(content: bytes) -> str:
    """Return where the journal was read to when `content` was stored as a segment; "" if that cannot be told."""
    *lines, marked, _ = [b"", b"", *content.split(b"\n")]
    try:
        return read_mark(marked, read(lines[-1]).hash)
    except MalformedLineError:
        return ""


def beginning_of(content: bytes) -> tuple[int, str]:
    """Return the number of the first line of a segment, and the hash of the line before, by what that says.

    Both are "nothing", 0 and "", if it cannot be read.
    """
    first = next(lines_of(content), None)
    return (first.seq, hash_before(first)) if first else (0, "")


def hash_before(first: Line) -> str:
    """Return the hash of the line before the `first` one of a segment, by what that says; "" if it does not."""
    return BEGINNING if first.seq == 1 else of_segment_before(first, "hash")


def of_segment_before(first: Line, name: str) -> str:
    """Return what the `first` line of a segment says of the segment before; "" if nothing."""
    after = first.record.get(AFTER)
    return str(after.get(name, "")) if isinstance(after, dict) else ""


def _ending(head: Head, segment: Segment, content: bytes) -> _End:
    """Return the end of a log that had come to `head`, or farther, and whose last segment has `content`."""
    *lines, marked, behind = [b"", b"", *content.split(b"\n")]
    with suppress(MalformedLineError):
        last = read(lines[-1])
        position = read_mark(marked, last.hash)
        if not behind and (last.seq > head.seq or (last.seq, last.hash) == (head.seq, head.hash)):
            length = len(content) - len(marked) - 1
            found = Head(last.seq, last.hash, str(segment), position)
            return _End(found, segment, content, length, closed=last.record.get("action") == SEAL)
    _log.error("the audit log was changed at its end, in %s: see `registry audit verify`", segment)
    latest = max(lines_of(content), key=lambda line: line.seq, default=None)
    if latest and latest.seq > head.seq:
        head = replace(head, seq=latest.seq, hash=latest.hash)
    return _End(replace(head, segment=str(segment)), segment, content, closed=True)


def _own(action: str, kind: str, now_ns: int, details: Mapping[str, str]) -> dict[str, Any]:
    """Return what is recorded of the log itself."""
    about = {"action": action, "kind": kind, "outcome": OK, "actor": "registry"}
    return {
        "time": times.spell(now_ns),
        "id": str(uuid.uuid4()),
        **about,
        **({"details": dict(details)} if details else {}),
    }
