"""`python -m tests.benchmarks.collecting`: what a look for garbage costs, beside the Go registry's.

    DISTRIBUTION_V3=/path/of/registry python -m tests.benchmarks.collecting --images 100000

It makes a tree on tmpfs and has each program look through it, in turn, deleting nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.benchmarks.content import MIB
from tests.benchmarks.planting import BLOBS_OF_AN_IMAGE, DELETED, plant_images
from tests.benchmarks.stands import scratch
from tests.integration.servers import configuration, distribution_v3, ours

if TYPE_CHECKING:
    from collections.abc import Sequence

_ELIGIBLE = re.compile(rb"(\d+) blobs marked, (\d+) blobs and (\d+) manifests eligible for deletion")

_AGE_SECONDS = 3 * 3600


@dataclass(frozen=True, slots=True)
class Collection:
    """What one look has cost; resident bytes at most, and how many blobs it would have deleted."""

    seconds: float
    cpu_seconds: float
    memory: int
    eligible: int


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000, help="each has five blobs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each program looks")
    parser.add_argument("--directory", help="where such a tree was made before, or is to be made to stay")
    options = parser.parse_args()
    with scratch("tmpfs") as directory:
        root = Path(options.directory or directory / "root")
        if not root.exists():
            began = time.perf_counter()
            plant_images(str(root), options.images)
            _age(root)
            print(f"made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        print("\n".join(table(compared(root, directory / "config.yml", options.rounds), options.images)))


def _age(root: Path) -> None:
    """Make all files so old that what is read of them may be relied on later."""
    then = time.time() - _AGE_SECONDS
    for directory, _, names in os.walk(root):
        for name in names:
            os.utime(f"{directory}/{name}", (then, then))


def compared(root: Path, config: Path, rounds: int) -> dict[str, Collection]:
    """Return of each program that this machine has the look at the tree in `root`, of `rounds`, with the least CPU.

    Ours has a state directory. Its first look, which reads everything, stands for itself: from the second one on it
    finds what the last one has read.
    """
    document = configuration(root, 5000, "secret")
    state = {"statedirectory": str(config.parent / "state")}
    document["storage"]["maintenance"]["garbagecollection"] = state
    config.write_text(yaml.safe_dump(document))
    commands = {"ours": [ours().command[0], "garbage-collect", "--dry-run", "--grace", "0s", str(config)]}
    if other := distribution_v3():
        commands[other.name] = [other.command[0], "garbage-collect", "--dry-run", str(config)]
    found = {"ours, first look": collect(commands["ours"])}
    looks = [(name, collect(command)) for _ in range(rounds) for name, command in commands.items()]
    for name in commands:
        found[name] = min((look for of, look in looks if of == name), key=lambda look: look.cpu_seconds)
    return found


def collect(command: Sequence[str]) -> Collection:
    """Run a collector, and return what it has cost with all processes that it has waited for.

    Raises:
        RuntimeError: it has failed, or does not say what it found.
    """
    began = time.perf_counter()
    reading, writing = os.pipe()
    process = subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    eligible = None
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            if match := _ELIGIBLE.search(line):
                eligible = int(match[2])
    # Here and not with Popen.wait(), which does not tell what the process has cost.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode or eligible is None:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Collection(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, eligible)


def table(found: dict[str, Collection], images: int) -> list[str]:
    """Return the lines of a table, and what the programs should have found."""
    lines = ["| | time | CPU | memory | blobs to delete |", "|---|---|---|---|---|"]
    for name, cost in found.items():
        memory = f"{cost.memory / MIB:.0f} MiB"
        lines.append(f"| {name} | {cost.seconds:.1f} s | {cost.cpu_seconds:.1f} s | {memory} | {cost.eligible:,} |")
    blobs = images * BLOBS_OF_AN_IMAGE
    return [*lines, "", f"{images:,} images, {blobs:,} blobs, of which {blobs // DELETED:,} are garbage"]


if __name__ == "__main__":
    main()
