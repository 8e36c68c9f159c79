"""What of the endpoints only shows when it is tried: what can be done with a URL, and the files that they name."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from registry.config import ConfigurationError, Findings
from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from registry.config.events import Endpoint, Notifications


def require_usable(section: Notifications) -> None:
    """Return if what sends to each endpoint of the ``notifications`` section can be had. Nothing is sent.

    Raises:
        ConfigurationError: it cannot, for one that is not disabled.
    """
    findings = Findings()
    for index, endpoint in enumerate(section.endpoints):
        if not endpoint.disabled:
            with findings.gathered():
                _require_usable(endpoint, f"notifications.endpoints[{index}]")
    findings.conclude()


def _require_usable(endpoint: Endpoint, key: str) -> None:
    # What speaks HTTP is loaded where there is an endpoint.
    from registry.foundation.http_client import HttpError, Location  # noqa: PLC0415
    from registry.notifications.sending import Sender  # noqa: PLC0415

    try:
        Location.parse(endpoint.url)
    except HttpError as error:
        raise ConfigurationError(f"{key}.url", f"nothing can be sent there: {error}") from error
    try:
        with closing(Sender(endpoint)):
            pass
    except ParameterError as error:
        raise ConfigurationError(f"{key}.{error.path}", str(error).removeprefix(f"{error.path}: ")) from error
