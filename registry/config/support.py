"""Keys that are understood but not yet obeyed.

Where a key left unobeyed would open a hole (an `auth` that lets everybody in) or serve something else than
was asked for, the start is refused; anything else is a warning. Whoever builds a feature removes its line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.config.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config.values import HTTP, Configuration


def refuse_unsupported(configuration: Configuration) -> None:
    """Raise for the first key that asks for what is not there.

    Raises:
        ConfigurationError: there is one.
    """
    endpoints = configuration.notifications.endpoints
    asked = {
        "proxy.remoteurl": configuration.proxy.remoteurl != "",
    }
    for kind, entries in configuration.middleware.items():
        if kind != "storage":
            asked |= {f"middleware.{kind}[{i}]": not entry.disabled for i, entry in enumerate(entries)}
    asked |= {f"notifications.endpoints[{i}]": not endpoint.disabled for i, endpoint in enumerate(endpoints)}
    for key, is_asked in asked.items():
        if is_asked:
            raise ConfigurationError(key, "not supported yet")


def warn_unsupported(configuration: Configuration) -> tuple[str, ...]:
    """Return a warning for each key that is ignored for now."""
    asked = {
        "redis": configuration.redis.addrs != (),
        "storage.cache.blobdescriptor": configuration.storage.cache.blobdescriptor != "",
        "storage.tag.concurrencylimit": configuration.storage.tag.concurrencylimit != 0,
    }
    ignored = [f"{key}: not supported yet, ignored" for key, is_asked in asked.items() if is_asked]
    return (*ignored, *_warn_outdated(configuration.http))


def _warn_outdated(http: HTTP) -> Iterator[str]:
    """Yield a warning for each key that is understood and, on purpose, not obeyed to the letter."""
    if http.h2c.enabled:
        yield "http.h2c.enabled: HTTP/2 is spoken by the proxy in front, not by the registry: ignored"
    if http.tls.minimumtls in {"tls1.0", "tls1.1"}:
        yield f"http.tls.minimumtls: {http.tls.minimumtls} is not spoken any more (RFC 8996): tls1.2 is the minimum"
