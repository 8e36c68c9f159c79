"""Keys that are understood but not yet obeyed, or not to the letter.

Where a key left unobeyed would open a hole (an `auth` that lets everybody in) or serve something else than
was asked for, the start is refused; anything else is a warning. A change that builds a feature removes its line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from registry.config.collection import warn_collection, window_of
from registry.config.endpoints import warn_endpoints
from registry.config.errors import ConfigurationError
from registry.config.events import Audit
from registry.config.outputs import syslog_target
from registry.config.proxied import warn_proxied
from registry.config.quotas import warn_quotas
from registry.config.remote import Redis
from registry.config.retention import warn_retention
from registry.config.ui import check_ui
from registry.config.values import Cache
from registry.foundation import proxies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config.values import HTTP, Configuration, Maintenance

_CACHES = ("inmemory", "redis")
_NO_EFFECT_ON_REDIS = {
    "contexttimeoutenabled": "the timeouts hold in any case",
    "poolfifo": "the connection used last is taken first",
    "pooltimeout_seconds": "where all connections are in use, storage is asked at once",
    "minidleconns": "connections are opened when they are needed",
    "maxidleconns": "connections stay open, poolsize says how many there may be",
    "connmaxidletime_seconds": "connections stay open, one that was closed is opened again",
    "connmaxlifetime_seconds": "connections stay open, one that was closed is opened again",
    "maxredirects": "a cluster is followed 16 times",
    "identitysuffix": "the library's name is told as it is",
    "unstableresp3": "no command needs it",
    "routebylatency": "latency is not measured, reads go to any node of a cluster",
}


def refuse_unsupported(configuration: Configuration) -> None:
    """Raise for the first key that asks for what is not there, or that does not say where.

    Raises:
        ConfigurationError: there is one.
    """
    syslog_target(configuration.audit)
    check_ui(configuration.ui)
    window_of(configuration.storage.maintenance.garbagecollection)
    if configuration.storage.cache.blobdescriptor == "redis" and not configuration.redis.addrs:
        raise ConfigurationError("storage.cache.blobdescriptor", "redis needs redis.addrs")
    asked: dict[str, bool] = {}
    for kind, entries in configuration.middleware.items():
        if kind != "storage":
            asked |= {f"middleware.{kind}[{i}]": not entry.disabled for i, entry in enumerate(entries)}
    for key, is_asked in asked.items():
        if is_asked:
            raise ConfigurationError(key, "not supported yet")


def warn_unsupported(configuration: Configuration) -> tuple[str, ...]:
    """Return a warning for each key that is ignored for now."""
    asked = {
        "storage.tag.concurrencylimit": configuration.storage.tag.concurrencylimit != 0,
    }
    ignored = [f"{key}: not supported yet, ignored" for key, is_asked in asked.items() if is_asked]
    maintenance = configuration.storage.maintenance
    return (
        *ignored,
        *warn_collection(maintenance.garbagecollection, read_only=maintenance.readonly.enabled),
        *_warn_http(configuration.http),
        *_warn_cache(configuration),
        *warn_endpoints(configuration.notifications),
        *_warn_audit(configuration),
        *warn_quotas(configuration.storage.maintenance.quotas),
        *_warn_scrub(configuration.storage.maintenance),
        *warn_retention(configuration.storage.maintenance.retention),
        *warn_proxied(configuration),
    )


def _warn_scrub(maintenance: Maintenance) -> Iterator[str]:
    if maintenance.scrub.enabled and maintenance.readonly.enabled:
        yield "storage.maintenance.scrub: ignored, as the registry is read-only; registry fsck checks what is stored"


def _warn_audit(configuration: Configuration) -> Iterator[str]:
    audit = configuration.audit
    if not audit.enabled and audit != Audit():
        yield "audit: ignored, as audit.enabled is not set"
    if audit.enabled and configuration.storage.maintenance.readonly.enabled:
        yield "audit: a registry that is read-only records neither logins nor denials"


def _warn_http(http: HTTP) -> Iterator[str]:
    yield from _warn_outdated(http)
    yield from _warn_without_effect(http)
    yield from _warn_open(http)


def _warn_outdated(http: HTTP) -> Iterator[str]:
    """Yield a warning for each key that is understood and, on purpose, not obeyed to the letter."""
    if http.h2c.enabled:
        yield "http.h2c.enabled: HTTP/2 is spoken by the proxy in front, not by the registry: ignored"
    if http.tls.minimumtls in {"tls1.0", "tls1.1"}:
        yield f"http.tls.minimumtls: {http.tls.minimumtls} is not spoken any more (RFC 8996): tls1.2 is the minimum"


def _warn_without_effect(http: HTTP) -> Iterator[str]:
    """Yield a warning for each key that, as in the Go registry, lacks another one to have an effect, or a safe one."""
    asked = http.tls.letsencrypt
    if not asked.cachefile and (asked.hosts or asked.email or asked.directoryurl):
        yield "http.tls.letsencrypt: ignored without cachefile, so that there is no TLS from it"
    if asked.cachefile and not asked.hosts:
        yield "http.tls.letsencrypt.hosts is empty: whoever asks for a name has a certificate ordered for it; set hosts"
    if http.net == "unix" and http.addr and "/" not in http.addr:
        yield (
            f"http.addr: with http.net unix, {http.addr} is a socket of that name in the directory where the registry"
            f" is started; write ./{http.addr} or a whole path, or http.net: tcp for HOST:PORT"
        )
    host = urlsplit(http.host)
    if http.host and not (host.scheme and host.netloc):
        yield "http.host: ignored, as it is not a whole URL such as https://registry.example"


def _warn_open(http: HTTP) -> Iterator[str]:
    for index, network in enumerate(http.trustedproxies):
        if not proxies.parse_network(network).prefixlen:
            yield f"http.trustedproxies[{index}]: with {network} every client chooses the address that it is known by"


def _warn_cache(configuration: Configuration) -> Iterator[str]:
    cache, redis = configuration.storage.cache, configuration.redis
    if cache.blobdescriptor and cache.blobdescriptor not in _CACHES:
        yield f"storage.cache.blobdescriptor: must be one of {', '.join(_CACHES)}: ignored"
    if cache.blobdescriptor == "redis":
        if cache.blobdescriptorsize != Cache().blobdescriptorsize:
            yield "storage.cache.blobdescriptorsize: concerns the inmemory cache only: ignored"
        yield from _warn_redis(redis)
    elif redis.addrs:
        yield "redis: ignored, as nothing uses it; storage.cache.blobdescriptor: redis would"


def _warn_redis(redis: Redis) -> Iterator[str]:
    """Yield a warning for each option of go-redis that our client has not."""
    default = Redis()
    for attribute, instead in _NO_EFFECT_ON_REDIS.items():
        if getattr(redis, attribute) != getattr(default, attribute):
            key = attribute.removesuffix("_seconds")
            yield f"redis.{key}: {instead}: ignored"
    for attribute in ("dialtimeout", "readtimeout", "writetimeout"):
        if getattr(redis, f"{attribute}_seconds") < 0:
            yield f"redis.{attribute}: to wait without end would hold up requests: the default is taken"
    transfer = (redis.readtimeout_seconds, redis.writetimeout_seconds)
    if min(transfer) > 0 and transfer[0] != transfer[1]:
        yield "redis.writetimeout: there is one timeout for both ways, the longer of it and readtimeout"
    is_cluster = len(redis.addrs) > 1 and not redis.mastername
    if is_cluster and redis.db:
        yield "redis.db: a cluster has none but 0: ignored"
    if not is_cluster and (redis.readonly or redis.routerandomly):
        yield "redis.readonly, redis.routerandomly: concern a cluster only: ignored"
