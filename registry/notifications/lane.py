"""The events of some repositories on their way to an endpoint, one after another."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from registry.notifications.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry.config.events import Endpoint
    from registry.notifications.counts import Counts
    from registry.notifications.events import Event
    from registry.notifications.sending import Outcome, Sender
    from registry.notifications.standing import Report


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint, and all who are told how it takes what is sent to it."""

    sender: Sender
    counts: Counts
    report: Report

    @property
    def endpoint(self) -> Endpoint:
        """Its section of the configuration."""
        return self.sender.endpoint

    def attempt(self, events: Sequence[Event]) -> Outcome:
        """Send `events` in one request."""
        outcome = self.sender.send(events)
        self.counts.attempted(outcome, len(events))
        if outcome.delivered:
            self.report.delivered()
        else:
            self.report.failed(outcome.error)
        return outcome


class Ends(Protocol):
    """Who is told what becomes of events. Lanes call it from several threads."""

    def may_send(self) -> bool:
        """Tell whether there may be an attempt now."""

    def settle(self, event: Event) -> None:
        """Note that `event` was delivered."""

    def give_up(self, event: Event, outcome: Outcome, tries: int) -> None:
        """Note that `event` will not be sent again; `outcome` is that of the last of its `tries`."""


class Lane:
    """Delivers events in their order: none is sent before what is to become of the one before is known."""

    def __init__(self, target: Target, ends: Ends) -> None:
        self._target = target
        self._ends = ends
        self._waiting: deque[Event] = deque()
        self._retries = Retries(target.endpoint)
        self._failure: Outcome | None = None
        """Of the last attempt, if that has failed and the endpoint may take the same events later."""
        self._tries = 0
        self._refusals = 0
        self._alone = 0
        """How many of the next events are sent one by one, as they were refused together."""

    @property
    def waiting(self) -> Sequence[Event]:
        """What has still to be delivered."""
        return self._waiting

    @property
    def pause_seconds(self) -> float:
        """How long to wait until the next attempt."""
        return self._retries.pause_seconds

    def add(self, events: Iterable[Event]) -> None:
        """Have `events` delivered behind those that wait."""
        self._waiting.extend(events)

    def drop(self) -> Event:
        """Forget the first event that waits, and return it; there has to be one."""
        event = self._waiting[0]
        self._pass_over(1)
        return event

    def deliver(self, *, until: float) -> None:
        """Send what waits until all is through, or a pause is due, or `until` has come by the monotonic clock.

        Raises:
            What the methods of Ends raise.
        """
        if self._failure:
            self._give_up_what_is_too_old(self._failure)
        while self._waiting and not self.pause_seconds and time.monotonic() < until and self._ends.may_send():
            self._send()

    def _send(self) -> None:
        events = self._next()
        outcome = self._target.attempt(events)
        self._tries += 1
        if outcome.delivered:
            self._failure = None
            self._retries.succeeded()
            for event in events:
                self._ends.settle(event)
            self._pass_over(len(events))
        elif outcome.is_permanent:
            self._refused(events, outcome)
        else:
            self._failure = outcome
            self._retries.failed(asked_seconds=outcome.retry_after_seconds)
            self._give_up_what_is_too_old(outcome)

    def _next(self) -> list[Event]:
        return list(islice(self._waiting, 1 if self._alone else self._target.endpoint.batch))

    def _pass_over(self, number: int) -> None:
        for _ in range(number):
            self._waiting.popleft()
        self._alone = max(0, self._alone - number)
        self._tries = self._refusals = 0

    def _refused(self, events: Sequence[Event], outcome: Outcome) -> None:
        """Try again what the endpoint says it will never take, a few times, so that it does not hold up the others."""
        self._refusals += 1
        if self._refusals < self._target.endpoint.threshold:
            return
        if len(events) > 1:
            self._alone, self._tries, self._refusals = len(events), 0, 0
        else:
            self._ends.give_up(events[0], outcome, self._tries)
            self._pass_over(1)

    def _give_up_what_is_too_old(self, outcome: Outcome) -> None:
        """Give up what nobody wants to know any more; it is called when the last attempt has failed."""
        oldest_ns = time.time_ns() - int(self._target.endpoint.maxage_seconds * 1e9)
        while self._waiting and self._waiting[0].time_ns < oldest_ns:
            self._ends.give_up(self._waiting[0], outcome, self._tries)
            self._pass_over(1)
