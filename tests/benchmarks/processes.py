"""What a tree of processes costs, from /proc: CPU time and memory."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.25
_TIMES = slice(11, 15)
"""utime, stime, cutime and cstime among the fields of /proc/PID/stat that follow the command."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes: `rss` counts shared pages once for each process, `pss` divides them among those that share.

    `largest` is the PSS of the process that has most: of ours a worker, of a registry in Go all of it.
    """

    rss: int = 0
    pss: int = 0
    largest: int = 0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss, max(self.largest, other.largest))

    def peak(self, other: Memory) -> Memory:
        """Return the larger of each."""
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss), max(self.largest, other.largest))


def tree(*roots: int) -> list[int]:
    """Return the pids in `roots` and of all their descendants."""
    found = list(roots)
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(*roots: int) -> float:
    """Return user and system time of the trees so far, with that of processes in them that have ended."""
    return sum(_cpu_ticks(pid) for pid in tree(*roots)) / _TICKS_PER_SECOND


def memory(*roots: int) -> Memory:
    """Return the memory of the trees now."""
    return sum((_memory_of(pid) for pid in tree(*roots)), Memory())


class PeakMemory:
    """A block during which the memory of the trees is sampled; `peak` is the most that was seen."""

    def __init__(self, roots: Sequence[int]) -> None:
        self.peak = Memory()
        self._roots = roots
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.peak = self.peak.peak(memory(*self._roots))
            if self._done.wait(_SAMPLE_SECONDS):
                break


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[_TIMES]))


def _memory_of(pid: int) -> Memory:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return Memory()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    pss = kib.get("Pss", 0) * 1024
    return Memory(kib.get("Rss", 0) * 1024, pss, pss)
