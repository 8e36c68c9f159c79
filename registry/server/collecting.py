"""``python -m registry.server.collecting``: a run of the garbage collection, in a process of its own.

It is started by registry.lifecycle.jobs, and told what to do by registry.jobs.child.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from drivers.base import DriverError
from registry.config.cached import Cached
from registry.jobs.child import answer_parent
from registry.lifecycle.online import OnlineCollection, StoppedError, Surroundings, Terms
from registry.lifecycle.own_run import RunBusyError, RunLostError
from registry.observation import log
from registry.publishing import Operator
from registry.retention.rules import untagged_keepfor
from registry.services import build_publishing, open_existing_storage
from registry.storage import paths, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.config import Configuration
    from registry.lifecycle.jobs import Task
    from registry.lifecycle.reports import Report

_log = logging.getLogger(__name__)


def collect(task: Task, stopping: Callable[[], bool]) -> Mapping[str, Any]:
    """Do a run as ``storage.maintenance.garbagecollection`` says; return its report, or why there is none.

    Where that is not enabled, it is one that frees what was evicted, and condemns nothing.
    """
    runs.PACE = task.pace
    log.configure(task.configuration.log)
    try:
        return {"report": asdict(_run(task.configuration, stopping))}
    except RunBusyError as error:
        return {"busy": str(error)}
    except (DriverError, RunLostError, StoppedError) as error:
        return {"error": str(error)}


def _run(configuration: Configuration, stopping: Callable[[], bool]) -> Report:
    driver = open_existing_storage(configuration)
    publishing = build_publishing(configuration, driver, driver.log(paths.JOURNAL), Operator())
    surroundings = Surroundings.of(configuration, driver, stopping=stopping)
    maintenance = configuration.storage.maintenance
    section = maintenance.garbagecollection
    terms = Terms.of(section, untagged_keepfor(maintenance.retention), Cached(configuration.upstreams))
    terms = replace(terms, condemns=section.enabled)
    report = OnlineCollection(driver, publishing, terms, surroundings).run()
    _log.info("collected garbage", extra={key: value for key, value in asdict(report).items() if value})
    return report


if __name__ == "__main__":
    answer_parent(collect)
