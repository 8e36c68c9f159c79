"""The server: gunicorn, embedded and told everything by the registry's own configuration."""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gunicorn.app.base import BaseApplication

from registry import __version__
from registry.app import create_app
from registry.config import ConfigurationError
from registry.observation import log
from registry.observation.metrics import Metrics
from registry.observation.observer import create_observer
from registry.observation.tracing import Tracing
from registry.plugins import load_access
from registry.server import addresses
from registry.server import shared as sharing
from registry.server.access_log import AccessLog
from registry.server.channel import limit_waiting
from registry.server.connection import ConnectionLimits
from registry.server.gunicorn_internals import Arbiter, arbiter_listeners, listen_fds, sd_notify
from registry.server.listening import ListeningLimits, connections_for, raise_descriptor_limit
from registry.server.pace import PaceLimits
from registry.server.preparation import check_storage, examine
from registry.server.tls import serving as tls
from registry.server.worker import Worker, WorkerContext
from registry.services import build_services
from registry.storage.hashing import log_what_cannot_be_resumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver
    from registry.config import Configuration
    from registry.config.values import HTTP
    from registry.server.shared import Shared
    from registry.server.tls.certificates import Certificates

_THREADS: Final = 16
_KEEPALIVE_SECONDS: Final = 75
_DRAIN_SECONDS: Final = 10
_DEFER_SECONDS: Final = 30
_HEADER_FIELDS: Final = 256
"""As many as the parser can take."""
_log = logging.getLogger(__name__)


def serve(reread: Callable[[], Configuration], *, traces: str = "") -> None:
    """Serve until told to stop. `reread` gives the configuration, now and again on SIGHUP.

    `traces` names the exporter of traces, if there is to be one.

    Raises:
        ConfigurationError: it cannot start.
    """
    _Application(reread, traces).run()


class _Application(BaseApplication):
    def __init__(self, reread: Callable[[], Configuration], traces: str) -> None:
        self._reread = reread
        self._traces = traces
        self._secret = secrets.token_hex(32)
        self._shared: Shared | None = None
        self._certificates: Certificates | None = None
        self._descriptors = raise_descriptor_limit()
        self._configuration, self._options = self._read()
        log_what_cannot_be_resumed()
        super().__init__()

    @property
    def shared(self) -> Shared:
        """What the workers share that are forked now."""
        if self._shared is None:
            raise RuntimeError("the configuration has not been read")
        return self._shared

    @property
    def drain_delay_seconds(self) -> float:
        """How long requests are welcome after the server was told to stop."""
        return self._configuration.http.draindelay_seconds

    @property
    def stall_seconds(self) -> float:
        """How long a client may do nothing while it is waited for."""
        return self._configuration.http.stalltimeout_seconds or math.inf

    def run(self) -> None:
        _Arbiter(self).run()

    def load_config(self) -> None:
        for option, value in self._options.items():
            self.cfg.set(option, value)

    def start_worker(self, slot: int, stopping: Callable[[], bool]) -> WorkerContext:
        shared = self.shared
        metrics = None
        if shared.slots and self._configuration.http.debug.prometheus.enabled:
            metrics = Metrics(shared.slots.directory, slot)
        tracing = Tracing(self._traces) if self._traces else None
        observer = create_observer(metrics, tracing)
        services = build_services(
            self._configuration, board=shared.board, remembered=shared.remembered, observer=observer
        )
        sharing.start(shared, services, metrics, stopping)
        http = self._configuration.http
        pace = PaceLimits(self.stall_seconds, http.minimumrate)
        limits = ConnectionLimits(http.headerlimit, http.headertimeout_seconds, _KEEPALIVE_SECONDS, pace)
        listening = ListeningLimits(
            http.maxconnections or connections_for(self._descriptors),
            http.maxconnectionsperclient,
            services.proxies.trusts,
        )
        return WorkerContext(create_app(services), limits, listening, metrics, self._certificates)

    def reload(self) -> None:
        try:
            self._configuration, self._options = self._read()
        except ConfigurationError as error:
            for each in error.each:
                _log.error("the old configuration stays in force: %s", each.line)
            return
        except OSError as error:
            _log.error("the old configuration stays in force: %s", error)
            return
        super().reload()

    def _read(self) -> tuple[Configuration, dict[str, object]]:
        """Return the configuration and gunicorn's options, both known to be usable."""
        configuration = self._reread()
        with configuration.origins.locating():
            log.configure(configuration.log)
            for warning in configuration.warnings:
                _log.warning("%s", configuration.origins.located_warning(warning))
            return self._prepared(configuration)

    def _prepared(self, configuration: Configuration) -> tuple[Configuration, dict[str, object]]:
        examined = examine(configuration)
        configuration = _checked(configuration, examined.storage)
        if not configuration.http.secret:
            _log.warning(
                "No HTTP secret provided - generated random secret. Uploads will not survive a restart, and "
                "several registries behind one address need a common http.secret.",
            )
            configuration = replace(configuration, http=replace(configuration.http, secret=self._secret))
        certificates = tls.load(configuration.http.tls, examined.certificates)
        options = _options(configuration) | tls.options(certificates)
        self._shared = sharing.share(configuration, self._shared)
        self._certificates = certificates
        return configuration, options


