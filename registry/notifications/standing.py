"""How an endpoint stands: what the log says of it, and what is kept of it with its cursor."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from registry.foundation.redaction import redacted_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.foundation.shared_set import SharedSet

_LOG_SECONDS: Final = 60.0
_PERIODS: Final = 3
"""Into so many _LOG_SECONDS are divided: a line is followed by another one of its kind within a third more."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Standing:
    """When something was delivered last, and what went wrong last; times are in seconds since 1970, 0 is never.

    `failing_since` is when the first attempt failed of those that have failed since the last delivery.
    """

    last_success: float = 0.0
    last_failure: float = 0.0
    last_error: str = ""
    failing_since: float = 0.0

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Self:
        """Return what dump() has given; what is not understood counts as never."""
        found: dict[str, Any] = {
            each.name: state[each.name] for each in fields(cls) if isinstance(state.get(each.name), type(each.default))
        }
        return cls(**found)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


class Report:
    """Notes how the endpoint called `name` stands, and says so in the log: once a minute while it fails.

    Several processes send to an endpoint, each what was pulled from it. In `told` they tell each other what was said.
    """

    def __init__(self, name: str, told: SharedSet) -> None:
        self._name = name
        self._told = told
        self._has_told = False
        self._burying = threading.Lock()
        self._buried = self._lost = 0
        """Dead letters that tell_buried() has not told of, and those that had to go for them."""
        self.standing = Standing()

    def delivered(self) -> None:
        """Note that the endpoint has taken events."""
        standing = self.standing
        standing.last_success = time.time()
        if self._has_told and self._is_new("success"):
            seconds = standing.last_success - standing.failing_since
            _log.info("endpoint %s takes events again, after %.0f s", self._name, seconds)
        self._has_told = False
        standing.failing_since = 0.0

    def failed(self, error: str) -> None:
        """Note that it has not, and why: a line without secrets."""
        standing = self.standing
        standing.last_failure, standing.last_error = time.time(), redacted_setting(error)
        standing.failing_since = standing.failing_since or standing.last_failure
        if self._is_new("failure"):
            self._has_told = True
            _log.warning("endpoint %s does not take events: %s", self._name, standing.last_error)

    def buried(self, *, lost: int) -> None:
        """Note that an event became a dead letter, for which `lost` others went: tell_buried() says so."""
        with self._burying:
            self._buried += 1
            self._lost += lost

    def tell_buried(self) -> None:
        """Say how many dead letters there were since this was said, if that is a minute ago."""
        if not self._buried or not self._is_new("buried"):
            return
        with self._burying:
            buried, self._buried = self._buried, 0
            lost, self._lost = self._lost, 0
        _log.error("endpoint %s: %d more dead letters (registry notifications list --dead)", self._name, buried)
        if lost:
            text = "endpoint %s: %d dead letters are deleted, the oldest (notifications.journal.maxdead)"
            _log.error(text, self._name, lost)

    def _is_new(self, what: str) -> bool:
        """Tell whether no process has said this within a minute, and note that this one says it."""
        period = int(time.monotonic() * _PERIODS / _LOG_SECONDS)
        if any(self._key(what, period - before) in self._told for before in range(_PERIODS + 1)):
            return False
        self._told.add(self._key(what, period))
        return True

    def _key(self, what: str, period: int) -> bytes:
        return f"{what} {period} {self._name}".encode()
