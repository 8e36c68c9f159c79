"""``proxies``: the registries that this one caches; ``proxied`` has what is wrong with what somebody says of them.

Annotations are evaluated, as those of ``values`` are, so this module does not postpone them.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from registry.config.schema import Mark

Strings = tuple[str, ...]
Secret = Annotated[str, Mark.SECRET]


@dataclass(frozen=True, slots=True)
class Helper:
    """``proxies[].auth.exec``: a credential helper, asked again after `lifetime_seconds`; None is once, 0 each time."""

    command: str = ""
    lifetime_seconds: Annotated[float, Mark.UNIT] | None = None


@dataclass(frozen=True, slots=True)
class UpstreamAuth:
    """``proxies[].auth``: one source of credentials, and the hosts of token services that may get them."""

    username: str = ""
    password: Secret = ""
    passwordfile: str = ""
    exec: Helper = Helper()
    dockerconfig: str = ""
    realms: Strings = ()


@dataclass(frozen=True, slots=True)
class UpstreamTLS:
    """``proxies[].tls``."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    insecureskipverify: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """``proxies[].network``: `slowest` in bytes per second, over a minute."""

    httpproxy: str = "environment"
    private: Literal["auto", "allow", "deny"] = "auto"
    connecttimeout_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 5.0
    answertimeout_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 30.0
    stalltimeout_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 60.0
    slowest: Annotated[int, Mark.SIZE] = 1024
    connections: Annotated[int, Mark.ZERO_IS_DEFAULT] = 16
    fills: Annotated[int, Mark.ZERO_IS_DEFAULT] = 8


@dataclass(frozen=True, slots=True)
class UpstreamCache:
    """``proxies[].cache``: `size` in bytes, 0 without a limit; a `ttl_seconds` of 0 is for ever."""

    freshness_seconds: Annotated[float, Mark.UNIT] = 60.0
    negative_seconds: Annotated[float, Mark.UNIT] = 30.0
    maxstale_seconds: Annotated[float, Mark.UNIT] = 0.0
    deleted: Literal["hide", "serve"] = "hide"
    ttl_seconds: Annotated[float, Mark.UNIT] = 7 * 24 * 3600.0
    size: Annotated[int, Mark.SIZE] = 0
    keep: Strings = ()


@dataclass(frozen=True, slots=True)
class Prefetch:
    """``proxies[].prefetch[]``: images fetched before anybody asks, each ``NAME:TAG`` as upstream has it."""

    images: Strings = ()
    platforms: Strings = ()
    interval_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """``proxies[]``: one of the registries that this one caches.

    `name` is a label of metrics and a component of paths. `classic` says that it was made of the section ``proxy``.
    Configuration.upstreams has them with a `prefix` and a plain `remoteurl`, without "/" or "/v2" at its end.
    """

    name: str = ""
    remoteurl: Annotated[str, Mark.URL] = ""
    remoteprefix: str = ""
    prefix: str = ""
    namespaces: Strings = ()
    hosts: Strings = ()
    default: bool = False
    library: bool = False
    allow: Strings = ()
    deny: Strings = ()
    push: Literal["deny", "allow"] = "deny"
    auth: UpstreamAuth = UpstreamAuth()
    tls: UpstreamTLS = UpstreamTLS()
    network: Network = Network()
    cache: UpstreamCache = UpstreamCache()
    prefetch: tuple[Prefetch, ...] = ()
    classic: Annotated[bool, Mark.NOT_A_KEY] = False
