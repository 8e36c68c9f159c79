"""The health checks, as jobs: each at its own interval, so that one that hangs holds up no other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from registry.foundation.redaction import redacted
from registry.health.monitor import Monitor
from registry.jobs.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.health.board import Board
    from registry.health.checks import Check


def jobs(board: Board, checks: Sequence[Check]) -> Iterator[Job]:
    """Yield a job for each of `checks`, which posts on `board`; what it finds wrong is not a failure of the job."""
    monitor = Monitor(board, checks)
    for watch in monitor.watches:
        seconds = watch.check.interval_seconds
        yield Job(
            name=f"health_{redacted(watch.check.name)}",
            run=partial(monitor.look, watch),
            interval_seconds=seconds,
            first_pause=partial(float, seconds),
            # The board belongs to the configuration: the one before has its own.
            exclusive=False,
        )
