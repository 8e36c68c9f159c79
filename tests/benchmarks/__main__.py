"""`make bench`: our registry and its peers, side by side on this machine.

All of them run at the same time; each row is measured on one after the other, in several rounds that take turns
at who is first, so that a machine whose speed drifts is unfair to none. CPU time is the figure to trust.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.content import FULL, MIB, SHORT, make_samples
from tests.benchmarks.peers import find_peers
from tests.benchmarks.picture import draw
from tests.benchmarks.report import Key, Report, head
from tests.benchmarks.rows import select
from tests.benchmarks.stands import available_places, scratch, stand
from tests.benchmarks.tools import LoadError, missing_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.content import Scale
    from tests.benchmarks.measuring import Target
    from tests.benchmarks.peers import Peer
    from tests.benchmarks.rows import Row

_SHORT_BEHIND_NGINX = "manifest-get-tag blob-get-4k push-4k-put"


def main() -> None:
    """Measure what the arguments select and print it."""
    options = _arguments()
    lacking = missing_tools()
    if lacking:
        sys.exit(f"make bench needs {' and '.join(lacking)} on PATH")
    scale = SHORT if options.short else FULL
    rounds = options.rounds or (1 if options.short else 3)
    peers = find_peers(options.peers)
    report = Report(peers[0].name, {})
    # What is ended from outside must not leave servers behind, nor lose what it has measured.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        _compare(options, scale, rounds, peers, report)
    finally:
        _write(options.output, report)


def _compare(options: argparse.Namespace, scale: Scale, rounds: int, peers: list[Peer], report: Report) -> None:
    """Measure the rows at each place and print them as they come."""
    with scratch("tmpfs") as directory:
        samples = make_samples(directory, scale)
        report.facts.update(_facts(directory))
        print("\n".join(head()), flush=True)
        for place in available_places(options.places or ("tmpfs nginx" if options.short else "")):
            wanted = options.rows or (_SHORT_BEHIND_NGINX if options.short and place == "nginx" else "")
            rows = [row for row in select(wanted) if place in row.places]
            if not rows:
                continue
            with stand(place, peers, rows, samples) as targets:
                for row in rows:
                    _measure(report, Key(row.name, place), row, targets, rounds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="patterns of row names, separated by spaces")
    parser.add_argument("--peers", default="", help="ours, v3, debian, zot; those that this machine has")
    parser.add_argument("--places", default="", help="tmpfs, nginx, disk")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--output", type=Path, help="directory for bench.md, bench.json and bench.svg")
    return parser.parse_args()


def _measure(report: Report, key: Key, row: Row, targets: Sequence[Target], rounds: int) -> None:
    """Measure a row on every target, `rounds` times; who cannot do it is left out, with a word on stderr."""
    able = [target for target in targets if target.server.peer.tree or not row.plant]
    for number in range(rounds):
        for target in able[number % len(able) :] + able[: number % len(able)]:
            name = target.server.peer.name
            try:
                if row.prepare:
                    row.prepare(target)
                report.add(key, name, row.measure(target))
            except LoadError as error:
                if name == report.ours:
                    raise
                print(f"{key.row} of {name}: {error}", file=sys.stderr)
    print("\n".join(report.lines(key)), flush=True)


def _facts(directory: Path) -> dict[str, object]:
    """Return what the figures depend on, and what no registry on this machine can be faster than."""
    content = bytes(64 * MIB)
    started = time.process_time()
    hashlib.sha256(content).digest()
    hashing = time.process_time() - started
    started = time.perf_counter()
    (directory / "probe").write_bytes(content)
    writing = time.perf_counter() - started
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "machine": f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}",
        "SHA-256, MiB/s of one core": round(64 / hashing),
        "writing to tmpfs, MiB/s": round(64 / writing),
    }


def _write(directory: Path | None, report: Report) -> None:
    if directory is None:
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (("md", report.table()), ("json", report.document()), ("svg", draw(report))):
        (directory / f"bench.{name}").write_text(text)
    print(f"Next: {directory}/bench.md is the table, bench.json every round, bench.svg the picture.")


if __name__ == "__main__":
    main()
