"""What ``registry doctor`` finds of quotas, where it is given a configuration."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.doctor.findings import odd, well, wrong
from registry.foundation import times
from registry.foundation.sizes import spelled
from registry.services import open_existing_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config import Configuration
    from registry.doctor.findings import Finding
    from registry.quota.standing import Standing

_LONG_SECONDS: Final = 48 * 3600.0
"""How long ago a quota should not have been counted last."""
_FULL_PERCENT: Final = 100
_NEARLY_PERCENT: Final = 90
_IS_IT_RUNNING: Final = "does a registry run with this configuration? registry usage --recount counts it now"


def examine_quotas(configuration: Configuration) -> Iterator[Finding]:
    """Yield what there is to say of each quota."""
    from registry.quota.standing import standings  # noqa: PLC0415  other commands need none of it

    quotas = configuration.storage.maintenance.quotas
    if not quotas:
        return
    try:
        told = list(standings(open_existing_storage(configuration), quotas))
    except DriverError as error:
        advice = "it is the storage of the file that --config names: may this user read it, on this machine?"
        yield wrong("quotas", str(error), advice)
        return
    yield from map(_judged, told)


def _judged(standing: Standing) -> Finding:
    check = f"quota {standing.quota}"
    found = f"{spelled(standing.used)} of {spelled(standing.limit)}, {standing.percent} %"
    if standing.percent >= _FULL_PERCENT:
        return wrong(check, f"{found}: pushes are refused", "delete something and count anew, or raise its limit")
    if standing.counted is None:
        return odd(check, f"{found}; it was never counted", _IS_IT_RUNNING)
    if time.time() - standing.counted > _LONG_SECONDS:
        counted = times.spell(int(standing.counted) * 10**9)
        return odd(check, f"{found}; it was counted last at {counted}", _IS_IT_RUNNING)
    if standing.percent >= _NEARLY_PERCENT:
        return odd(check, found, "soon pushes are refused: delete something and count anew, or raise its limit")
    return well(check, found)
