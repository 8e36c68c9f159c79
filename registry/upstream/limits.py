"""Limits that an upstream sets: when it may be asked again, and how many pulls are left."""

from __future__ import annotations

import math
import re
import threading
import time
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client.dates import seconds_until
from registry.oci.errors import UpstreamLimitedError

if TYPE_CHECKING:
    from registry.foundation.http_client import Headers

_UNTOLD_SECONDS: Final = 30
"""How long to wait where it is not said."""
_LONGEST_SECONDS: Final = 3600
"""How long to wait at most: then it is asked whether that still holds."""
_QUANTITY: Final = re.compile(r"\s*(\d{1,9})")


class Limits:
    """Whether manifests of the upstream `name` may be asked for; blobs are not limited by it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def require_open(self, method: str) -> None:
        """Return if requests of this method for a manifest may be made.

        Raises:
            UpstreamLimitedError: the upstream has said to wait.
        """
        with self._lock:
            left = self._until.get(method, 0.0) - time.monotonic()
        if left > 0:
            raise UpstreamLimitedError(f"{self._name} limits requests", retry_seconds=math.ceil(left))

    def hold(self, method: str, seconds: int) -> None:
        """Make no such request for so long. Where HEAD is limited, GET is, too; but HEAD is often free."""
        until = time.monotonic() + seconds
        with self._lock:
            for each in {method, "GET"}:
                self._until[each] = max(until, self._until.get(each, 0.0))


def retry_seconds(headers: Headers) -> int:
    """Return how long a 429 says to wait: ``Retry-After`` in seconds or as a date (RFC 9110 section 10.2.3)."""
    text = headers.get("Retry-After", "")
    if found := _QUANTITY.fullmatch(text.rstrip()):
        return max(1, min(int(found[1]), _LONGEST_SECONDS))
    seconds = seconds_until(text, headers)
    return _UNTOLD_SECONDS if seconds is None else max(1, min(math.ceil(seconds), _LONGEST_SECONDS))


def quantity(headers: Headers, name: str) -> int | None:
    """Return the number in ``RateLimit-Remaining: 76;w=21600`` or the like; None if there is none."""
    found = _QUANTITY.match(headers.get(name, ""))
    return int(found[1]) if found else None
