"""What of the upstreams only shows when it is tried: the files that their entries name. Nothing is asked of them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError, Findings
from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from registry.config import Configuration
    from registry.config.upstreams import Upstream as Settings

_KEYS: Final = {"cafile": "tls.ca", "certificate": "tls.certificate", "key": "tls.key"}
"""Keys of an entry by what the client of HTTP calls them."""


def require_usable(configuration: Configuration) -> None:
    """Return if the client of each upstream can be had. Whether the upstream answers is not looked at.

    Raises:
        ConfigurationError: it cannot.
    """
    findings = Findings()
    for index, settings in enumerate(configuration.upstreams):
        with findings.gathered():
            _require_usable(settings, index)
    findings.conclude()


def _require_usable(settings: Settings, index: int) -> None:
    # What speaks HTTP is loaded where there is an upstream.
    from registry.upstream.client import Upstream  # noqa: PLC0415

    try:
        with closing(Upstream(settings)):
            pass
    except ParameterError as error:
        reason = str(error).removeprefix(f"{error.path}: ")
        path = _KEYS.get(error.path, error.path)
        # What lies in auth of an entry lies in the section itself of the Go registry's.
        key = f"proxy.{path.removeprefix('auth.')}" if settings.classic else f"proxies[{index}].{path}"
        raise ConfigurationError(key, reason) from error
