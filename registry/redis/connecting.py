"""Clients of redis from the ``redis`` section: go-redis' options in the words of redis-py.

One address is a server, several are a cluster; with a `mastername` they are sentinels. Zero is a default, as in Go.
The defaults are ours: a cache must not hold up a request for seconds.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import redis
from redis.backoff import FullJitterBackoff
from redis.cluster import ClusterNode, LoadBalancingStrategy
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import Sentinel

from registry.config import ConfigurationError
from registry.foundation import addresses
from registry.foundation.files import read_file
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config.remote import Redis, RedisTLS

_TIMEOUT_SECONDS: Final = 0.5
_LEAST_BACKOFF_SECONDS: Final = 0.008
_MOST_BACKOFF_SECONDS: Final = 0.512
_CONNECTIONS: Final = 128
"""A worker has no more threads than that, and each needs one connection at a time."""
_PROTOCOLS: Final = frozenset({0, 2, 3})
_PORT: Final = 6379


class Client(Protocol):
    """What is asked of redis. Every call may raise anything that the library and the network come up with."""

    def get(self, name: str) -> bytes | None:
        """Return the string at `name`."""

    def set(self, name: str, value: int, *, ex: int) -> object:
        """Replace what is at `name`, for `ex` seconds."""

    def delete(self, *names: str) -> object:
        """Delete what is at `names`."""

    def close(self) -> None:
        """Close all connections."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes clients of the redis called `name`. The client of a cluster talks to it when it is made; others do not."""

    name: str
    connect: Callable[[], Client]


def connector(section: Redis) -> Connector:
    """Return what connects as `section` says.

    Raises:
        ConfigurationError: an address, a file or the protocol cannot be used.
    """
    if section.protocol not in _PROTOCOLS:
        raise ConfigurationError("redis.protocol", f"must be 2 or 3, not {section.protocol}")
    options = _options(section)
    addresses = [_address(text, f"redis.addrs[{index}]") for index, text in enumerate(section.addrs)]
    name = f"redis {', '.join(section.addrs)}"
    if (section.mastername or len(addresses) > 1) and any(host.startswith("/") for host, _ in addresses):
        raise ConfigurationError("redis.addrs", "a socket can only be the address of a single server")
    if section.mastername:
        return Connector(f"{name} ({section.mastername})", lambda: _replicated(section, addresses, options))
    if len(addresses) > 1:
        return Connector(name, lambda: _cluster(section, addresses, options))
    ((host, port),) = addresses
    where = {"unix_socket_path": host} if host.startswith("/") else {"host": host, "port": port}
    return Connector(name, lambda: _client(redis.Redis(db=section.db, **where, **options)))


def _replicated(section: Redis, addresses: list[tuple[str, int]], options: dict[str, Any]) -> Client:
    credentials = {"username": section.sentinelusername or None, "password": section.sentinelpassword or None}
    sentinels: Any = Sentinel  # untyped, as the next one is
    watched = sentinels(addresses, sentinel_kwargs={**options, **credentials}, db=section.db, **options)
    return _client(watched.master_for(section.mastername))


def _cluster(section: Redis, addresses: list[tuple[str, int]], options: dict[str, Any]) -> Client:
    strategy = None
    if section.routerandomly or section.routebylatency:
        strategy = LoadBalancingStrategy.RANDOM
    elif section.readonly:
        strategy = LoadBalancingStrategy.RANDOM_REPLICA
    node: Any = ClusterNode
    nodes = [node(host, port) for host, port in addresses]
    # A cluster that has lost some of its slots still has the others.
    cluster = redis.RedisCluster(
        startup_nodes=nodes, require_full_coverage=False, load_balancing_strategy=strategy, **options
    )
    return _client(cluster)


def _client(client: object) -> Client:
    # The library's own types allow for clients of asyncio, whose answers would have to be awaited.
    return cast("Client", client)


def _options(section: Redis) -> dict[str, Any]:
    """Return the arguments that all clients take alike."""
    transfer_seconds = max(section.readtimeout_seconds, section.writetimeout_seconds)
    backoff = FullJitterBackoff(
        base=_given(section.minretrybackoff_seconds, _LEAST_BACKOFF_SECONDS),
        cap=_given(section.maxretrybackoff_seconds, _MOST_BACKOFF_SECONDS),
    )
    options: dict[str, Any] = {
        "client_name": section.clientname or None,
        "username": section.username or None,
        "password": section.password or None,
        "protocol": section.protocol or 2,
        "socket_connect_timeout": _given(section.dialtimeout_seconds, _TIMEOUT_SECONDS),
        "socket_timeout": _given(transfer_seconds, _TIMEOUT_SECONDS),
        "max_connections": section.maxactiveconns or section.poolsize or _CONNECTIONS,
        "retry": Retry(backoff, max(section.maxretries, 0)),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if section.disableidentity:
        options["driver_info"] = None
    return options | _tls(section.tls)


def _given(seconds: float, default_seconds: float) -> float:
    return seconds if seconds > 0 else default_seconds


def _tls(section: RedisTLS) -> dict[str, Any]:
    if not (section.enabled or section.certificate or section.key or section.rootcas):
        return {}
    context = ssl.create_default_context()
    options: dict[str, Any] = {"ssl": True}
    if section.certificate or section.key:
        files = [path for path in (section.certificate, section.key) if path]
        try:
            for path in files:
                read_file(path)  # OpenSSL would wait for a pipe
            context.load_cert_chain(section.certificate, section.key or None)
        except (OSError, ssl.SSLError) as error:
            reason = f"{section.certificate}, {section.key}: {reason_unreadable(error, *files)}"
            raise ConfigurationError("redis.tls.certificate", reason) from error
        options |= {"ssl_certfile": section.certificate, "ssl_keyfile": section.key or None}
    authorities = []
    for index, path in enumerate(section.rootcas):
        try:
            authorities.append(read_file(path).decode("ascii"))
            context.load_verify_locations(cadata=authorities[-1])
        except (OSError, ValueError) as error:  # what the ssl module raises is an OSError
            reason = f"{path}: {reason_unreadable(error, path) if isinstance(error, OSError) else 'not PEM'}"
            raise ConfigurationError(f"redis.tls.rootcas[{index}]", reason) from error
    if authorities:
        options["ssl_ca_data"] = "\n".join(authorities)
    return options


def _address(text: str, key: str) -> tuple[str, int]:
    """Return host and port, or the path of a socket and no port.

    The text stays unsaid in errors: it may be a URL with a password.
    """
    if text.startswith("/"):
        return text, 0
    try:
        host, port = addresses.parse(text, default_port=_PORT)
    except ValueError:
        host, port = "", 0
    if not host or not port or "/" in host or "@" in host:
        raise ConfigurationError(key, "must be HOST:PORT or the path of a socket")
    return host, port
