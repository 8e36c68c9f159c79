"""What ``registry doctor`` finds of the endpoints of notifications, where it is given a configuration."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from registry.doctor.findings import odd, skipped, well, wrong
from registry.foundation import durations, times
from registry.foundation.errors import ParameterError
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config import Configuration
    from registry.config.events import Endpoint
    from registry.doctor.findings import Finding
    from registry.notifications.overview import Overview

_LONG_NS: Final = 3600 * 10**9
"""How long nothing should wait."""
_SECOND_NS: Final = 10**9


def examine_endpoints(configuration: Configuration, begin: Callable[[str], None]) -> Iterator[Finding]:
    """Yield what there is to say of each endpoint; `begin` is told which is looked at.

    Nothing is sent to it but a HEAD request without its headers.

    Raises:
        DriverError: the storage cannot be read.
    """
    from registry.notifications.overview import overviews  # noqa: PLC0415  other commands need none of it

    section = configuration.notifications
    driver = open_existing_storage(configuration)
    endpoints = {endpoint.name: endpoint for endpoint in section.endpoints}
    for overview in overviews(section, driver):
        check = f"endpoint {overview.name}"
        begin(f"looking at {check}")
        endpoint = endpoints.get(overview.name)
        if endpoint and not endpoint.disabled:
            yield _delivery(endpoint, overview, check)
        elif endpoint:
            yield skipped(check, "disabled")
        if overview.dead:
            advice = "registry notifications list --dead tells why; retry sends them again, purge deletes them"
            yield odd(check, f"{overview.dead} dead letters", advice)


def _delivery(endpoint: Endpoint, overview: Overview, check: str) -> Finding:
    standing = overview.standing
    waits = _spelled_wait(overview)
    if standing.failing_since:
        since = times.spell(int(standing.failing_since) * _SECOND_NS)
        found = f"takes nothing since {since}: {standing.last_error}; {waits}"
        return wrong(check, found, f"registry notifications test {overview.name} tries it now")
    if unreachable := _reach(endpoint):
        return wrong(check, unreachable, "look at its url, timeout and cafile; this machine has to reach it")
    if overview.oldest_ns and time.time_ns() - overview.oldest_ns > _LONG_NS:
        return wrong(check, waits, "does a registry run with this configuration, and is not read-only?")
    return well(check, waits)


def _spelled_wait(overview: Overview) -> str:
    if not overview.waiting:
        return "nothing waits"
    seconds = max(0, time.time_ns() - overview.oldest_ns) // _SECOND_NS
    return f"{overview.waiting} events wait, the first for {durations.spell(seconds)}"


def _reach(endpoint: Endpoint) -> str:
    """Return why `endpoint` cannot be reached, "" if it can: whatever it answers."""
    from registry.foundation.http_client import HttpClient, HttpError  # noqa: PLC0415  as above

    try:
        with closing(HttpClient(cafile=endpoint.cafile, follow=0)) as client:
            client.request("HEAD", endpoint.url, timeout_seconds=endpoint.timeout_seconds)
    except (HttpError, ParameterError) as error:
        return str(error)
    return ""
