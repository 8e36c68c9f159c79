"""What the processes of a server share about its jobs: the elected one posts it, all read it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry.foundation.redaction import redacted
from registry.foundation.shared_value import SharedValue, TornError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CAPACITY: Final = 1024 * 1024
"""More than the longest states take, whatever characters they are of."""
_MOST_JOBS: Final = 100
_OVERDUE_SECONDS: Final = 60.0
"""How late a run may begin before something must have happened to the thread that is to begin it."""
_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class JobState:
    """How the job `name` stands. Times are in seconds since 1970.

    `last_run` is when the last run ended, None before there was one; `error` is what was wrong with it, "" if nothing.
    `next_run` is when the next one begins, None while the job runs, as one that pauses for
    some seconds at most does all the time, or waits for a process that may run it.
    """

    name: str
    last_run: float | None = None
    next_run: float | None = None
    error: str = ""


class JobBoard:
    """Holds the states of all jobs; made before the fork.

    `former` are the states on the board before: they stand until the elected process posts its own.
    """

    def __init__(self, former: Iterable[JobState] = ()) -> None:
        self._states = SharedValue(_CAPACITY)
        self.post(replace(state, next_run=None) for state in former)

    def post(self, states: Iterable[JobState]) -> None:
        """Replace the states; only one thread of one process may do so at a time."""
        self._states.write([asdict(_shortened(state)) for state in list(states)[:_MOST_JOBS]])

    def read(self) -> list[JobState]:
        """Return the states; none before a process is elected, or if they cannot be read."""
        try:
            return [JobState(**state) for state in self._states.read() or ()]
        except TornError:
            return []

    def errors(self) -> dict[str, str]:
        """Return what was wrong with the last run of each job that has failed, and which jobs should have run."""
        latest = time.time() - _OVERDUE_SECONDS
        found = {}
        for state in self.read():
            if state.next_run is not None and state.next_run < latest:
                found[f"job_{state.name}"] = f"was to run at {_time(state.next_run)} and has not"
            elif state.error:
                found[f"job_{state.name}"] = state.error
        return found

    def table(self) -> dict[str, dict[str, str | None]]:
        """Return the states by the names of the jobs, with times as in RFC 3339, for people to read."""
        return {
            state.name: {"last_run": _time(state.last_run), "next_run": _time(state.next_run), "error": state.error}
            for state in self.read()
        }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _shortened(state: JobState) -> JobState:
    return JobState(redacted(state.name)[:_LONGEST], state.last_run, state.next_run, redacted(state.error)[:_LONGEST])
