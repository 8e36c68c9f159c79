"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tests.benchmarks.measuring import Measurement
    from tests.benchmarks.processes import Memory

_HEADS = (
    "row",
    "place",
    "server",
    "CPU/request (best)",
    "requests/s",
    "p50",
    "p99",
    "peak RSS",
    "peak PSS",
    "CPU, ours to this",
    "rate, ours to this",
    "p50, ours to this",
)
_MIB = 1024**2
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


@dataclass(frozen=True, slots=True)
class Key:
    """What was measured: a row at a place."""

    row: str
    place: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of ours to a peer's over the rounds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


@dataclass(frozen=True, slots=True)
class Start:
    """How many seconds a server took until it answered, and its memory before it had anything to do."""

    seconds: float
    memory: Memory


@dataclass(slots=True)
class Peaks:
    """The largest PSS of a server's process tree under all rows of a place, in bytes, by round.

    `worker` is that of its largest process in all rounds, `start` how it began, if that was looked at.
    """

    place: str
    server: str
    start: Start | None = None
    pss: dict[int, int] = field(default_factory=dict)
    worker: int = 0

    @property
    def most(self) -> int:
        """The most of all rounds."""
        return max(self.pss.values())

    @property
    def last_to_second(self) -> float | None:
        """How much it grew once it was warm: 1 is flat. None before the third round."""
        last = max(self.pss)
        return self.pss[last] / self.pss[2] if last > 2 and self.pss.get(2) else None

    def take(self, number: int, measurement: Measurement) -> None:
        """Take in what was measured in the round of that number, unless the row has a server of its own."""
        if not measurement.apart:
            self.pss[number] = max(self.pss.get(number, 0), measurement.memory.pss)
            self.worker = max(self.worker, measurement.memory.largest)


