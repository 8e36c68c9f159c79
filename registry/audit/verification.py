"""Tells whether the audit log is what was written: no line changed, removed, added or put into another order."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.audit.chain import BEGINNING, MalformedLineError, read, read_mark
from registry.audit.head import Head
from registry.audit.record import TRIM
from registry.audit.segments import MOST_BYTES, Segments
from registry.audit.writer import hash_before, of_segment_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from drivers.base import StorageDriver
    from registry.audit.chain import Line
    from registry.audit.segments import Segment

MOST_FINDINGS: Final = 100
"""As many are told of; the others are counted."""
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: in a segment, "" for the whole log, at the line of that number in it, 0 for all of them."""

    segment: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.segment}:{self.line}" if self.line else self.segment
        return f"{where}: {self.text}" if where else self.text


@dataclass(slots=True)
class Verdict:
    """What was found. `first` and `seq` are the numbers of the first line and the last one, whose hash is `hash`."""

    lines: int = 0
    segments: int = 0
    first: int = 0
    seq: int = 0
    hash: str = BEGINNING
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Findings that are not among those."""


def verify(driver: StorageDriver, *, known_hash: str = "", tell: Callable[[Segment], None]) -> Verdict:
    """Return what is wrong with the audit log of a storage; a registry may add to it and trim it meanwhile.

    `known_hash` is that of a line that has to be there, "" for none. `tell` is told of each segment.

    Raises:
        DriverError: the storage cannot be read.
    """
    for _ in range(_ATTEMPTS):
        # The head first: what is added from now on lies behind it.
        walk = _Walk(Head.load(driver), Head.of_cursor(driver) or Head(), known_hash)
        segments = Segments(driver)
        for segment in segments.all():
            tell(segment)
            with suppress(PathNotFoundError):  # it was deleted after it was listed
                walk.read_segment(segment, segments.read(segment))
        walk.conclude()
        if not (walk.verdict.findings and walk.has_been_trimmed):
            break
    return walk.verdict


class _Walk:
    """Goes through the lines in order."""

    def __init__(self, head: Head | None, told: Head, known_hash: str) -> None:
        self.verdict = Verdict()
        self._is_headless = head is None
        # `told` is what the journal knows of it, which is seldom later, and there if all of the log was removed.
        self._head = max(head or told, told, key=lambda each: each.seq)
        self._known_hash = known_hash
        self._has_head = self._has_known = False
        self._previous: str | None = None
        """The hash of the line before; None if that is not known."""
        self._sealed: tuple[Segment, str] | None = None
        """The segment before, and the hash of it."""
        self._first_hash = ""
        """The hash before the first line, by what that says."""
        self._begins = 1
        """The number of the line that the log begins with, by what it says itself."""

    @property
    def has_been_trimmed(self) -> bool:
        """Whether the log says that some of what was read was to be deleted; perhaps it was, while it was read."""
        return self.verdict.first < self._begins

    def read_segment(self, segment: Segment, content: bytes) -> None:
        self.verdict.segments += 1
        if not content:
            self._find(segment, 0, f"was changed: it is empty, or has more than {MOST_BYTES} bytes")
        *lines, marked, behind = [b"", *content.split(b"\n")]
        for number, each in enumerate(lines[1:], 1):
            try:
                line = read(each)
            except MalformedLineError as error:
                self._find(segment, number, f"was changed: it {error}")
                self._advance(self.verdict.seq + 1, None)
                continue
            if number == 1:
                self._check_segment_before(segment, line)
            self._check(segment, number, line)
        if content:
            self._check_mark(segment, max(len(lines), 1), marked, behind)
        self._sealed = segment, hashlib.sha256(content).hexdigest()

    def conclude(self) -> None:
        verdict, head = self.verdict, self._head
        if verdict.lines and verdict.first > self._begins:
            self._find(None, 0, f"{_lines(self._begins, verdict.first - 1)} missing at the beginning")
        if self._is_headless and (verdict.lines or head.seq):
            self._find(None, 0, "the head of the log is missing or malformed: lines may be missing at the end")
        if head.seq > verdict.seq:
            self._find(None, 0, f"{_lines(verdict.seq + 1, head.seq)} missing at the end")
        elif head.seq and not self._has_head:
            self._find(None, 0, f"line {head.seq} is not what it was when the head of the log was written")
        if self._known_hash and not self._has_known:
            self._find(None, 0, f"no line has the hash {self._known_hash}")

    def _check_segment_before(self, segment: Segment, line: Line) -> None:
        if self._sealed is None:
            self.verdict.first, self.verdict.seq = line.seq, line.seq - 1
            self._previous = self._first_hash = hash_before(line)
            return
        before, digest = self._sealed
        if (of_segment_before(line, "segment"), of_segment_before(line, "sha256")) != (str(before), digest):
            self._find(segment, 1, f"does not follow {before} as that is now")

    def _check_mark(self, segment: Segment, number: int, marked: bytes, behind: bytes) -> None:
        try:
            if self._previous is not None:
                read_mark(marked, self._previous)
        except MalformedLineError as error:
            self._find(segment, number, f"lines were removed or changed: this one {error}")
        if behind:
            self._find(segment, number + 1, "breaks off in the middle of a line")

    def _check(self, segment: Segment, number: int, line: Line) -> None:
        expected = self.verdict.seq + 1
        if line.seq != expected:
            what = f"has the number {line.seq} where {expected} belongs: lines were removed, added or moved"
            self._find(segment, number, what)
        elif self._previous is not None and not line.follows(self._previous):
            self._find(segment, number, f"line {line.seq} or the one before it was changed: the hash is not theirs")
        if line.seq == self._head.seq:
            self._has_head = line.hash == self._head.hash
        self._has_known |= line.hash == self._known_hash
        if line.record.get("action") == TRIM:
            self._note_beginning(line.record)
        self._advance(line.seq, line.hash)

    def _advance(self, seq: int, digest: str | None) -> None:
        self.verdict.lines += 1
        self.verdict.seq = seq
        self._previous = digest
        self.verdict.hash = digest or self.verdict.hash

    def _note_beginning(self, record: Mapping[str, Any]) -> None:
        """Take note of where the log begins since lines became too old, of which the last may still be there."""
        details = record.get("details", {})
        try:
            self._begins = int(details["seq"])
        except (KeyError, TypeError, ValueError):
            return
        if self.verdict.first == self._begins and self._first_hash != details.get("hash"):
            self._find(None, 0, f"line {self._begins} does not follow the one that was deleted before it")

    def _find(self, segment: Segment | None, number: int, text: str) -> None:
        verdict = self.verdict
        if len(verdict.findings) < MOST_FINDINGS:
            verdict.findings.append(Finding(str(segment) if segment else "", number, text))
        else:
            verdict.more += 1


def _lines(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
