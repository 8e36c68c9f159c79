"""All that can stop a server before it listens, tried before it forks; ``config check`` tries no less.

What examine() and examine_storage() do has no effect that lasts: no file and no directory is made that stays, nothing
is listened on, and nobody but the storage is asked. What is missing is made by prepare().
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError, NoSpaceError
from registry.app import create_app
from registry.config import ConfigurationError, Findings
from registry.health.checks import require_possible
from registry.index.place import require_usable as require_usable_index
from registry.notifications.examining import require_usable
from registry.observation import log
from registry.plugins import examine_access, load_access
from registry.proxy.examining import require_usable as require_usable_upstreams
from registry.redis.loading import load_connector
from registry.server import binding
from registry.server.periodic import have_much_to_do, periodic_jobs
from registry.server.tls import serving as tls
from registry.server.waiting import ask_once, wait_until_available
from registry.services import Plugins, assemble, open_storage
from registry.storage.hashing import log_what_cannot_be_resumed
from registry.storage.paths import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.base import AccessController
    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.server.tls.certificates import Certificates

_ANSWER_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a configuration leads to that could be served, if its storage can be used, which has not been asked yet.

    `certificates` is None without TLS, and where ACME has yet to make one.
    """

    storage: StorageDriver
    certificates: Certificates | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the server runs with: the `configuration`, the `certificates` to serve if it is with TLS.

    `jobs_apart` says that jobs are to have a process of their own.
    """

    configuration: Configuration
    certificates: Certificates | None = None
    jobs_apart: bool = False


def examine(configuration: Configuration) -> Examined:
    """Return what the server needs, after a trial of all that could stop it, or one of its workers, from starting.

    Raises:
        ConfigurationError: something could.
    """
    findings = Findings()
    storage = access = certificates = None
    with findings.gathered():
        log.handlers(configuration.log)
    with findings.gathered():
        storage = open_storage(configuration)
    with findings.gathered():
        auth = configuration.auth
        access = examine_access(auth.name, auth.parameters) if auth else examine_access("none", {})
        if configuration.ui.enabled and access.no_pages:
            raise ConfigurationError("ui.enabled", access.no_pages)
    with findings.gathered():
        load_connector(configuration)
    with findings.gathered():
        binding.addresses_of(configuration.http)
    with findings.gathered():
        certificates = tls.examine(configuration.http.tls)
    with findings.gathered():
        require_possible(configuration.health)
    with findings.gathered():
        require_usable(configuration.notifications)
    with findings.gathered():
        require_usable_upstreams(configuration)
    with findings.gathered():
        require_usable_index(configuration.ui)
    findings.conclude()
    if storage is None or access is None:
        raise AssertionError("what is missing has been found")
    _try_worker(configuration, storage, access)
    return Examined(storage, certificates)


def _try_worker(configuration: Configuration, storage: StorageDriver, access: AccessController) -> None:
    """Put together what a worker does at its start; it tells in the log what will be otherwise than configured."""
    services = assemble(configuration, Plugins(storage, access))
    create_app(services)
    list(periodic_jobs(services))
    workers = configuration.http.workers or 1
    if workers > 1 and not storage.shared_between_processes:
        name = configuration.storage.driver
        _log.warning("storage.%s lives in one process: http.workers is 1, not %s", name, workers)


def examine_storage(configuration: Configuration, storage: StorageDriver) -> str:
    """Return what the start would make because it does not exist, "" if nothing: then the storage can be used.

    The storage is asked once, and has ``_ANSWER_SECONDS`` to answer: the retries of an SDK may take a minute or two.

    Raises:
        ConfigurationError: it cannot be made, or not be used.
    """
    try:
        absent = storage.absent()
    except DriverError as error:
        raise _refused(configuration, error) from error
    if not absent:
        _try_storage(storage, configuration, partial(ask_once, seconds=_ANSWER_SECONDS))
    return absent


def prepare(configuration: Configuration, *, wait_seconds: float = 0.0) -> Prepared:
    """Return what to run with, with all that is needed in place.

    A storage that is not available is waited for so long.

    Raises:
        ConfigurationError: the server could not start.
    """
    log_what_cannot_be_resumed()
    examined = examine(configuration)
    auth, http = configuration.auth, configuration.http
    if auth:
        load_access(auth.name, auth.parameters)
    certificates = tls.load(http.tls, examined.certificates)
    # Last, as it may have to wait.
    name = f"storage.{configuration.storage.driver}"
    _try_storage(examined.storage, configuration, partial(wait_until_available, name=name, seconds=wait_seconds))
    if not examined.storage.shared_between_processes:
        http = replace(http, workers=1)
    jobs_apart = examined.storage.shared_between_processes and have_much_to_do(configuration)
    return Prepared(replace(configuration, http=http), certificates, jobs_apart)


def _try_storage(
    driver: StorageDriver, configuration: Configuration, ask: Callable[[Callable[[], None]], None]
) -> None:
    section = configuration.storage

    def look() -> None:
        if driver.circuit:
            driver.circuit.close()
        driver.check(below=WRITTEN, read_only=section.maintenance.readonly.enabled)

    try:
        driver.absent()
        ask(look)
    except NoSpaceError as error:
        _log.warning("storage.%s: %s; what is stored is served, and pushes are refused", section.driver, error)
    except DriverError as error:
        raise _refused(configuration, error) from error


def _refused(configuration: Configuration, error: DriverError) -> ConfigurationError:
    return ConfigurationError(f"storage.{configuration.storage.driver}", str(error))
