"""What a registry consists of, put together from its configuration; nothing here knows of HTTP.

The server builds the services of each worker after the fork; a command builds those of its own process. Both open a
storage in the same way, its middleware included.
"""

from __future__ import annotations

import logging
import secrets
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, PathNotFoundError
from registry.audit.consumer import consumers as audited
from registry.audit.trail import Trail
from registry.config.cached import Cached
from registry.foundation.proxies import TrustedProxies
from registry.foundation.shared_set import SharedSet
from registry.health.board import Board
from registry.health.silence import tell_of_silence
from registry.index.consumer import consumers as indexed
from registry.journal.entry import Instance
from registry.journal.recorder import Recorder
from registry.lease import Lease, this_server
from registry.notifications.consumers import consumers, source_addr
from registry.notifications.pulls import Events, Pulls
from registry.plugins import load_access, load_driver, load_middleware
from registry.publishing import Publishing
from registry.quota.allowance import Quotas
from registry.quota.counter import Counter
from registry.quota.groups import Groups
from registry.quota.ledger import Ledger
from registry.redis.loading import load_descriptors
from registry.retention.pulls import LastPulls
from registry.retention.rules import asks_for_pulls, asks_for_untagged
from registry.storage import paths, runs
from registry.storage.descriptors import InMemoryDescriptors
from registry.storage.measured import MeasuredCache, MeasuredDescriptors, MeasuredDriver
from registry.storage.passage import Passage
from registry.storage.records import StorageRecords
from registry.storage.repository import Repositories
from registry.storage.runs import Runs
from registry.storage.tokens import UploadTokens
from registry.storage.validation import ValidationPolicy

if TYPE_CHECKING:
    from auth.base import AccessController
    from drivers.base import StorageDriver
    from drivers.log import Log
    from registry import ports
    from registry.config import Configuration
    from registry.index.reader import Index
    from registry.journal.recorder import Consumer
    from registry.observation.metrics import Metrics
    from registry.observation.observer import Observer
    from registry.proxy.repositories import Proxied
    from registry.publishing import Caller
    from registry.quota.counter import Meter
    from registry.redis.descriptors import RedisDescriptors
    from registry.storage.descriptors import DescriptorCache

_log = logging.getLogger(__name__)
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the processes of a server remember in common.

    `proven` are credentials that were good before, see AccessController.share(); `told` the peers that the log has told
    of, see TrustedProxies; `failing` what it has told of endpoints of notifications. `instance_id` is what events call
    the server, until it is started again; `reloads` is how often its configuration was read again since.
    """

    proven: SharedSet = field(default_factory=SharedSet)
    told: SharedSet = field(default_factory=SharedSet)
    failing: SharedSet = field(default_factory=SharedSet)
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    reloads: int = 0


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the configuration names: the storage behind its middleware, as open_storage() gives it, and who decides."""

    storage: StorageDriver
    access: AccessController


@dataclass(frozen=True, slots=True)
class Services:
    """All state of a process. Modules hold constants and loggers only.

    `board` is where the processes of a server share what they know of its health. `observer` is told of every
    request and storage call, `recorder` of every change, `pulls` of every pull, `last_pulls` of every manifest that is
    asked for; each is None where nobody wants to know. `passage` is the way of writers past a garbage collection; it is
    None where the registry is read-only. So is `quotas`, and where no repository has one. `trail` is told of
    logins, denials and the like; it is None without an audit log. `lease` is held by the process that gives
    consumers of the journal its entries. `secret` is what all hosts of the registry know, and nobody else. `told` is
    what the log was told of endpoints of notifications, by all processes of a server. `instance` is that server, which
    has read its configuration again as often as `reloads` says. `proxied` has the upstreams; it is None where the
    registry caches no other. `index` is asked for what a search or a list of all repositories needs; it is None where
    none is kept.
    """

    configuration: Configuration
    driver: StorageDriver
    repositories: ports.Repositories
    access: AccessController
    secret: bytes
    tokens: UploadTokens
    proxies: TrustedProxies
    validation: ValidationPolicy
    board: Board
    redis: RedisDescriptors | None
    observer: Observer | None
    lease: Lease
    recorder: Recorder | None = None
    passage: Passage | None = None
    quotas: Quotas | None = None
    touches_untagged: bool = False
    pulls: Pulls | None = None
    last_pulls: LastPulls | None = None
    trail: Trail | None = None
    instance: Instance = field(default_factory=Instance)
    reloads: int = 0
    told: SharedSet = field(default_factory=SharedSet)
    proxied: Proxied | None = None
    index: Index | None = None

    def publishing(self, caller: Caller) -> Publishing:
        """Return what publishes and deletes on behalf of `caller`."""
        return Publishing(self.validation, caller, self.recorder, self.passage, self.quotas, self.touches_untagged)

    def close(self) -> None:
        """Store what is in memory only, and let go of what other processes wait for, as this one ends.

        Raises:
            DriverError: the storage does not answer.
        """
        with ExitStack() as closing:
            closing.callback(self.lease.release)
            if self.proxied:
                closing.callback(self.proxied.close)
            if self.last_pulls:
                closing.callback(self.last_pulls.write)
            if self.trail:
                closing.callback(self.trail.close)
            if self.quotas:
                closing.callback(self.quotas.close)


