"""What periodic work is: a name, what is done, and when."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class JobFailedError(Exception):
    """A run has failed; the text says why, in one line, which is logged at `level`.

    The next run is after `pause_seconds`, or after the interval of the job if that is None.
    """

    def __init__(self, text: str, *, pause_seconds: float | None = None, level: int = logging.WARNING) -> None:
        super().__init__(text)
        self.pause_seconds = pause_seconds
        self.level = level


def _no_pause() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """Work that one process of a host does again and again.

    `run` does it once. It returns how many seconds to pause until the next run, or None for `interval_seconds`; it
    raises JobFailedError if it has failed. `first_pause` is asked, by the process that is elected, how many seconds to
    wait until the first run.

    After the configuration was read again, an `exclusive` job begins when the processes of the configuration before
    have ended. One that is not exclusive begins at once, beside theirs.

    A run that `ends_soon` once the process is to stop is waited for then, for a moment.
    """

    name: str
    run: Callable[[], float | None]
    interval_seconds: float
    first_pause: Callable[[], float] = _no_pause
    exclusive: bool = True
    ends_soon: bool = False
