"""The configuration: a frozen class for each section, an attribute for each key, named as in the file.

Durations are floats in attributes that end in ``_seconds`` (the key has no such ending). This is the only
declaration of the format: ``schema`` derives from it how files and variables are read and printed.
Annotations are evaluated, so this module does not postpone them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from registry.config.collection import GarbageCollection
from registry.config.events import Audit, Notifications
from registry.config.origins import Origins
from registry.config.proxied import upstreams_of
from registry.config.quotas import Quota
from registry.config.remote import Health, LogHook, Proxy, Redis
from registry.config.retention import Retention
from registry.config.schema import ANY_SIGN, Mark, Maximum, Minimum
from registry.config.scrub import Scrub
from registry.config.ui import UI
from registry.config.upstreams import Upstream
from registry.foundation.patterns import Pattern
from registry.foundation.proxies import LOOPBACK

Strings = tuple[str, ...]
Headers = Annotated[Mapping[str, Strings], Mark.HEADERS]
Parameters = Mapping[str, object]
Secret = Annotated[str, Mark.SECRET]
Patterns = tuple[Pattern, ...]

_DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin chosen by name, with what its section holds."""

    name: Annotated[str, Mark.PLUGIN_NAME]
    parameters: Annotated[Parameters, Mark.PLUGIN_PARAMETERS] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessLog:
    """``log.accesslog``."""

    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """``log``; without a `formatter` lines are ``terminal`` where stderr is one, else ``text``."""

    accesslog: AccessLog = AccessLog()
    level: Literal["error", "warn", "info", "debug"] = "info"
    formatter: Literal["text", "json", "logstash", "terminal"] | None = None
    fields: Parameters = field(default_factory=dict)
    hooks: tuple[LogHook, ...] = ()
    reportcaller: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """``storage.delete``."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """``storage.redirect``."""

    disable: bool = False


@dataclass(frozen=True, slots=True)
class UploadPurging:
    """``storage.maintenance.uploadpurging``."""

    enabled: bool = True
    age_seconds: Annotated[float, Mark.UNIT] = 7 * _DAY
    interval_seconds: Annotated[float, Mark.UNIT] = _DAY
    dryrun: bool = False


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """``storage.maintenance.readonly``."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class Maintenance:
    """``storage.maintenance``."""

    uploadpurging: UploadPurging = UploadPurging()
    readonly: ReadOnly = ReadOnly()
    quotas: tuple[Quota, ...] = ()
    garbagecollection: GarbageCollection = field(default_factory=GarbageCollection)
    scrub: Scrub = field(default_factory=Scrub)
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True)
class Cache:
    """``storage.cache``; a `blobdescriptorsize` of zero or less is no limit."""

    blobdescriptor: str = ""
    blobdescriptorsize: Annotated[int, ANY_SIGN] = 10000


@dataclass(frozen=True, slots=True)
class TagStorage:
    """``storage.tag``."""

    concurrencylimit: int = 0


@dataclass(frozen=True, slots=True)
class Storage:
    """``storage``: the driver, named by the one key that is not listed here, and what concerns all drivers.

    `starttimeout_seconds` is how long the start of the server waits for a storage that cannot be reached.
    """

    driver: Annotated[str, Mark.PLUGIN_NAME]
    parameters: Annotated[Parameters, Mark.PLUGIN_PARAMETERS] = field(default_factory=dict)
    delete: Delete = Delete()
    redirect: Redirect = Redirect()
    cache: Cache = Cache()
    maintenance: Maintenance = Maintenance()
    tag: TagStorage = TagStorage()
    starttimeout_seconds: Annotated[float, Mark.UNIT] = 30.0


@dataclass(frozen=True, slots=True)
class Middleware:
    """``middleware.<kind>[]``."""

    name: str = ""
    disabled: bool = False
    options: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LetsEncrypt:
    """``http.tls.letsencrypt``; `cachefile` is a directory, `httpaddr` where the ACME server's port 80 leads to."""

    cachefile: str = ""
    email: str = ""
    hosts: Strings = ()
    directoryurl: str = ""
    httpaddr: str = ":80"


@dataclass(frozen=True, slots=True)
class TLS:
    """``http.tls``."""

    certificate: str = ""
    key: str = ""
    clientcas: Strings = ()
    clientauth: Literal[
        "request-client-cert",
        "require-any-client-cert",
        "verify-client-cert-if-given",
        "require-and-verify-client-cert",
    ] = "require-and-verify-client-cert"
    minimumtls: Literal["tls1.0", "tls1.1", "tls1.2", "tls1.3"] = "tls1.2"
    ciphersuites: Strings = ()
    letsencrypt: LetsEncrypt = LetsEncrypt()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """``http.debug.prometheus``."""

    enabled: bool = False
    path: Annotated[str, Mark.URL_PATH, Mark.ZERO_IS_DEFAULT] = "/metrics"


@dataclass(frozen=True, slots=True)
class Debug:
    """``http.debug``."""

    addr: str = ""
    prometheus: Prometheus = Prometheus()