def open_storage(configuration: Configuration, driver: StorageDriver | None = None) -> StorageDriver:
    """Return the driver that the ``storage`` section names, behind the middleware of ``middleware.storage``.

    A test may give another `driver` to stand behind the middleware. Whether the storage works is not known yet:
    StorageDriver.check() tells.

    Raises:
        registry.plugins.PluginError: the driver or a middleware cannot be had.
    """
    storage = configuration.storage
    with configuration.origins.locating():
        driver = driver or load_driver(storage.driver, storage.parameters)
        return load_middleware(driver, configuration.middleware.get("storage", ()))


def open_existing_storage(configuration: Configuration) -> StorageDriver:
    """Return the storage as open_storage() does, for a command that works on what is stored, and makes no place for it.

    Raises:
        registry.plugins.PluginError: as open_storage().
        drivers.base.DriverError: there is no such place; other faults are left to the calls that meet them.
    """
    driver = open_storage(configuration)
    try:
        driver.probe()
    except PathNotFoundError as error:
        raise DriverError(f"{error}; nothing was ever stored there, or the path is mistyped") from error
    except DriverError as error:
        _log.debug("the storage may be used only in part: %s", error)
    return driver


def build_services(
    configuration: Configuration,
    *,
    driver: StorageDriver | None = None,
    board: Board | None = None,
    remembered: Remembered | None = None,
    observer: Observer | None = None,
) -> Services:
    """Return the services of this process. Call it after a fork: clients and threads of an SDK do not survive one.

    `driver` is as for open_storage(). `board` and `remembered` are made before the fork, for all processes of a server.

    Raises:
        registry.plugins.PluginError: the driver, a middleware or the access controller cannot be had.
    """
    storage = open_storage(configuration, driver)
    auth = configuration.auth
    access = load_access(auth.name, auth.parameters) if auth else load_access("none", {})
    plugins = Plugins(storage, access)
    return assemble(configuration, plugins, board=board, remembered=remembered, observer=observer)


def assemble(
    configuration: Configuration,
    plugins: Plugins,
    *,
    board: Board | None = None,
    remembered: Remembered | None = None,
    observer: Observer | None = None,
) -> Services:
    """Return the services made of `plugins`; else as build_services().

    Raises:
        ConfigurationError: redis cannot be had.
    """
    driver, access = plugins.storage, plugins.access
    board = board or Board()
    tell_of_silence(driver, board, observer.metrics if observer else None)
    if observer:
        driver = MeasuredDriver(driver, observer)
    redis = load_descriptors(configuration, observer)
    descriptors = _descriptors(configuration, redis)
    if descriptors and observer:
        descriptors = MeasuredDescriptors(descriptors, observer)
    remembered = remembered or Remembered()
    access.share(remembered.proven)
    # The server makes one secret before it forks; without a server there is but one process.
    secret = configuration.http.secret.encode() or secrets.token_bytes(_SECRET_BYTES)
    read_only = configuration.storage.maintenance.readonly.enabled
    access.keep(StorageRecords(driver, read_only=read_only))
    cache = MeasuredCache(observer) if observer else None
    repositories = Repositories(driver, cache, descriptors, read_only=read_only)
    instance = Instance(source_addr(configuration.http.addr), remembered.instance_id)
    recorder, trail = _journal(configuration, driver.log(paths.JOURNAL), instance)
    passage = None if read_only else _passage(configuration, driver, observer.metrics if observer else None)
    return Services(
        configuration=configuration,
        driver=driver,
        repositories=repositories,
        access=access,
        secret=secret,
        tokens=UploadTokens(secret),
        proxies=TrustedProxies(configuration.http.trustedproxies, remembered.told),
        validation=validation_policy(configuration),
        board=board,
        redis=redis,
        observer=observer,
        lease=Lease(driver, "journal", this_server(configuration.http.addr)),
        recorder=recorder,
        passage=passage,
        quotas=None if read_only else _quotas(configuration, driver, observer.metrics if observer else None),
        touches_untagged=_touches_untagged(configuration),
        trail=trail,
        pulls=_pulls(configuration, Events(instance, repositories), observer, remembered.failing),
        last_pulls=LastPulls(driver) if asks_for_pulls(configuration.storage.maintenance.retention) else None,
        told=remembered.failing,
        instance=instance,
        reloads=remembered.reloads,
        proxied=_proxied(
            configuration,
            driver,
            repositories,
            passage,
            remembered.instance_id,
            observer.metrics if observer else None,
        ),
        index=_index(configuration, secret),
    )


