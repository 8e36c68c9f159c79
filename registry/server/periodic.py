"""All periodic work of a server, in one list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from registry.audit import jobs as audit
from registry.audit import watching
from registry.fsck import jobs as scrub
from registry.health.checks import configured_checks, optional_check
from registry.index.consumer import NAME as INDEX
from registry.jobs import cluster, health, journal, purge, quotas
from registry.jobs.cluster import Cluster, member_name
from registry.jobs.hold import Hold
from registry.lifecycle import jobs as collection
from registry.notifications import jobs as notifications
from registry.proxy import prefetch
from registry.proxy import watching as upstreams
from registry.proxy.eviction import jobs as eviction
from registry.proxy.fills import abandoned
from registry.retention import jobs as retention
from registry.server.acme import renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config.values import Configuration
    from registry.health.checks import Check
    from registry.jobs.job import Job
    from registry.observation.metrics import Metrics
    from registry.services import Services


def periodic_jobs(services: Services, stopping: Callable[[], bool] = lambda: False) -> Iterator[Job]:
    """Yield the jobs that the configuration asks for; of a registry that is read-only, none writes but that of pulls.

    `stopping` tells whether this process is about to stop.
    """
    configuration = services.configuration
    maintenance = configuration.storage.maintenance
    if not maintenance.readonly.enabled:
        yield from purge.jobs(services.repositories, maintenance.uploadpurging, list(_left_behind(services)))
    yield from quotas.jobs(services.driver, services.quotas)
    yield from collection.jobs(configuration, services.driver, _metrics(services))
    yield from scrub.jobs(configuration, services.driver, _metrics(services))
    yield from eviction.jobs(configuration, services.driver, _metrics(services), stopping)
    yield from prefetch.jobs(configuration, services.driver, services.repositories, services.proxied, stopping)
    publishing = services.publishing(retention.RetentionOperator())
    yield from retention.jobs(
        configuration,
        services.driver,
        services.repositories,
        publishing,
        stopping=stopping,
        meter=_metrics(services),
    )
    yield from cluster.jobs(services.driver, configuration, services.board, services.instance.id)
    if waited_for := _waited_for(services):
        yield from journal.jobs(configuration, services.driver, services.lease, waited_for)
    elif services.recorder:
        yield from journal.jobs_without_cursors(configuration, services.driver)
    dispatch = _dispatch(services, stopping)
    yield from notifications.jobs(configuration, dispatch)
    yield from audit.jobs(configuration, services.driver, dispatch.held, dispatch.hold_seconds)
    if services.index:
        yield from _index_jobs(services, dispatch)
    yield from watching.jobs(configuration, services.driver, services.instance, services.reloads)
    if services.proxied:
        yield from upstreams.jobs(services.proxied.upstreams)
    yield from renewal.jobs(configuration.http.tls.letsencrypt)
    # Last, as there may be more of them than are told of.
    yield from health.jobs(services.board, list(_checks(services)))


def _index_jobs(services: Services, dispatch: notifications.Dispatch) -> Iterator[Job]:
    # Loaded, with SQLite, where there is an index.
    from registry.index import jobs as index  # noqa: PLC0415

    yield from index.jobs(services.configuration, services.driver, services.repositories, dispatch.hold_seconds)


def have_much_to_do(configuration: Configuration) -> bool:
    """Tell whether some of the jobs work all the time: those that read the journal, which each change adds to."""
    if configuration.ui.enabled and configuration.ui.index.directory:
        return True
    if configuration.storage.maintenance.readonly.enabled:
        return False
    return configuration.audit.enabled or any(not each.disabled for each in configuration.notifications.endpoints)


def _waited_for(services: Services) -> list[str]:
    """Return the consumers of the journal that have a cursor in the storage; those of the indexes are on each host."""
    return [name for name in services.recorder.consumer_names if name != INDEX] if services.recorder else []


def _left_behind(services: Services) -> Iterator[Callable[[], object]]:
    """Yield what clears away a journal that nobody reads any more, and blobs that nobody has fetched to their end."""
    if not services.recorder:
        section = services.configuration.notifications.journal
        yield partial(journal.trim_unread, services.driver, keep_seconds=section.keep_seconds)
    if services.configuration.upstreams:
        yield partial(abandoned.purge, services.driver)


def _checks(services: Services) -> Iterator[Check]:
    configuration = services.configuration
    read_only = configuration.storage.maintenance.readonly.enabled
    yield from configured_checks(configuration.health, services.driver, read_only=read_only)
    if services.redis:
        yield optional_check("redis", services.redis.look)


def _dispatch(services: Services, stopping: Callable[[], bool]) -> notifications.Dispatch:
    driver = services.driver
    hold = Hold(driver, Cluster(driver), member_name(services.configuration.http.addr))
    return notifications.Dispatch(driver, services.lease.held, stopping, hold, services.told, _metrics(services))


def _metrics(services: Services) -> Metrics | None:
    return services.observer.metrics if services.observer else None
