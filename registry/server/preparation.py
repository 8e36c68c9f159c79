"""What has to be right before the server listens: ``serve`` tries it first, and ``config check`` tries nothing less.

Nothing here has an effect that lasts but check_storage(): no file or directory is made that stays, nothing is listened
on, and no other host but the storage is asked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import DriverError
from registry.app import create_app
from registry.config import ConfigurationError, Findings
from registry.health.checks import require_possible
from registry.observation import log
from registry.plugins import examine_access
from registry.redis.loading import load_connector
from registry.server import addresses
from registry.server.periodic import periodic_jobs
from registry.server.tls import serving as tls
from registry.services import Plugins, assemble, open_storage

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.server.tls.certificates import Certificates

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a configuration that can be served leads to.

    `storage` has not been asked anything yet. `certificates` is None without TLS, and where ACME has yet to make one.
    """

    storage: StorageDriver
    certificates: Certificates | None


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
    with findings.gathered():
        load_connector(configuration)
    with findings.gathered():
        certificates = tls.examine(configuration.http.tls)
    with findings.gathered():
        addresses.examine(configuration.http)
    with findings.gathered():
        require_possible(configuration.health)
    findings.conclude()
    if storage is None or access is None:
        raise AssertionError("what is missing has been found")
    services = assemble(configuration, Plugins(storage, access))
    create_app(services)
    list(periodic_jobs(services))
    workers = configuration.http.workers or 1
    if workers > 1 and not storage.shared_between_processes:
        name = configuration.storage.driver
        _log.warning("storage.%s lives in one process: http.workers is 1, not %s", name, workers)
    return Examined(storage, certificates)


def check_storage(configuration: Configuration, storage: StorageDriver) -> None:
    """Return if the storage can be used; what is missing is made.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        storage.absent()
        storage.check()
    except DriverError as error:
        raise _refused(configuration, error) from error


def examine_storage(configuration: Configuration, storage: StorageDriver) -> str:
    """Return what check_storage() would make, without making it; "" if nothing is missing.

    Raises:
        ConfigurationError: as check_storage().
    """
    try:
        absent = storage.absent()
        if not absent:
            storage.check()
    except DriverError as error:
        raise _refused(configuration, error) from error
    return absent


def _refused(configuration: Configuration, error: DriverError) -> ConfigurationError:
    return ConfigurationError(f"storage.{configuration.storage.driver}", str(error))
