"""What metrics tell of an endpoint, under the names of the Go registry and some of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.notifications.sending import Outcome
    from registry.observation.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts for the endpoint called `name`, if there are `metrics`."""

    metrics: Metrics | None
    name: str

    def entered(self, number: int) -> None:
        """Count events that are to be delivered."""
        self._add("Events", number)

    def attempted(self, outcome: Outcome, number: int) -> None:
        """Count an attempt to deliver events: what the endpoint has answered, and whether it has taken them."""
        if self.metrics and outcome.status:
            self.metrics.notifications_answered(self.name, outcome.status)
        self._add("Successes" if outcome.delivered else "Failures" if outcome.status else "Errors", number)

    def dropped(self, number: int) -> None:
        """Count events that nobody will be told of, as too many were waiting."""
        self._add("Dropped", number)

    def buried(self) -> None:
        """Count a dead letter."""
        self._add("Dead", 1)

    def waiting(self, number: int) -> None:
        """Say how many events are waiting."""
        if self.metrics:
            self.metrics.notifications_waiting(self.name, number)

    def oldest(self, seconds: float) -> None:
        """Say how long the event waits that waits longest; 0 if none does."""
        if self.metrics:
            self.metrics.notifications_oldest(self.name, seconds)

    def _add(self, kind: str, number: int) -> None:
        if self.metrics and number:
            self.metrics.notifications_counted(self.name, kind, number)
