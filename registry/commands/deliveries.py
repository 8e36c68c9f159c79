"""What ``registry doctor`` finds of those who are told of changes, where it is given a configuration.

They are the endpoints of notifications, and the audit log with its outputs.
"""

from __future__ import annotations

import time
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.config.outputs import syslog_target
from registry.doctor.findings import odd, skipped, well, wrong
from registry.foundation import durations, times
from registry.foundation.errors import ParameterError
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from registry.audit.overview import Backlog
    from registry.config import Configuration
    from registry.config.events import Audit, Endpoint, Notifications
    from registry.doctor.findings import Finding
    from registry.notifications.overview import Overview

_LONG_NS: Final = 3600 * 10**9
"""How long nothing should wait."""
_SECOND_NS: Final = 10**9
_IS_IT_RUNNING: Final = "does a registry run with this configuration, and is not read-only?"


def examine_deliveries(configuration: Configuration, begin: Callable[[str], None]) -> Iterator[Finding]:
    """Look at what waits, and return an iterator over what there is to say of each endpoint and output.

    So call this before anything is pushed that is not to count. `begin` is told what is looked at. Nothing is sent to
    an endpoint but a HEAD request without its headers, and nothing to a syslog.
    """
    from registry.audit.overview import backlogs, unrecorded_ns  # noqa: PLC0415  other commands need none of it
    from registry.notifications.overview import overviews  # noqa: PLC0415  as above

    notifications, audit = configuration.notifications, configuration.audit
    begin("looking at what waits in the storage")
    try:
        driver = open_existing_storage(configuration)
        endpoints = list(overviews(notifications, driver))
        unrecorded, outputs = (unrecorded_ns(driver), list(backlogs(audit, driver))) if audit.enabled else (0, [])
    except DriverError as error:
        advice = "it is the storage of the file that --config names: may this user read it, on this machine?"
        return iter([wrong("storage", str(error), advice)])
    found = _endpoints(notifications, endpoints, begin)
    return chain(found, _audit(audit, unrecorded, outputs, begin)) if audit.enabled else found


def _endpoints(section: Notifications, found: Sequence[Overview], begin: Callable[[str], None]) -> Iterator[Finding]:
    endpoints = {endpoint.name: endpoint for endpoint in section.endpoints}
    for overview in found:
        check = f"endpoint {overview.name}"
        begin(f"looking at {check}")
        endpoint = endpoints.get(overview.name)
        if endpoint and not endpoint.disabled:
            yield _delivery(endpoint, overview, check)
        elif endpoint:
            yield skipped(check, "disabled")
        if overview.dead:
            advice = "registry notifications list --dead tells why; retry sends them again, purge deletes them"
            yield odd(check, f"{overview.dead} dead {'letter' if overview.dead == 1 else 'letters'}", advice)


def _delivery(endpoint: Endpoint, overview: Overview, check: str) -> Finding:
    standing = overview.standing
    waits = _spelled_wait(overview.waiting, "event", overview.oldest_ns)
    if standing.failing_since:
        since = times.spell(int(standing.failing_since) * _SECOND_NS)
        found = f"takes nothing since {since}: {standing.last_error}; {waits}"
        return wrong(check, found, f"registry notifications test {overview.name} tries it now")
    if unreachable := _reach(endpoint):
        return wrong(check, unreachable, "look at its url, timeout and cafile; this machine has to reach it")
    if _is_long_ago(overview.oldest_ns):
        return wrong(check, waits, _IS_IT_RUNNING)
    return well(check, waits)


def _reach(endpoint: Endpoint) -> str:
    """Return why `endpoint` cannot be reached, "" if it can: whatever it answers."""
    from registry.foundation.http_client import HttpClient, HttpError  # noqa: PLC0415  as above

    try:
        with closing(HttpClient(cafile=endpoint.cafile, follow=0)) as client:
            client.request("HEAD", endpoint.url, timeout_seconds=endpoint.timeout_seconds)
    except (HttpError, ParameterError) as error:
        return str(error)
    return ""


def _audit(
    section: Audit, unrecorded_ns: int, outputs: Sequence[Backlog], begin: Callable[[str], None]
) -> Iterator[Finding]:
    if _is_long_ago(unrecorded_ns):
        yield wrong("audit log", f"has nothing of changes since {times.spell(unrecorded_ns)}", _IS_IT_RUNNING)
    else:
        yield well("audit log", "is up to date" if not unrecorded_ns else "is being written")
    for backlog in outputs:
        check = f"audit {backlog.name}"
        begin(f"looking at {check}")
        waits = _spelled_wait(backlog.lines, "line", backlog.oldest_ns)
        unreachable = _reach_syslog(section) if backlog.name == "syslog" else ""
        if unreachable:
            yield wrong(check, f"{unreachable}; {waits}", "look at audit.syslog; this machine has to reach it")
        elif not backlog.has_begun:
            yield odd(check, "no registry has told it anything yet", _IS_IT_RUNNING)
        elif _is_long_ago(backlog.oldest_ns):
            yield wrong(check, waits, "does a registry run with this configuration, and does its log say why?")
        else:
            yield well(check, waits)


def _reach_syslog(section: Audit) -> str:
    """Return why the syslog cannot be reached, "" if it can, as far as can be told: UDP does not tell much."""
    from registry.audit.syslog import Syslog, reason_of  # noqa: PLC0415  as above

    target = syslog_target(section)
    try:
        if target:
            with closing(Syslog(target)) as syslog:
                syslog.connect()
    except (OSError, ValueError) as error:
        return f"{target} cannot be reached: {reason_of(error)}"
    return ""


def _is_long_ago(time_ns: int) -> bool:
    """Tell whether that is longer than anything should wait; 0 is when nothing waits."""
    return bool(time_ns) and time.time_ns() - time_ns > _LONG_NS


def _spelled_wait(number: int, what: str, oldest_ns: int) -> str:
    if not number:
        return "nothing waits"
    seconds = max(0, time.time_ns() - oldest_ns) // _SECOND_NS
    subject = f"1 {what} waits" if number == 1 else f"{number} {what}s wait"
    return f"{subject}, {'' if number == 1 else 'the first '}for {durations.spell(seconds)}"
