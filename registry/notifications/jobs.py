"""The deliveries to the endpoints, as jobs: one for each, so that one that hangs holds up no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.foundation.errors import ParameterError
from registry.jobs.job import Job, JobFailedError
from registry.notifications.consumers import consumers
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config.events import Journal
    from registry.config.values import Configuration
    from registry.foundation.shared_set import SharedSet
    from registry.notifications.consumers import EndpointConsumer
    from registry.notifications.delivery import Delivery
    from registry.observation.metrics import Metrics

_POLL_SECONDS: Final = 0.5
_SLOW_POLL_SECONDS: Final = 2.0
"""Where each look at the journal is a request that costs."""
_BROKEN_SECONDS: Final = 10.0
"""The pause after a run that has failed for a reason other than the endpoint."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What the deliveries of a process have in common.

    `held` tells whether it is this process that delivers what the journal of the storage has, and `stopping` whether it
    is about to stop. `hold_seconds` is as for registry.journal.reader.Reader, `told` as for Report.
    """

    driver: StorageDriver
    held: Callable[[], bool]
    stopping: Callable[[], bool]
    hold_seconds: Callable[[], float]
    told: SharedSet
    metrics: Metrics | None = None


def jobs(configuration: Configuration, dispatch: Dispatch) -> Iterator[Job]:
    """Yield a job for each endpoint; none if the registry is read-only: another one may deliver from its journal."""
    if configuration.storage.maintenance.readonly.enabled:
        return
    for consumer in consumers(configuration.notifications):
        running = _Delivering(consumer, dispatch, configuration.notifications.journal)
        yield Job(f"notifications_{consumer.name}", running.run, _BROKEN_SECONDS, ends_soon=True)


@dataclass
class _Delivering:
    consumer: EndpointConsumer
    dispatch: Dispatch
    section: Journal

    def run(self) -> float:
        """Deliver what there is; whether the endpoint takes it is nothing that the job could fail of."""
        try:
            return self._delivery.run()
        except DriverError as error:
            raise JobFailedError(f"endpoint {self.consumer.name} waits for the storage: {error}") from error
        except ParameterError as error:
            raise JobFailedError(f"endpoint {self.consumer.name} is told nothing: {error}") from error

    @cached_property
    def _delivery(self) -> Delivery:
        """The delivery, made in the elected process only."""
        # What speaks HTTP is loaded where events are delivered, and in no command.
        from registry.journal.cursors import Cursors  # noqa: PLC0415
        from registry.journal.reader import NEAR, Reader  # noqa: PLC0415
        from registry.notifications.counts import Counts  # noqa: PLC0415
        from registry.notifications.dead import DeadLetters  # noqa: PLC0415
        from registry.notifications.delivery import Delivery, Kept  # noqa: PLC0415
        from registry.notifications.lane import Target  # noqa: PLC0415
        from registry.notifications.sending import Sender  # noqa: PLC0415
        from registry.notifications.standing import Report  # noqa: PLC0415

        name, dispatch = self.consumer.name, self.dispatch
        driver = dispatch.driver
        target = Target(Sender(self.consumer.endpoint), Counts(dispatch.metrics, name), Report(name, dispatch.told))
        reader = Reader(driver.log(paths.JOURNAL), name, hold_seconds=dispatch.hold_seconds)
        return Delivery(
            self.consumer,
            target,
            Kept(reader, Cursors(driver), DeadLetters(driver, self.section.maxdead)),
            held=dispatch.held,
            stopping=dispatch.stopping,
            most=self.section.maxevents,
            poll_seconds=_POLL_SECONDS if driver.name in NEAR else _SLOW_POLL_SECONDS,
        )
