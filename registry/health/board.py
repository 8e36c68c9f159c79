"""What the processes of a server share about its health: one of them posts it, all read it.

To look at it costs no system call, so it may be looked at for every request.
"""

from __future__ import annotations

import mmap
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from registry.foundation.redaction import redacted
from registry.foundation.shared_value import SharedValue, TornError

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFUSING, _DRAINING = 0, 1
_TIME: Final = struct.Struct("d")
_LONGEST_ERROR: Final = 512
_MOST_CHECKS: Final = 50
_ESCAPED: Final = len(r"\ud83d\ude00")
"""Bytes that a character takes in JSON at most."""
_CAPACITY: Final = 4 * _MOST_CHECKS * (2 * _LONGEST_ERROR * _ESCAPED + len('"": "", ')) + 100
_UNKNOWN: Final = "what the checks have found cannot be read"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, by the name of the check: `failing` of the configured checks, `unready` of all that are needed.

    `degraded` is what the registry does without. `public` is what anybody may know of all that: by the kind of the
    check, general words.
    """

    failing: Mapping[str, str] = field(default_factory=dict)
    unready: Mapping[str, str] = field(default_factory=dict)
    degraded: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)


class Board:
    """Holds the last verdict and notices; made before the fork. An empty one says that all is well."""

    def __init__(self) -> None:
        self._flags = mmap.mmap(-1, 2)
        self._silent_since = mmap.mmap(-1, _TIME.size)
        self._verdict = SharedValue(_CAPACITY)
        self._notices = SharedValue(_CAPACITY)

    @property
    def refusing(self) -> bool:
        """Whether a configured check fails, so that the API is to be refused."""
        return self._flags[_REFUSING] != 0

    @property
    def draining(self) -> bool:
        """Whether the server has been told to stop."""
        return self._flags[_DRAINING] != 0

    def drain(self) -> None:
        """Say that the server has been told to stop."""
        self._flags[_DRAINING] = 1

    @property
    def storage_silent_since(self) -> float:
        """Since when the storage does not answer some process, in seconds since the epoch; 0 if it answers all."""
        since: float = _TIME.unpack_from(self._silent_since)[0]
        return since

    def storage_is_silent(self) -> None:
        """Say that the storage does not answer this process."""
        if not self.storage_silent_since:
            _TIME.pack_into(self._silent_since, 0, time.time())

    def storage_answers(self) -> None:
        """Say that the storage answers this process. Others find out for themselves when they ask it."""
        _TIME.pack_into(self._silent_since, 0, 0.0)

    def post(self, verdict: Verdict) -> None:
        """Replace the verdict; only one process may do so at a time."""
        parts = (verdict.failing, verdict.unready, verdict.degraded, verdict.public)
        self._verdict.write([_shortened(part) for part in parts])
        self._flags[_REFUSING] = 1 if verdict.failing else 0

    def read(self) -> Verdict:
        """Return the verdict; one that says so and is not ready where it cannot be read."""
        try:
            return Verdict(*self._verdict.read() or ())
        except TornError:
            return Verdict(unready={"health": _UNKNOWN}, public={"health": _UNKNOWN})

    def notice(self, notices: Mapping[str, str]) -> None:
        """Replace what an operator should know though nothing fails because of it.

        Only one process may do so at a time.
        """
        self._notices.write(_shortened(notices))

    @property
    def notices(self) -> Mapping[str, str]:
        """What was noticed, by its name; nothing where that cannot be read."""
        try:
            return self._notices.read() or {}
        except TornError:
            return {}


def _shortened(errors: Mapping[str, str]) -> dict[str, str]:
    """Return `errors` as they fit, and without secrets: names may be URLs, errors are those of libraries."""
    return {
        redacted(name)[:_LONGEST_ERROR]: redacted(error)[:_LONGEST_ERROR]
        for name, error in list(errors.items())[:_MOST_CHECKS]
    }
