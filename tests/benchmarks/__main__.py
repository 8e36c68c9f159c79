"""`make bench`: our registry and its peers, side by side on this machine.

All of them run at the same time; each row is measured on one after the other. A round is all rows of a place once, on
the same processes, and each round begins with another one, so that a drift in the speed of the machine affects all of
them alike. CPU time is the most reliable figure.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.content import FULL, SHORT, make_samples
from tests.benchmarks.facts import gather
from tests.benchmarks.peers import find_peers
from tests.benchmarks.picture import draw
from tests.benchmarks.processor import WITHOUT_SHA, Processor
from tests.benchmarks.report import Key, Report, Start, head
from tests.benchmarks.rows import Who, select
from tests.benchmarks.stands import PLACES, available_places, scratch, stand
from tests.benchmarks.storing import DRIVERS
from tests.benchmarks.tools import LoadError, missing_tools
from tests.benchmarks.warming import warm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.measuring import Target
    from tests.benchmarks.peers import Peer
    from tests.benchmarks.rows import Row

_SHORT_ROWS = dict.fromkeys(("nginx", *DRIVERS), "manifest-get-tag blob-get-4k push-4k-put") | {
    "s3-far": "far-manifest-get-tag-1 far-push-4k-8"
}
_SHORT_PLACES = ("tmpfs", *_SHORT_ROWS)


def main() -> None:
    """Measure what the arguments select and print it."""
    options = _arguments()
    lacking = missing_tools()
    if lacking:
        sys.exit(f"make bench needs {' and '.join(lacking)} on PATH")
    processor = Processor.of_this_machine()
    if options.without_sha:
        if not processor.switchable:
            sys.exit("this processor has no SHA instructions that could be switched off: leave out SHA=off")
        os.environ.update(WITHOUT_SHA)
    scale = SHORT if options.short else FULL
    rounds = options.rounds or (1 if options.short else 3)
    # Caches and their upstreams take as much again of the machine: they run only if they are asked for.
    caches = bool(options.rows) and any(row.who is not Who.PLAIN for row in select(options.rows))
    peers = find_peers(options.peers, caches=caches)
    plan = _plan(options, peers)
    report = Report(peers[0].name, {})
    # A run that is ended from outside must not leave servers running, and must keep what it has measured.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        with scratch("tmpfs") as directory:
            samples = make_samples(directory, scale)
            report.facts.update(gather(directory, processor, without_sha=options.without_sha))
            print("\n".join(head()), flush=True)
            for place, rows in plan.items():
                with stand(place, peers, rows, samples) as targets:
                    for each in targets:
                        start = Start(each.server.start_seconds, each.idle)
                        report.starts[place, each.server.peer.name] = start
                    _compare(report, place, rows, targets, rounds)
        print("\n".join(["", *report.memory_lines(), *report.upstream_lines()]))
    finally:
        _write(options.output, report)


def _plan(options: argparse.Namespace, peers: Sequence[Peer]) -> dict[str, list[Row]]:
    """Return the places to measure at, each with its rows."""
    plan, has_caches = {}, any(peer.caches for peer in peers)
    for place in available_places(options.places, _SHORT_PLACES if options.short else PLACES):
        wanted = options.rows or (_SHORT_ROWS.get(place, "") if options.short else "")
        rows = (row for row in select(wanted) if place in row.places)
        plan[place] = [row for row in rows if has_caches or row.who is Who.PLAIN]
    return {place: rows for place, rows in plan.items() if rows}


def _compare(report: Report, place: str, rows: list[Row], targets: Sequence[Target], rounds: int) -> None:
    """Measure all rows, `rounds` times; print the table during the last round, and progress on stderr."""
    for number, row in product(range(1, rounds + 1), rows):
        key = Key(row.name, place)
        _measure(report, key, row, targets, number)
        if number < rounds:
            print(report.progress(key, number), file=sys.stderr, flush=True)
        else:
            print("\n".join(report.lines(key)), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="patterns of row names, separated by spaces")
    parser.add_argument("--peers", default="", help="ours, before, v3, debian, zot, and caches: ours-proxy, v3-proxy")
    parser.add_argument("--places", default="", help=f"{', '.join(PLACES)}; those that this machine has")
    parser.add_argument("--rounds", type=int, default=0, help="3; from 3 on, see whether memory grows")
    parser.add_argument("--short", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--without-sha", action="store_true", help="keep all programs from the SHA instructions")
    parser.add_argument("--output", type=Path, help="directory for bench.md, bench.json and bench.svg")
    return parser.parse_args()


def _measure(report: Report, key: Key, row: Row, targets: Sequence[Target], number: int) -> None:
    """Measure a row on every target in the round `number`; one that cannot do it is left out, with a line on stderr."""
    able = [target for target in targets if row.takes(target.server.peer, key.place)]
    first = (number - 1) % max(1, len(able))
    for target in able[first:] + able[:first]:
        name = target.server.peer.name
        try:
            if row.prepare:
                row.prepare(target)
            warm(row.writes * target.samples.scale.huge)
            report.add(key, name, number, row.measure(target))
        except LoadError as error:
            if name == report.ours:
                raise
            print(f"{key.row} of {name}: {error}", file=sys.stderr)


def _write(directory: Path | None, report: Report) -> None:
    if directory is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (("md", report.table()), ("json", report.document()), ("svg", draw(report))):
        (directory / f"bench.{name}").write_text(text)
    print(f"Next: {directory}/bench.md is the table, bench.json every round, bench.svg the picture.")


if __name__ == "__main__":
    main()
