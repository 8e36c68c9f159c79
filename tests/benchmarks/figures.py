"""The tables of docs/performance.md: ``python -m tests.benchmarks.figures build/bench/bench.json``.

One for each place of a run, with what ours cost, what the other did, their ratio with the least and the most of the
rounds, and whether it is what was aimed at.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.report import Ratio, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Rounds = list[dict[str, Any]]
"""What was measured of one server under one row, as the document of a report has it."""

_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Aim:
    """The ratios to registry:3 that a row is to have: CPU and p50 at most, requests per second at least."""

    cpu: float | None = None
    rate: float | None = None
    p50: float | None = None


_READS: Final = ("manifest-get-tag", "manifest-get-digest", "manifest-head-tag", "manifest-head-digest")
_HUGE: Final = ("push-huge-put", "push-huge-patch")
AIMS: Final[dict[str, dict[str, Aim]]] = {
    "tmpfs": {
        **dict.fromkeys((*_READS, "blob-head", "tags-page-few", "tags-page-many", "catalog-page"), Aim(cpu=1.0)),
        "base": Aim(cpu=1.5),
        "catalog-page-small": Aim(cpu=1.0),
        "blob-get-4k": Aim(cpu=0.33),
        "blob-get-1m": Aim(cpu=0.5),
        **dict.fromkeys(("blob-get-large-1", "blob-get-large-4", "blob-get-large-32"), Aim(rate=1.0)),
        **dict.fromkeys(("push-4k-put", "manifest-put"), Aim(cpu=1.0, rate=1.0)),
        **dict.fromkeys(("push-4k-patch", "push-1m", "image-push", "image-pull"), Aim(rate=1.0)),
        **dict.fromkeys(_HUGE, Aim(cpu=0.35, rate=2.5)),
        "push-huge-4": Aim(cpu=0.35, rate=1.5),
    },
    "nginx": {
        **dict.fromkeys(_READS, Aim(cpu=0.9)),
        **dict.fromkeys(("blob-get-large-1", "blob-get-large-4", "blob-get-large-32"), Aim(rate=1.5)),
        **dict.fromkeys(("image-push", "image-pull"), Aim(rate=1.0)),
    },
    "disk": dict.fromkeys(("push-4k-put", "push-4k-patch", "push-1m", "manifest-put"), Aim(rate=1.0)),
    "s3": {
        **dict.fromkeys(_READS, Aim(cpu=1.0, rate=1.0)),
        "blob-head": Aim(cpu=1.5),
        **dict.fromkeys(("blob-get-4k", "blob-get-1m", "blob-get-range"), Aim(cpu=0.8)),
        **dict.fromkeys(("push-4k-put", "push-1m", "manifest-put"), Aim(rate=1.0)),
    },
}
"""By place and row; every row over a store that is far away has `_FAR`."""
_FAR: Final = Aim(p50=1.0)
_AIMED_AT: Final = "v3"
"""Whom the targets are for: another is compared without."""

TITLES: Final = {
    "base": "`GET /v2/`",
    "manifest-get-tag": "manifest GET by tag",
    "manifest-get-digest": "manifest GET by digest",
    "manifest-head-tag": "manifest HEAD by tag",
    "manifest-head-digest": "manifest HEAD by digest",
    "manifest-get-htpasswd": "manifest GET, htpasswd",
    "manifest-get-token": "manifest GET, token",
    "blob-head": "blob HEAD",
    "blob-get-4k": "blob GET 4 KiB",
    "blob-get-1m": "blob GET 1 MiB",
    "blob-get-large-1": "blob GET 200 MiB, 1 client",
    "blob-get-large-4": "blob GET 200 MiB, 4 clients",
    "blob-get-large-32": "blob GET 200 MiB, 32 clients",
    "blob-get-range": "range GET of 64 KiB",
    "push-4k": "push 4 KiB, POST + PUT",
    "push-4k-put": "push 4 KiB, POST + PUT",
    "push-4k-patch": "push 4 KiB, POST + PATCH + PUT",
    "push-1m": "push 1 MiB",
    "manifest-put": "manifest PUT",
    "push-chunks": "64 MiB in chunks of 1 MiB",
    "push-large-put": "push 200 MiB",
    "push-huge-put": "push 1 GiB, POST + PUT",
    "push-huge-patch": "push 1 GiB, POST + PATCH + PUT",
    "push-huge-4": "push 1 GiB, four streams",
    "tags-page-few": "tags/list, page of 5,000 tags",
    "tags-page-many": "tags/list, page of 50,000 tags",
    "catalog-page": "_catalog, page of 20,000 repositories",
    "catalog-page-small": "_catalog, all of 20 repositories",
    "image-push": "whole-image push by skopeo",
    "image-pull": "whole-image pull by skopeo",
    "idle-connections": "manifest GET beside 256 idle connections",
    "start": "start until the first answer",
}


def tables(document: Mapping[str, Any], peer: str) -> Iterator[str]:
    """Yield the lines for all places of a report's document, compared with `peer`."""
    facts = document["facts"]
    yield f"Processor: {facts.get('processor', 'unknown')}; {facts.get('cores', '?')} cores; {facts.get('date', '')}."
    for place in dict.fromkeys(row["place"] for row in document["rows"]):
        servers: dict[str, dict[str, Rounds]] = {}
        for row in document["rows"]:
            if row["place"] == place:
                servers.setdefault(row["row"], {})[row["server"]] = row["rounds"]
        yield from ("", f"{place}:", "")
        if place == "s3-far":
            yield from _far_lines(document["ours"], peer, servers)
        else:
            aims = AIMS.get(place, {}) if peer == _AIMED_AT else {}
            yield from _lines(aims, document["ours"], peer, servers)
    yield from ("", "Memory (PSS) and start:", "", *_memory_lines(document["ours"], peer, document["memory"]))


