"""Where the audit log goes besides the storage."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from registry.config.errors import ConfigurationError
from registry.foundation import addresses

if TYPE_CHECKING:
    from registry.config.events import Audit

_KEY: Final = "audit.syslog"
_PORT: Final = 514
_LONGEST_PATH: Final = 107
"""Bytes of the path of a socket, see unix(7)."""


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """Where a syslog listens: by ``udp`` or ``tcp`` at `host` and `port`, or by ``unix`` at `path`."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"{self.scheme}://{self.host}:{self.port}"


def syslog_target(section: Audit) -> SyslogTarget | None:
    """Return where ``audit.syslog`` says that a syslog listens; None if it is not set.

    Raises:
        ConfigurationError: it cannot be understood.
    """
    if not section.syslog:
        return None
    try:
        url = urlsplit(section.syslog)
        path = unquote(url.path)
        if url.scheme == "unix" and not url.netloc and path.startswith("/"):
            if "\0" not in path and len(path.encode()) <= _LONGEST_PATH:
                return SyslogTarget("unix", path=path)
            raise ConfigurationError(_KEY, f"has a path that has a NUL or more than {_LONGEST_PATH} bytes")
        if url.scheme in {"udp", "tcp"} and not (url.path or url.query or url.fragment or "@" in url.netloc):
            host, port = addresses.parse(url.netloc, default_port=_PORT)
            if _is_host(host) and port:
                return SyslogTarget(url.scheme, host, port)
    except ValueError:
        pass
    raise ConfigurationError(_KEY, "must be udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH; the port may be left out")


def _is_host(host: str) -> bool:
    """Tell whether `host` is an address, or may be looked up as a name: Python refuses some names with a ValueError."""
    try:
        if ":" in host:
            ipaddress.IPv6Address(host)
        return bool(host.encode("idna")) and host.isprintable() and " " not in host
    except ValueError:
        return False