class _Arbiter(Arbiter):
    """gunicorn's master process, which says that it stops before it does."""

    app: _Application

    slot_taken: int = -1
    """The slot of the worker that is being forked, -1 if it has none."""

    def spawn_worker(self) -> int:
        """Fork a worker and return its pid; 0 if that is not possible now: the server goes on, and tries again soon."""
        self.slot_taken = -1
        mask = os.umask(0o077)
        os.umask(mask)
        try:
            return super().spawn_worker()
        except OSError as error:
            _log.error("no worker can be started: %s", error)
            os.umask(mask)  # gunicorn changes it for a moment
            if self.app.shared.slots and self.slot_taken >= 0:
                self.app.shared.slots.leave(self.slot_taken)
            return 0

    def handle_term(self) -> None:
        """Say that it stops, and do so when load balancers had ``http.draindelay`` to hear it, or when told again."""
        delay_seconds = self.app.drain_delay_seconds
        if self.app.shared.board.draining or not delay_seconds:
            super().handle_term()
        self._say_that_it_stops()
        signal.signal(signal.SIGALRM, lambda *_: self.signal(signal.SIGTERM, None))
        signal.setitimer(signal.ITIMER_REAL, delay_seconds)

    def handle_hup(self) -> None:
        """Read the configuration again; not on the way out, where a new board would say that all is well."""
        if self.app.shared.board.draining:
            return
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        super().handle_hup()
        self._notify("READY=1")

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002  as it is called
        self._say_that_it_stops()
        super().stop(graceful)

    def _say_that_it_stops(self) -> None:
        if not self.app.shared.board.draining:
            self.app.shared.board.drain()
            self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        """Tell systemd, if the server is a service of ``Type=notify``."""
        if self.log:
            sd_notify(state, self.log)


def _checked(configuration: Configuration, driver: StorageDriver) -> Configuration:
    """Return the configuration to run with, after storage and access control have made what they need."""
    auth, http = configuration.auth, configuration.http
    check_storage(configuration, driver)
    if auth:
        load_access(auth.name, auth.parameters)
    if not driver.shared_between_processes:
        http = replace(http, workers=1)
    return replace(configuration, http=http)


def _options(configuration: Configuration) -> dict[str, object]:
    http = configuration.http
    return {
        "bind": [_address(http)],
        "workers": http.workers or len(os.sched_getaffinity(0)),
        "threads": http.threads or _THREADS,
        "worker_class": Worker,
        "logger_class": AccessLog,
        "accesslog": None if configuration.log.accesslog.disabled else "-",
        "http_parser": "fast",
        "graceful_timeout": math.ceil(http.draintimeout_seconds) or _DRAIN_SECONDS,
        # The limit is that of the whole head.
        "limit_request_line": 0,
        "limit_request_field_size": http.headerlimit,
        "limit_request_fields": _HEADER_FIELDS,
        # The heartbeat is a file; on a slow disk it would say that a busy worker has died.
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108  the kernel's own
        "control_socket_disable": True,
        "proc_name": "registry",
        "when_ready": _announce,
        "pre_fork": _take_slot,
        "child_exit": _leave_slot,
        "on_exit": _remove_metrics,
    }


def _address(http: HTTP) -> str:
    address = addresses.api(http)
    if isinstance(address, Path):
        # A socket that systemd hands over is in use.
        if not listen_fds(unset_environment=False):
            address.unlink(missing_ok=True)
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _announce(arbiter: _Arbiter) -> None:
    for url, listener in arbiter_listeners(arbiter):
        _protect(listener, arbiter.app.stall_seconds)
        secured = ", tls" if arbiter.cfg.is_ssl else ""
        _log.info("listening on %s%s", url, secured, extra={"version": __version__})


def _take_slot(arbiter: _Arbiter, worker: Worker) -> None:
    slots = arbiter.app.shared.slots
    if slots:
        worker.slot = arbiter.slot_taken = slots.take()


def _leave_slot(arbiter: _Arbiter, worker: Worker) -> None:
    slots = arbiter.app.shared.slots
    if slots:
        slots.leave(worker.slot)


def _remove_metrics(arbiter: _Arbiter) -> None:
    slots = arbiter.app.shared.slots
    if slots:
        slots.remove()


def _protect(listener: socket.socket, stall_seconds: float) -> None:
    """Set what accepted connections inherit."""
    limit_waiting(listener, stall_seconds)
    if listener.family != socket.AF_UNIX:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Wakes a worker only when a request has begun to arrive.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_SECONDS)