def _index(configuration: Configuration, secret: bytes) -> Index | None:
    """Return what reads the index of this host; None where there is none."""
    section = configuration.ui
    if not section.enabled or not section.index.directory:
        return None
    # SQLite is loaded where it is needed.
    from registry.index.reader import Index  # noqa: PLC0415
    from registry.index.schema import identity_of, path_in  # noqa: PLC0415

    return Index(path_in(section.index.directory), identity_of(configuration), secret)


def _proxied(  # noqa: PLR0913, PLR0917  what they are made of
    configuration: Configuration,
    driver: StorageDriver,
    repositories: Repositories,
    passage: Passage | None,
    instance_id: str,
    metrics: Metrics | None,
) -> Proxied | None:
    """Return the upstreams; None where there are none."""
    if not configuration.upstreams:
        return None
    # What speaks HTTP is loaded where there is an upstream.
    from registry.proxy.repositories import Proxied  # noqa: PLC0415

    meter = metrics.of_proxies([each.name for each in configuration.upstreams]) if metrics else None
    return Proxied(configuration, driver, repositories, passage, pseudonym=instance_id, meter=meter)


def build_publishing(configuration: Configuration, driver: StorageDriver, journal: Log, caller: Caller) -> Publishing:
    """Return what publishes and deletes on behalf of `caller`, for a command that needs no other services.

    What it adds to quotas is counted, and whether there is room not asked. If it adds anything, close its quotas.
    """
    recorder, _ = _journal(configuration, journal, _instance(configuration))
    quotas = _quotas(configuration, driver, enforced=False)
    return Publishing(
        validation_policy(configuration),
        caller,
        recorder,
        _passage(configuration, driver),
        quotas,
        _touches_untagged(configuration),
    )


def build_trail(configuration: Configuration, journal: Log) -> Trail | None:
    """Return what tells the audit log of what is no change of a repository; None where there is no audit log."""
    return _journal(configuration, journal, _instance(configuration))[1]


def _passage(configuration: Configuration, driver: StorageDriver, meter: Metrics | None = None) -> Passage:
    grace = configuration.storage.maintenance.garbagecollection.grace_seconds
    return Passage(Runs(driver), max(grace, runs.PACE.margin), meter=meter)


def _touches_untagged(configuration: Configuration) -> bool:
    """Tell whether manifests that lose a tag are touched: only where some are collected for want of one."""
    maintenance = configuration.storage.maintenance
    return maintenance.garbagecollection.untagged.enabled or asks_for_untagged(maintenance.retention)


def _instance(configuration: Configuration) -> Instance:
    return Instance(source_addr(configuration.http.addr), str(uuid.uuid4()))


def _journal(configuration: Configuration, log: Log, instance: Instance) -> tuple[Recorder | None, Trail | None]:
    """Return what writes changes to the journal, and what writes the rest; None where nobody reads it."""
    audit = configuration.audit
    wanting: list[Consumer] = [
        *consumers(configuration.notifications),
        *audited(audit),
        *indexed(configuration.ui),
    ]
    if not wanting:
        return None, None
    # A request that changes nothing writes nothing to a registry that is read-only.
    told = audit.enabled and not configuration.storage.maintenance.readonly.enabled
    return Recorder(log, wanting, instance), Trail(log, instance) if told else None


def _quotas(
    configuration: Configuration, driver: StorageDriver, meter: Meter | None = None, *, enforced: bool = True
) -> Quotas | None:
    """Return the quotas of all repositories; None where no repository has one."""
    quotas = configuration.storage.maintenance.quotas
    if not quotas:
        return None
    groups = Groups(quotas, Cached(configuration.upstreams))
    return Quotas(groups, Counter(Ledger(driver), meter), enforced=enforced)


def _pulls(configuration: Configuration, events: Events, observer: Observer | None, told: SharedSet) -> Pulls | None:
    """Return what tells endpoints of pulls; None where none wants to know of any."""
    wanting = [each for each in consumers(configuration.notifications) if each.wants_pulls]
    return Pulls(wanting, events, observer.metrics if observer else None, told) if wanting else None


def _descriptors(configuration: Configuration, redis: RedisDescriptors | None) -> DescriptorCache | None:
    section = configuration.storage.cache
    return InMemoryDescriptors(section.blobdescriptorsize) if section.blobdescriptor == "inmemory" else redis


def validation_policy(configuration: Configuration) -> ValidationPolicy:
    """Return what manifests may name."""
    section = configuration.validation
    urls, indexes = section.manifests.urls, section.manifests.indexes
    return ValidationPolicy(
        enabled=section.enabled,
        sparse=section.manifests.sparse,
        allowed_urls=urls.allow,
        denied_urls=urls.deny,
        reference_limit=section.manifests.referencelimit,
        platforms=indexes.platforms,
        platform_list=frozenset((each.architecture, each.os) for each in indexes.platformlist),
        classes=frozenset(configuration.policy.repository.classes),
    )
