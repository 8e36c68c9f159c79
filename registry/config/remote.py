"""The sections that concern other servers: mail, event listeners, redis, health checks, a proxy's upstream.

Part of ``values``, whose rules hold here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from registry.config.schema import ANY_SIGN, GoName, Mark

Strings = tuple[str, ...]
Headers = Annotated[Mapping[str, Strings], Mark.HEADERS]
Secret = Annotated[str, Mark.SECRET]
SecretHeaders = Annotated[Headers, Mark.SECRET]
SignedInteger = Annotated[int, ANY_SIGN]
SignedSeconds = Annotated[float, ANY_SIGN]


@dataclass(frozen=True, slots=True)
class SMTP:
    """``log.hooks[].options.smtp``."""

    addr: str = ""
    username: str = ""
    password: Secret = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class MailOptions:
    """``log.hooks[].options``."""

    smtp: SMTP = SMTP()
    from_: str = ""
    to: Strings = ()


@dataclass(frozen=True, slots=True)
class LogHook:
    """``log.hooks[]``."""

    disabled: bool = False
    type: str = ""
    levels: Strings = ()
    options: Annotated[MailOptions, GoName("MailOptions")] = MailOptions()


@dataclass(frozen=True, slots=True)
class RedisTLS:
    """``redis.tls``; `enabled` is the form of the Go registry 2."""

    enabled: bool = False
    certificate: str = ""
    key: str = ""
    rootcas: Strings = ()


@dataclass(frozen=True, slots=True)
class Redis:
    """``redis``: go-redis' options. Zero takes the client's default, -1 often means "never"."""

    inlined: ClassVar[str] = "OPTIONS"
    """A part of a variable's name that changes nothing: REGISTRY_REDIS_OPTIONS_DB is REGISTRY_REDIS_DB."""

    addrs: Strings = ()
    clientname: str = ""
    db: int = 0
    protocol: int = 0
    username: str = ""
    password: Secret = ""
    sentinelusername: str = ""
    sentinelpassword: Secret = ""
    maxretries: SignedInteger = 0
    minretrybackoff_seconds: SignedSeconds = 0.0
    maxretrybackoff_seconds: SignedSeconds = 0.0
    dialtimeout_seconds: SignedSeconds = 0.0
    readtimeout_seconds: SignedSeconds = 0.0
    writetimeout_seconds: SignedSeconds = 0.0
    contexttimeoutenabled: bool = False
    poolfifo: bool = False
    poolsize: int = 0
    pooltimeout_seconds: SignedSeconds = 0.0
    minidleconns: int = 0
    maxidleconns: int = 0
    maxactiveconns: int = 0
    connmaxidletime_seconds: SignedSeconds = 0.0
    connmaxlifetime_seconds: SignedSeconds = 0.0
    maxredirects: SignedInteger = 0
    readonly: bool = False
    routebylatency: bool = False
    routerandomly: bool = False
    mastername: str = ""
    disableidentity: bool = False
    identitysuffix: str = ""
    unstableresp3: bool = False
    tls: RedisTLS = RedisTLS()


@dataclass(frozen=True, slots=True)
class StorageDriverCheck:
    """``health.storagedriver``; a `threshold` of 0 is 1."""

    enabled: bool = False
    interval_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 10.0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class FileCheck:
    """``health.file[]``: unhealthy while the file exists."""

    file: str = ""
    interval_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 10.0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class HTTPCheck:
    """``health.http[]``; a `timeout_seconds` of 0 is none."""

    uri: str = ""
    headers: SecretHeaders = field(default_factory=dict)
    statuscode: Annotated[int, Mark.ZERO_IS_DEFAULT] = 200
    timeout_seconds: float = 0.0
    interval_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 10.0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class TCPCheck:
    """``health.tcp[]``; a `timeout_seconds` of 0 is none."""

    addr: str = ""
    timeout_seconds: float = 0.0
    interval_seconds: Annotated[float, Mark.ZERO_IS_DEFAULT] = 10.0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """``health``."""

    storagedriver: StorageDriverCheck = StorageDriverCheck()
    file: Annotated[tuple[FileCheck, ...], GoName("FileCheckers")] = ()
    http: Annotated[tuple[HTTPCheck, ...], GoName("HTTPCheckers")] = ()
    tcp: Annotated[tuple[TCPCheck, ...], GoName("TCPCheckers")] = ()


@dataclass(frozen=True, slots=True)
class Exec:
    """``proxy.exec``: a credential helper; `lifetime_seconds` is None where not given."""

    command: str = ""
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Proxy:
    """``proxy``: a cache of `remoteurl` if that is given; a `ttl_seconds` of zero or less never expires."""

    remoteurl: str = ""
    username: str = ""
    password: Secret = ""
    exec: Exec = Exec()
    ttl_seconds: SignedSeconds = 7 * 24 * 3600.0
    cachewritetimeout_seconds: Annotated[SignedSeconds, Mark.ZERO_IS_DEFAULT] = 300.0
