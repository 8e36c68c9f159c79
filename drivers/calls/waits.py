"""How long to wait before a call is made again, and for how long it may go on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client.dates import seconds_until

if TYPE_CHECKING:
    from registry.foundation.http_client import Reply
    from registry.foundation.parameters import Parameters

_FIRST_SECONDS: Final = 0.5
"""The longest wait before the second attempt; before each that follows it is twice as long."""
_DEFAULT_SECONDS: Final = 30.0
_LEAST_SECONDS: Final = 1.0
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a call is tried, and within how many seconds it ends, the waits between attempts among them."""

    attempts: int = 5
    seconds: float = _DEFAULT_SECONDS

    @classmethod
    def parse(cls, section: Parameters) -> Limits:
        """Return what ``calltimeout`` in the section of a driver says.

        Raises:
            ParameterError: it is not a duration of at least a second.
        """
        return cls(seconds=section.seconds("calltimeout", _DEFAULT_SECONDS, minimum=_LEAST_SECONDS))


def pause_seconds(attempt: int) -> float:
    """Return how long to wait after `attempt`, from 1 on.

    It is any time up to one that doubles ("full jitter"), so that not all clients of a store that was busy come again
    at once.
    """
    return random.uniform(0, _FIRST_SECONDS * 2 ** (attempt - 1))  # noqa: S311 - no secret depends on it


def asked_seconds(answer: Reply) -> float:
    """Return the seconds that Retry-After says to wait, 0 if it says nothing (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_DIGITS])
    return seconds_until(text, answer.headers) or 0.0
