"""Prints the figures of the trial of slow clients, for ours and for the Go registry.

    DISTRIBUTION_V3=/path/of/registry python -m tests.integration.slow_report --count 2000 --patient

SERVER_UNDER_TEST names another program to be tried as ours is: that of an earlier version, for instance.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.servers import Flavour, distribution_v3, ours
from tests.integration.slow_clients import KINDS, allow_descriptors
from tests.integration.slow_trial import FRONTS, Figures, deadline_seconds, kinds_of, make_content, standing, try_out

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB = 1 << 20


def _main() -> None:
    parser = argparse.ArgumentParser(description="What others have of a registry beside slow clients.")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--peers", default="ours,v3")
    parser.add_argument("--fronts", default=",".join(FRONTS))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--patient", action="store_true", help="wait for what is too slow, for more than a minute each")
    arguments = parser.parse_args()
    allow_descriptors(arguments.count)
    known: Mapping[str, Flavour | None] = {"ours": ours(), "v3": distribution_v3()}
    print("| front | kind | program | clients | control | worst answer | failed | most held | MiB | KiB each | ended |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        content = make_content(Path(directory))
        for front in arguments.fronts.split(","):
            for peer in arguments.peers.split(","):
                flavour = known[peer]
                assert flavour, "DISTRIBUTION_V3 does not name the program"
                for kind in kinds_of(front):
                    if kind.name not in arguments.kinds.split(","):
                        continue
                    own = Path(tempfile.mkdtemp(dir=directory))
                    with standing(flavour, front, content, own, deadline_seconds(arguments.count)) as stand:
                        figures = try_out(stand, kind, arguments.count, patient=arguments.patient)
                    print(_row(front, kind.name, flavour.name, figures), flush=True)


def _row(front: str, kind: str, name: str, figures: Figures) -> str:
    cells = (
        front,
        kind,
        name,
        figures.clients,
        f"{figures.control_seconds:.2f} s",
        f"{figures.worst_seconds:.2f} s",
        f"{len(figures.failures)} of {figures.answers}",
        figures.most_held,
        f"{figures.memory_bytes / _MIB:.0f}",
        f"{figures.bytes_each / 1024:.0f}",
        "no" if figures.ended_seconds == math.inf else f"{figures.ended_seconds:.1f} s",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        _main()
