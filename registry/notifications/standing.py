"""How an endpoint stands: what the log says of it, and what is kept of it with its cursor."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from registry.foundation.redaction import redacted_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG_SECONDS: Final = 60.0
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
    """Notes how the endpoint called `name` stands, and says so in the log: once a minute while it fails."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logged = -_LOG_SECONDS
        self._told = False
        self.standing = Standing()

    def delivered(self) -> None:
        """Note that the endpoint has taken events."""
        standing = self.standing
        standing.last_success = time.time()
        if self._told:
            seconds = standing.last_success - standing.failing_since
            _log.info("endpoint %s takes events again, after %.0f s", self._name, seconds)
        self._told = False
        standing.failing_since = 0.0

    def failed(self, error: str) -> None:
        """Note that it has not, and why: a line without secrets."""
        standing = self.standing
        standing.last_failure, standing.last_error = time.time(), redacted_setting(error)
        standing.failing_since = standing.failing_since or standing.last_failure
        if time.monotonic() - self._logged >= _LOG_SECONDS:
            self._logged = time.monotonic()
            self._told = True
            _log.warning("endpoint %s does not take events: %s", self._name, standing.last_error)