@dataclass(frozen=True, slots=True)
class HTTP2:
    """``http.http2``."""

    disabled: bool = False


@dataclass(frozen=True, slots=True)
class H2C:
    """``http.h2c``."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class AccelRedirect:
    """``http.accelredirect``: the path under which nginx serves ``docker/registry/v2/blobs``; "" is off."""

    prefix: Annotated[str, Mark.URL_PATH] = ""


@dataclass(frozen=True, slots=True)
class CORS:
    """``http.cors``: the `origins` of browser pages that may use the API; none is off, ``*`` is all."""

    origins: Strings = ()
    credentials: bool = False
    maxage_seconds: Annotated[float, Mark.UNIT] = 600.0


@dataclass(frozen=True, slots=True)
class Extensions:
    """``http.extensions``: what is served below ``/v2/_registry/``."""

    enabled: bool = False


@dataclass(frozen=True, slots=True)
class HTTP:
    """``http``."""

    addr: str = ""
    net: Literal["tcp", "unix"] = "tcp"
    host: Annotated[str, Mark.URL] = ""
    prefix: Annotated[str, Mark.URL_PATH] = ""
    secret: Secret = ""
    relativeurls: bool = False
    draintimeout_seconds: float = 0.0
    draindelay_seconds: Annotated[float, Mark.UNIT] = 0.0
    headertimeout_seconds: Annotated[float, Mark.UNIT] = 10.0
    headerlimit: Annotated[int, Minimum(4096)] = 64 * 1024
    stalltimeout_seconds: Annotated[float, Mark.UNIT] = 60.0
    minimumrate: int = 1024
    maxconnections: Annotated[int, Minimum(1)] | None = None
    maxconnectionsperclient: int = 0
    workers: Annotated[int, Minimum(1), Maximum(1024)] | None = None
    threads: Annotated[int, Minimum(1), Maximum(4096)] | None = None
    trustedproxies: tuple[Annotated[str, Mark.NETWORK], ...] = LOOPBACK
    accelredirect: AccelRedirect = AccelRedirect()
    tls: TLS = TLS()
    headers: Headers = field(default_factory=dict)
    cors: CORS = CORS()
    debug: Debug = Debug()
    http2: HTTP2 = HTTP2()
    h2c: H2C = H2C()
    extensions: Extensions = Extensions()


@dataclass(frozen=True, slots=True)
class Catalog:
    """``catalog``."""

    maxentries: Annotated[int, ANY_SIGN, Mark.ZERO_IS_DEFAULT] = 1000


@dataclass(frozen=True, slots=True)
class Tags:
    """``tags``."""

    maxtags: Annotated[int, Mark.ZERO_IS_DEFAULT] = 1000


@dataclass(frozen=True, slots=True)
class URLs:
    """``validation.manifests.urls``: searched for in a URL, not anchored."""

    allow: Patterns = ()
    deny: Patterns = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """``validation.manifests.indexes.platformlist[]``."""

    architecture: str = ""
    os: str = ""


@dataclass(frozen=True, slots=True)
class Indexes:
    """``validation.manifests.indexes``: the children of an index that must exist."""

    platforms: Literal["all", "none", "list"] = "all"
    platformlist: tuple[Platform, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifests:
    """``validation.manifests``; `sparse` lets manifests name blobs and manifests that are not stored."""

    urls: URLs = URLs()
    indexes: Indexes = Indexes()
    referencelimit: int = 10_000
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Validation:
    """``validation``, on unless disabled."""

    disabled: bool = False
    manifests: Manifests = Manifests()

    @property
    def enabled(self) -> bool:
        """Whether pushed manifests are validated."""
        return not self.disabled


@dataclass(frozen=True, slots=True)
class RepositoryPolicy:
    """``policy.repository``."""

    classes: Strings = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """``policy``."""

    repository: RepositoryPolicy = RepositoryPolicy()


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of it.

    `warnings` are those that reading it gave: one line each, beginning with the key. `origins` tells where each value
    was written.
    """

    version: str
    storage: Storage
    log: Log = Log()
    auth: Plugin | None = None
    middleware: Mapping[str, tuple[Middleware, ...]] = field(default_factory=dict)
    http: HTTP = HTTP()
    notifications: Notifications = field(default_factory=Notifications)
    audit: Audit = field(default_factory=Audit)
    redis: Redis = field(default_factory=Redis)
    health: Health = field(default_factory=Health)
    catalog: Catalog = Catalog()
    tags: Tags = Tags()
    proxy: Proxy = field(default_factory=Proxy)
    proxies: tuple[Upstream, ...] = ()
    validation: Validation = Validation()
    policy: Policy = Policy()
    ui: UI = field(default_factory=UI)
    warnings: Annotated[Strings, Mark.NOT_A_KEY] = ()
    origins: Annotated[Origins, Mark.NOT_A_KEY] = field(default=Origins(), compare=False, repr=False)

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The registries that this one caches, that of ``proxy`` included."""
        return upstreams_of(self)
