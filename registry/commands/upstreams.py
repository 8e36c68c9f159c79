"""What ``registry doctor --config`` says of the registries that a configuration caches."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from registry.doctor.findings import odd, well, wrong
from registry.foundation.errors import ParameterError
from registry.oci.errors import UpstreamError, UpstreamLimitedError, UpstreamRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config import Configuration
    from registry.config.upstreams import Upstream as Settings
    from registry.doctor.findings import Finding
    from registry.upstream.client import Standing


def examine_upstreams(configuration: Configuration, begin: Callable[[str], None]) -> Iterator[Finding]:
    """Yield what there is to say of each upstream, which is asked for access and for nothing else.

    `begin` is told whom it asks.
    """
    for settings in configuration.upstreams:
        begin(f"asking the upstream {settings.name}")
        yield _examined(settings)


def _examined(settings: Settings) -> Finding:
    from registry.upstream.client import Upstream  # noqa: PLC0415  other commands need none of it

    check = f"upstream {settings.name}"
    try:
        with closing(Upstream(settings)) as upstream:
            return _judged(check, upstream.check())
    except ParameterError as error:
        return wrong(check, str(error), "the server does not start with it: see registry config check")
    except UpstreamRefusedError as error:
        return wrong(check, str(error), "are the credentials of its entry right, and not expired?")
    except UpstreamLimitedError as error:
        return odd(check, str(error), "log in to it, or let more be cached for longer; what is cached is served")
    except UpstreamError as error:
        return wrong(check, str(error), "can this machine reach its remoteurl? What is cached is served meanwhile")


def _judged(check: str, standing: Standing) -> Finding:
    found = f"it answers {standing.user}" if standing.user else "it answers"
    if standing.remaining is None:
        return well(check, found)
    found = f"{found}, and allows {standing.remaining} more pulls"
    if not standing.remaining:
        return odd(check, found, "log in to it, or wait; what is cached is served")
    return well(check, found)