def _lines(aims: Mapping[str, Aim], ours: str, peer: str, servers: Mapping[str, Mapping[str, Rounds]]) -> Iterator[str]:
    heads = ("row", "ours, CPU", f"{peer}, CPU", "CPU ratio", "target", "ratio of requests/s", "target")
    yield from _head(heads)
    for row, rounds in servers.items():
        aim = aims.get(row, Aim())
        mine, theirs = rounds.get(ours, []), rounds.get(peer, [])
        cpu, rate = _ratio(mine, theirs, _cpu), _ratio(mine, theirs, _rate)
        costs = [_middle(mine, _cpu), _middle(theirs, _cpu)]
        yield _line([TITLES.get(row, row), *costs, *_judged(cpu, aim.cpu, "<="), *_judged(rate, aim.rate, ">=")])


def _far_lines(ours: str, peer: str, servers: Mapping[str, Mapping[str, Rounds]]) -> Iterator[str]:
    heads = ("row", "clients", "ours, p50", f"{peer}, p50", "ratio", "target", "calls of the store", f"of {peer}")
    yield from _head(heads)
    for row, rounds in servers.items():
        name, _, clients = row.removeprefix("far-").rpartition("-")
        mine, theirs = rounds.get(ours, []), rounds.get(peer, [])
        waits = [_middle(mine, _p50), _middle(theirs, _p50)]
        judged = _judged(_ratio(mine, theirs, _p50), _FAR.p50 if peer == _AIMED_AT else None, "<=")
        yield _line([TITLES.get(name, name), clients, *waits, *judged, _calls(mine), _calls(theirs)])


def _memory_lines(ours: str, peer: str, memory: list[dict[str, Any]]) -> Iterator[str]:
    yield from _head(
        ("place", "a worker, start", "a worker, most", "all, most", f"{peer}, most", "start", f"{peer}, start")
    )
    servers = {(each["place"], each["server"]): each for each in memory}
    for place in dict.fromkeys(each["place"] for each in memory):
        mine, theirs = servers.get((place, ours)), servers.get((place, peer))
        if mine:
            begun = _mib(mine["start"]["memory"]["largest"]) if mine["start"] else "-"
            cells = [begun, _mib(mine["worker"]), _most(mine), _most(theirs)]
            yield _line([place, *cells, _started(mine), _started(theirs)])


def _most(peaks: dict[str, Any] | None) -> str:
    return _mib(max(peaks["pss"].values())) if peaks else "-"


def _started(peaks: dict[str, Any] | None) -> str:
    return duration(peaks["start"]["seconds"]) if peaks and peaks["start"] else "-"


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"


def _ratio(mine: Rounds, theirs: Rounds, value: Callable[[dict[str, Any]], float]) -> Ratio | None:
    """Return the ratio round by round, as a report does."""
    others = {each["round"]: value(each) for each in theirs}
    ratios = [value(each) / others[each["round"]] for each in mine if others.get(each["round"])]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None


def _judged(ratio: Ratio | None, aim: float | None, sign: str) -> tuple[str, str]:
    """Return the ratio and what it was to be; that it is not so, as it is printed, is said."""
    if ratio is None:
        return "-", ""
    if aim is None:
        return str(ratio), ""
    shown = round(ratio.median, 2)
    met = shown <= aim if sign == "<=" else shown >= aim
    return str(ratio), f"{sign} {aim:g}{'' if met else ', missed'}"


def _middle(rounds: Rounds, value: Callable[[dict[str, Any]], float]) -> str:
    return duration(median(map(value, rounds))) if rounds else "-"


def _calls(rounds: Rounds) -> str:
    asked = [each["asked"]["requests"] / each["requests"] for each in rounds if each["asked"]]
    return f"{median(asked):.3g}" if asked else "-"


def _cpu(measured: dict[str, Any]) -> float:
    return float(measured["cpu"] / measured["requests"])


def _rate(measured: dict[str, Any]) -> float:
    return float(measured["requests"] / measured["seconds"])


def _p50(measured: dict[str, Any]) -> float:
    return float(measured["p50"])


def _head(names: tuple[str, ...]) -> list[str]:
    return [_line(names), _line(["---"] * len(names))]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the tables of the run that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, help="bench.json of a run")
    parser.add_argument("--peer", default=_AIMED_AT, help="whom ours is compared with")
    options = parser.parse_args()
    print("\n".join(tables(json.loads(options.document.read_text()), options.peer)))


if __name__ == "__main__":
    main()
