"""Notes in a process of the server what is pulled there, where a rule of retention asks how long ago that was.

A tag or manifest is noted with the hour; what is noted is written as one object every ten minutes. A process that is
killed loses what it has noted since.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.foundation.threads import LastingThread
from registry.retention.history import HOUR_SECONDS, dump
from registry.storage import paths

if TYPE_CHECKING:
    from drivers.base import StorageDriver

_FLUSH_SECONDS: Final = 600.0
_RETRY_SECONDS: Final = 10.0
MANY: Final = 25_000
"""Tags and manifests that are written at once, though ten minutes have not passed."""
MOST: Final = 2 * MANY
"""Those that wait in memory where they cannot be written."""
_log = logging.getLogger(__name__)


class LastPulls:
    """What is pulled at this process, which serves the storage of `driver`."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        self._noted: dict[tuple[str, str], int] = {}
        self._lost = False
        self._noting = threading.Lock()
        self._writing = threading.Lock()
        self._begun = False
        self._full = threading.Event()

    def note(self, repository: str, reference: str, digest: str) -> None:
        """Note that the manifest `digest` was asked for as `reference`, a tag or digest; called within a request."""
        hour = int(time.time()) // HOUR_SECONDS
        with self._noting:
            noted = self._noted
            if len(noted) < MOST:
                noted[repository, digest] = hour
                noted[repository, reference] = hour
            else:
                self._lost = True
            begins, self._begun = not self._begun, True
        if len(noted) >= MANY:
            self._full.set()
        if begins:
            LastingThread("last pulls", self._write_for_ever).begin()

    def write(self) -> None:
        """Write what was noted, if anything was.

        Raises:
            DriverError: the storage failed; it is noted still.
        """
        with self._writing:
            with self._noting:
                noted, self._noted = self._noted, {}
                lost, self._lost = self._lost, False
            if not noted:
                return
            now_ns = time.time_ns()
            day = time.strftime("%Y%m%d", time.gmtime(now_ns // 1_000_000_000))
            rows = ((repository, reference, hour) for (repository, reference), hour in sorted(noted.items()))
            try:
                self._driver.put(paths.pulls_batch(day, f"{_process()}-{now_ns:020}"), dump(rows, lost=lost))
            except DriverError:
                with self._noting:
                    self._noted = noted | self._noted
                    self._lost = self._lost or lost
                raise

    def _write_for_ever(self) -> None:
        while True:
            self._full.wait(_FLUSH_SECONDS)
            self._full.clear()
            try:
                self.write()
            except DriverError as error:
                _log.warning("pulls wait in memory, of which retention is to know: %s", error)
                time.sleep(_RETRY_SECONDS)


def _process() -> str:
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()).strip("-") or "host"
    return f"{host}-{os.getpid()}"
