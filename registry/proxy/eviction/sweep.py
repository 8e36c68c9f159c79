"""A sweep over what is cached, as the configuration says."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from drivers.base import DriverError
from registry.config.cached import Cached
from registry.foundation.sizes import spelled
from registry.proxy.eviction.evicting import CollectionRunsError, Eviction
from registry.proxy.eviction.outcomes import rules_of, write_swept
from registry.proxy.eviction.scheduler import write_scheduler_state
from registry.storage.repository import Repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.config.upstreams import Upstream
    from registry.proxy.eviction.outcomes import Outcome
    from registry.proxy.eviction.usage import Usage

_log = logging.getLogger(__name__)


def answer(configuration: Configuration, driver: StorageDriver, stopping: Callable[[], bool]) -> Mapping[str, Any]:
    """Sweep as sweep() does; return what a process that was asked for that answers: its outcomes, or why not."""
    try:
        return {"outcomes": [asdict(each) for each in sweep(configuration, driver, stopping)]}
    except CollectionRunsError as error:
        return {"busy": str(error)}
    except DriverError as error:
        return {"error": str(error)}


def sweep(configuration: Configuration, driver: StorageDriver, stopping: Callable[[], bool]) -> list[Outcome]:
    """Evict what the configuration says until that is done or `stopping` is true; log it, and remember it.

    Raises:
        CollectionRunsError: a garbage collection is on.
        DriverError: the storage failed.
    """
    upstreams = configuration.upstreams

    def visit(usage: Usage) -> None:
        write_scheduler_state(driver, upstreams, usage)

    eviction = Eviction(driver, Repositories(driver), Cached(upstreams), going_on=lambda: not stopping())
    outcomes = eviction.sweep(visit)
    for upstream, outcome in zip(upstreams, outcomes, strict=True):
        _tell(upstream, outcome)
    write_swept(driver, rules_of(configuration), outcomes)
    return outcomes


def _tell(upstream: Upstream, outcome: Outcome) -> None:
    if outcome.manifests or outcome.blobs or outcome.tags:
        _log.info("evicted what was cached of %s", upstream.name, extra=asdict(outcome))
    if outcome.full:
        held, allowed = spelled(outcome.size), spelled(upstream.cache.size)
        why = "the rest was pushed, is kept, or was used within the last hour"
        _log.warning("%s is held of %s, more than its cache.size, %s: %s", held, upstream.name, allowed, why)
