"""``python -m registry.server.evicting``: a sweep over what is cached, in a process of its own.

It is started by registry.proxy.eviction.jobs, and told what to do by registry.jobs.child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drivers.base import DriverError
from registry.jobs.child import answer_parent
from registry.observation import log
from registry.proxy.eviction.sweep import answer
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.proxy.eviction.jobs import Task


def evict(task: Task, stopping: Callable[[], bool]) -> Mapping[str, Any]:
    """Sweep; return what was done, or why nothing was."""
    log.configure(task.configuration.log)
    try:
        driver = open_existing_storage(task.configuration)
    except DriverError as error:
        return {"error": str(error)}
    return answer(task.configuration, driver, stopping)


if __name__ == "__main__":
    answer_parent(evict)
