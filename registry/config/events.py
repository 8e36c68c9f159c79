"""The sections ``notifications`` and ``audit``.

Part of ``values``, whose rules hold here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from registry.config.schema import GoName, Mark, Maximum, Minimum

Strings = tuple[str, ...]
Headers = Annotated[Mapping[str, Strings], Mark.HEADERS]
Secret = Annotated[str, Mark.SECRET]
SecretHeaders = Annotated[Headers, Mark.SECRET]


@dataclass(frozen=True, slots=True)
class Events:
    """``notifications.events``."""

    includereferences: bool = False


@dataclass(frozen=True, slots=True)
class Ignore:
    """``notifications.endpoints[].ignore``."""

    mediatypes: Strings = ()
    actions: Strings = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``notifications.endpoints[]``; one without a `name` is called as the host of its URL, see ``endpoints``."""

    name: str = ""
    disabled: bool = False
    url: str = ""
    headers: SecretHeaders = field(default_factory=dict)
    timeout_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 1.0
    threshold: Annotated[int, Mark.ZERO_IS_DEFAULT] = 10
    backoff_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 1.0
    ignoredmediatypes: Strings = ()
    ignore: Ignore = Ignore()
    repositories: Strings = ()
    exclude: Strings = ()
    format: Literal["docker", "cloudevents"] = "docker"
    secret: Secret = ""
    batch: Annotated[int, Minimum(1), Maximum(1000)] = 1
    parallel: Annotated[int, Minimum(1), Maximum(64)] = 1
    maxbackoff_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 60.0
    maxage_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 72 * 3600.0
    cafile: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """``notifications.journal``: how long entries stay that were delivered, and the most that may wait, and be dead."""

    keep_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 24 * 3600.0
    maxevents: Annotated[int, Mark.ZERO_IS_DEFAULT] = 1_000_000
    maxdead: Annotated[int, Mark.ZERO_IS_DEFAULT] = 10_000


@dataclass(frozen=True, slots=True)
class Notifications:
    """``notifications``."""

    events: Annotated[Events, GoName("EventConfig")] = Events()
    endpoints: tuple[Endpoint, ...] = ()
    journal: Journal = Journal()


@dataclass(frozen=True, slots=True)
class Audit:
    """``audit``: who did what. `maxsize` is in bytes; `syslog` is a URL such as ``udp://HOST:514``."""

    enabled: bool = False
    keep_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 400 * 24 * 3600.0
    maxsize: Annotated[int, Mark.SIZE, Mark.ZERO_IS_DEFAULT] = 10 * 1024**3
    pulls: bool = False
    stdout: bool = False
    syslog: str = ""
