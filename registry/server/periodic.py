"""All periodic work of a server, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.health.checks import configured_checks, optional_check
from registry.jobs import cluster, health, purge
from registry.lease import Lease, this_server
from registry.notifications import jobs as notifications
from registry.server.acme import renewal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.health.checks import Check
    from registry.jobs.job import Job
    from registry.services import Services


def periodic_jobs(services: Services) -> Iterator[Job]:
    """Yield the jobs that the configuration asks for; none writes to a registry that is read-only."""
    configuration = services.configuration
    maintenance = configuration.storage.maintenance
    if not maintenance.readonly.enabled:
        yield from purge.jobs(services.repositories, maintenance.uploadpurging)
    yield from cluster.jobs(services.driver, configuration, services.board)
    yield from notifications.jobs(configuration, _dispatch(services))
    yield from renewal.jobs(configuration.http.tls.letsencrypt)
    # Last, as there may be more of them than are told of.
    yield from health.jobs(services.board, list(_checks(services)))


def _checks(services: Services) -> Iterator[Check]:
    configuration = services.configuration
    read_only = configuration.storage.maintenance.readonly.enabled
    yield from configured_checks(configuration.health, services.driver, read_only=read_only)
    if services.redis:
        yield optional_check("redis", services.redis.look)


def _dispatch(services: Services) -> notifications.Dispatch:
    lease = Lease(services.driver, "journal", this_server(services.configuration.http.addr))
    metrics = services.observer.metrics if services.observer else None
    return notifications.Dispatch(services.driver, held=lease.held, hold_seconds=lambda: 0.0, metrics=metrics)
