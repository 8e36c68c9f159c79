"""Tells the log which upstreams cannot be used, at the start and when that changes; nothing else depends on it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from registry.jobs.job import Job
from registry.oci.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.upstream.client import Upstream

_INTERVAL_SECONDS: Final = 600.0
_log = logging.getLogger(__name__)


def jobs(upstreams: Iterable[Upstream]) -> Iterator[Job]:
    """Yield a job for each upstream, which asks it for access now and then, and for nothing else."""
    for each in upstreams:
        yield Job(f"upstream {each.name}", Watch(each).run, _INTERVAL_SECONDS)


class Watch:
    """Looks after one upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._told = ""

    def run(self) -> None:
        """Ask the upstream, and tell what has changed."""
        try:
            self._upstream.check()
        except UpstreamError as error:
            trouble = str(error)
        else:
            trouble = ""
        if trouble == self._told:
            return
        self._told = trouble
        if trouble:
            _log.warning("an upstream cannot be used, what is cached of it is served: %s", trouble)
        else:
            _log.info("upstream %s can be used again", self._upstream.name)
