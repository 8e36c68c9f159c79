"""All that can stop a server before it listens, tried before it forks.

A trial writes no more than a driver's check and the placeholder of ``http.tls.letsencrypt``, and it listens nowhere.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import DriverError, NoSpaceError
from registry.config import ConfigurationError
from registry.plugins import load_access
from registry.redis.loading import load_connector
from registry.server import binding
from registry.server.shared import DEBUG_KEY
from registry.server.tls import serving as tls
from registry.server.waiting import wait_until_available
from registry.services import open_storage
from registry.storage.hashing import log_what_cannot_be_resumed
from registry.storage.paths import WRITTEN

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.server.tls.certificates import Certificates

_log = logging.getLogger(__name__)


def prepare(configuration: Configuration, *, wait_seconds: float = 0.0) -> tuple[Configuration, Certificates | None]:
    """Return the configuration to run with and the certificates to serve, after a trial of all that a worker needs.

    A storage that is not available is waited for so long. It tells in the log what will be otherwise than configured.

    Raises:
        ConfigurationError, registry.plugins.PluginError: the server could not start.
    """
    log_what_cannot_be_resumed()
    storage, auth, http = configuration.storage, configuration.auth, configuration.http
    binding.address_of(http)
    if http.debug.addr:
        binding.tcp_address(http.debug.addr, DEBUG_KEY)
    driver = open_storage(configuration)
    if auth:
        load_access(auth.name, auth.parameters)
    load_connector(configuration)
    certificates = tls.load(http.tls)
    # Last, as it may have to wait.
    _try_storage(driver, configuration, wait_seconds)
    if not driver.shared_between_processes:
        if (http.workers or 1) > 1:
            _log.warning("storage.%s lives in one process: http.workers is 1, not %s", storage.driver, http.workers)
        http = replace(http, workers=1)
    return replace(configuration, http=http), certificates


def _try_storage(driver: StorageDriver, configuration: Configuration, wait_seconds: float) -> None:
    section = configuration.storage
    key = f"storage.{section.driver}"
    look = partial(driver.check, below=WRITTEN, read_only=section.maintenance.readonly.enabled)
    try:
        wait_until_available(look, key, wait_seconds)
    except NoSpaceError as error:
        _log.warning("%s: %s; what is stored is served, and pushes are refused", key, error)
    except DriverError as error:
        raise ConfigurationError(key, str(error)) from error
