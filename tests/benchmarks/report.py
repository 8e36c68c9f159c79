"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.measuring import Measurement

_HEADS = (
    "row",
    "place",
    "server",
    "CPU/request",
    "requests/s",
    "p50",
    "p99",
    "peak RSS",
    "peak PSS",
    "CPU, ours to this",
    "rate, ours to this",
)
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


@dataclass(frozen=True, slots=True)
class Key:
    """What was measured: a row at a place."""

    row: str
    place: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours to a peer's over the rounds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


@dataclass(slots=True)
class Report:
    """Measurements by row, place, server and round; `ours` is the server that the others are compared with."""

    ours: str
    facts: dict[str, object]
    results: dict[Key, dict[str, list[Measurement]]] = field(default_factory=dict)

    def add(self, key: Key, server: str, measurement: Measurement) -> None:
        """Take in one round."""
        self.results.setdefault(key, {}).setdefault(server, []).append(measurement)

    def ratio(self, key: Key, peer: str, value: Callable[[Measurement], float]) -> Ratio | None:
        """Return ours to `peer` in `value`, round by round; None where one of them is missing or spent nothing."""
        mine, theirs = (self.results[key].get(name, []) for name in (self.ours, peer))
        ratios = [value(a) / value(b) for a, b in zip(mine, theirs, strict=False) if value(b)]
        return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None

    def lines(self, key: Key) -> Iterator[str]:
        """Yield the table's lines of one row."""
        for server, rounds in self.results[key].items():
            cells = [key.row, key.place, server, *_figures(rounds)]
            if server != self.ours:
                cells += [_shown(self.ratio(key, server, value)) for value in (_cpu, _rate)]
            yield _line(cells + [""] * (len(_HEADS) - len(cells)))

    def table(self) -> str:
        """Return everything as a Markdown table, with the peak memory of each server below."""
        lines = [*head(), *(line for key in self.results for line in self.lines(key))]
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([*facts, "", *lines, "", *self._peaks()]) + "\n"

    def document(self) -> str:
        """Return everything as JSON, round by round."""
        rows = [
            {"row": key.row, "place": key.place, "server": name, "rounds": [asdict(each) for each in rounds]}
            for key, servers in self.results.items()
            for name, rounds in servers.items()
        ]
        return json.dumps({"ours": self.ours, "facts": self.facts, "rows": rows}, indent=1) + "\n"

    def _peaks(self) -> Iterator[str]:
        peaks: dict[str, int] = {}
        for servers in self.results.values():
            for name, rounds in servers.items():
                peaks[name] = max(peaks.get(name, 0), *(each.memory.pss for each in rounds))
        for name, pss in peaks.items():
            yield f"Peak PSS of {name} under all rows: {_mib(pss)}"


def head() -> list[str]:
    """Return the first lines of the table."""
    return [_line(list(_HEADS)), _line(["---"] * len(_HEADS))]


def duration(seconds: float) -> str:
    """Return `seconds` in a unit that fits, with three digits."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 999.5 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _figures(rounds: list[Measurement]) -> list[str]:
    return [
        duration(median(map(_cpu, rounds))),
        f"{median(map(_rate, rounds)):.4g}",
        duration(median(each.p50 for each in rounds)),
        duration(median(each.p99 for each in rounds)),
        _mib(max(each.memory.rss for each in rounds)),
        _mib(max(each.memory.pss for each in rounds)),
    ]


def _cpu(measurement: Measurement) -> float:
    return measurement.cpu_per_request


def _rate(measurement: Measurement) -> float:
    return measurement.rate


def _mib(size: int) -> str:
    return f"{size / 1024**2:.0f} MiB"


def _shown(ratio: Ratio | None) -> str:
    return str(ratio) if ratio else "-"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
