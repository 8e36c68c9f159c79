"""Audit logs as tests write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.audit.segments import Segments
from registry.audit.writer import lines_of
from registry.journal.entry import MANIFEST, PUSH, Entry, Origin
from registry.journal.reader import Delivered

if TYPE_CHECKING:
    from drivers.base import StorageDriver

DAY_NS = 24 * 3600 * 1_000_000_000
NOON_NS = 1_764_244_800 * 1_000_000_000  # 2025-11-27 12:00 UTC


def delivered(number: int, *, at_ns: int = NOON_NS, note: str = "") -> Delivered:
    origin = Origin(actor="alice", client="192.0.2.1", user_agent=note)
    return Delivered(at_ns + number, Entry(f"id-{number}", PUSH, MANIFEST, repository=f"team/{number}", origin=origin))


def lines(driver: StorageDriver) -> list[bytes]:
    segments = Segments(driver)
    return [line.line for each in segments.all() for line in lines_of(segments.read(each))]