@dataclass(slots=True)
class Report:
    """Measurements by row, place, server and round; `ours` is the server that the others are compared with.

    `starts` are those of servers, by place and name.
    """

    ours: str
    facts: dict[str, object]
    results: dict[Key, dict[str, dict[int, Measurement]]] = field(default_factory=dict)
    starts: dict[tuple[str, str], Start] = field(default_factory=dict)

    def add(self, key: Key, server: str, number: int, measurement: Measurement) -> None:
        """Take in a row's measurement in the round of that number."""
        self.results.setdefault(key, {}).setdefault(server, {})[number] = measurement

    def ratio(self, key: Key, peer: str, value: Callable[[Measurement], float]) -> Ratio | None:
        """Return the ratio of our `value` to that of `peer`, round by round; None where one is missing or zero."""
        mine, theirs = (self.results[key].get(name, {}) for name in (self._base(key), peer))
        both = [(mine[number], theirs[number]) for number in mine if number in theirs]
        ratios = [value(a) / value(b) for a, b in both if value(b)]
        return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None

    def _base(self, key: Key) -> str:
        """Return whom the others are compared with in a row: the first one, where ours is not measured."""
        return self.ours if self.ours in self.results[key] else next(iter(self.results[key]))

    def lines(self, key: Key) -> Iterator[str]:
        """Yield the table's lines of one row."""
        for server, rounds in self.results.get(key, {}).items():
            cells = [key.row, key.place, server, *_figures(rounds.values())]
            if server != self._base(key):
                cells += [_shown(self.ratio(key, server, value)) for value in (_cpu, _rate, _p50)]
            yield _line(cells + [""] * (len(_HEADS) - len(cells)))

    def progress(self, key: Key, number: int) -> str:
        """Return what a row cost in one round, in a line."""
        rounds = self.results.get(key, {}).items()
        costs = [f"{server} {duration(_cpu(each[number]))}" for server, each in rounds if number in each]
        return f"round {number}, {key.row} at {key.place}: {', '.join(costs) or 'nobody'}"

    def table(self) -> str:
        """Return everything as Markdown: a line for each row, place and server, and the peaks of memory below."""
        lines = [*head(), *(line for key in self.results for line in self.lines(key))]
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([*facts, "", *lines, "", *self.memory_lines(), *self.upstream_lines()]) + "\n"

    def document(self) -> str:
        """Return everything as JSON, round by round."""
        rows = [
            {
                "row": key.row,
                "place": key.place,
                "server": name,
                "rounds": [{"round": number, **asdict(each)} for number, each in rounds.items()],
            }
            for key, servers in self.results.items()
            for name, rounds in servers.items()
        ]
        memory = [asdict(each) | {"last_to_second": each.last_to_second} for each in self.peaks()]
        return json.dumps({"ours": self.ours, "facts": self.facts, "rows": rows, "memory": memory}, indent=1) + "\n"

    def peaks(self) -> list[Peaks]:
        """Return the peaks of every server at every place."""
        found: dict[tuple[str, str], Peaks] = {}
        for key, servers in self.results.items():
            for name, rounds in servers.items():
                start = self.starts.get((key.place, name))
                peaks = found.setdefault((key.place, name), Peaks(key.place, name, start))
                for number, each in rounds.items():
                    peaks.take(number, each)
        return [each for each in found.values() if each.pss]

    def memory_lines(self) -> Iterator[str]:
        """Yield a Markdown table of the peaks."""
        peaks = self.peaks()
        numbers = sorted({number for each in peaks for number in each.pss})
        mine = {each.place: each.most for each in peaks if each.server == self.ours}
        heads = ["place", "server", *map(str, numbers), "most", "last to second", "most, ours to this"]
        heads += ["worker, most", "worker, start", "all, start", "start until the first answer"]
        yield "Peak PSS of a server's process tree under all rows, by round of the same processes, in MiB. A worker is"
        yield "the largest process of ours, and all of a registry in Go. At the start they have served one GET /v2/."
        yield from ("", _line(heads), _line(["---"] * len(heads)))
        for each in peaks:
            sizes = [f"{each.pss[number] / _MIB:.1f}" if number in each.pss else "-" for number in numbers]
            ratio = f"{mine[each.place] / each.most:.2f}" if each.server != self.ours and each.place in mine else ""
            growth = "-" if each.last_to_second is None else f"{each.last_to_second:.3f}"
            begun = _start(each.start) if each.start else ["-"] * 3
            most = [f"{each.most / _MIB:.1f}", growth, ratio, f"{each.worker / _MIB:.1f}"]
            yield _line([each.place, each.server, *sizes, *most, *begun])

    def upstream_lines(self) -> Iterator[str]:
        """Yield a Markdown table of what upstreams and stores behind relays were asked; nothing if there are none."""
        asking = [
            (key, server, [each for each in rounds.values() if each.asked])
            for key, servers in self.results.items()
            for server, rounds in servers.items()
        ]
        heads = ["row", "place", "server", "requests behind it", "for each request", "MiB from there", "RSS gained"]
        if any(found for *_, found in asking):
            yield from (
                "",
                "What was asked of upstreams, and of stores that are far away, median of the rounds.",
                "",
            )
            yield from (_line(heads), _line(["---"] * len(heads)))
        for key, server, found in asking:
            if found:
                yield _line([key.row, key.place, server, *_asked(found)])


def head() -> list[str]:
    """Return the first lines of the table."""
    return [_line(list(_HEADS)), _line(["---"] * len(_HEADS))]


def duration(seconds: float) -> str:
    """Return `seconds` in a unit that fits, with three digits."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 999.5 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _figures(rounds: Collection[Measurement]) -> list[str]:
    return [
        f"{duration(median(map(_cpu, rounds)))} ({duration(min(map(_cpu, rounds)))})",
        f"{median(map(_rate, rounds)):.4g}",
        duration(median(each.p50 for each in rounds)),
        duration(median(each.p99 for each in rounds)),
        _mib(max(each.memory.rss for each in rounds)),
        _mib(max(each.memory.pss for each in rounds)),
    ]


def _start(start: Start) -> list[str]:
    sizes = (start.memory.largest, start.memory.pss)
    return [*(f"{size / _MIB:.1f}" for size in sizes), duration(start.seconds)]


def _asked(rounds: Collection[Measurement]) -> list[str]:
    traffic = [(each.asked, each) for each in rounds if each.asked]
    return [
        f"{median(asked.requests for asked, _ in traffic):g}",
        f"{median(asked.requests / each.requests for asked, each in traffic):.3g}",
        f"{median(asked.size for asked, _ in traffic) / _MIB:.4g}",
        _mib(max(each.grown for each in rounds)),
    ]


def _cpu(measurement: Measurement) -> float:
    return measurement.cpu_per_request


def _rate(measurement: Measurement) -> float:
    return measurement.rate


def _p50(measurement: Measurement) -> float:
    return measurement.p50


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"


def _shown(ratio: Ratio | None) -> str:
    return str(ratio) if ratio else "-"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
