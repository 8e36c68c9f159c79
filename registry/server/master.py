"""The server: gunicorn, embedded and told everything by the registry's own configuration."""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gunicorn.app.base import BaseApplication

from drivers.base import DriverError
from registry.app import create_app
from registry.audit.consumer import announce as announce_audit_log
from registry.config import ConfigurationError, changed_keys
from registry.config.values import LetsEncrypt
from registry.jobs.cluster import Cluster, is_announced
from registry.notifications.consumers import announce as announce_endpoints
from registry.observation import log
from registry.observation.metrics import Metrics
from registry.observation.observer import create_observer
from registry.observation.tracing import Tracing
from registry.server import arbiter, binding
from registry.server import shared as sharing
from registry.server.access_log import AccessLog
from registry.server.connection import ConnectionLimits
from registry.server.gunicorn_internals import inherits_listeners, listen_on
from registry.server.listening import ListeningLimits, connections_for, raise_descriptor_limit
from registry.server.pace import PaceLimits
from registry.server.starting import prepare
from registry.server.tls import serving as tls
from registry.server.waiting import ask_once
from registry.server.worker import Worker, WorkerContext
from registry.services import build_services, open_storage

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

    from registry.config import Configuration
    from registry.config.values import Log
    from registry.server.shared import Shared
    from registry.server.tls.certificates import Certificates
    from registry.services import Services

_THREADS: Final = 16
_KEEPALIVE_SECONDS: Final = 75
_DRAIN_SECONDS: Final = 10
_LEAVING_SECONDS: Final = 3.0
_HEADER_FIELDS: Final = 256
"""As many as the parser can take."""
_log = logging.getLogger(__name__)


def serve(reread: Callable[[], Configuration], *, traces: str = "", colored: bool = False) -> None:
    """Serve until told to stop. `reread` gives the configuration, now and again on SIGHUP.

    `traces` names the exporter of traces, if there is to be one. `colored` says whether a terminal may have colours.

    Raises:
        ConfigurationError: it cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the arbiter has its own: without a handler, the kernel keeps them from the first process of a container.
        signal.signal(number, _end_at_once)
    _Application(reread, traces, colored=colored).run()


def _end_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    _log.info("stopped by %s before it listened", signal.Signals(number).name)
    raise SystemExit(0)


class _Application(BaseApplication):
    def __init__(self, reread: Callable[[], Configuration], traces: str, *, colored: bool) -> None:
        self._reread = reread
        self._traces = traces
        self._colored = colored
        self._secret = secrets.token_hex(32)
        self._shared: Shared | None = None
        self._certificates: Certificates | None = None
        self._inherits = inherits_listeners()
        self._address: binding.Address | None = None
        self._listener: socket.socket | None = None
        self._descriptors = raise_descriptor_limit()
        self._reload_wanted = False
        # Until the arbiter has its own, which may take long where the storage is waited for; without one it would end.
        signal.signal(signal.SIGHUP, self._want_reload)
        self._configuration, self._options = self._read()
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

    def take_listener(self) -> socket.socket | None:
        """Return the socket to listen on from now on; None if it is none of ours, or still the same."""
        listener, self._listener = self._listener, None
        return listener

    def take_reload(self) -> bool:
        """Tell, once, whether the configuration was to be read again before the server listened."""
        wanted, self._reload_wanted = self._reload_wanted, False
        return wanted

    def _want_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_wanted = True
        _log.info("SIGHUP before it listens: the configuration is read again as soon as it does")

    def run(self) -> None:
        master = arbiter.ServerArbiter(self)
        listener = self.take_listener()
        if listener:
            listen_on(master, listener)
        master.run()

    def leave_cluster(self) -> None:
        """Tell the other hosts that this server has stopped, if its storage takes that in time.

        The processes that might have told them have ended: nothing is pushed here any more.
        """
        try:
            ask_once(self._leave_cluster, seconds=_LEAVING_SECONDS)
        except (DriverError, ConfigurationError) as error:
            _log.warning("the other hosts are not told that this server has stopped: %s", error)

    def _leave_cluster(self) -> None:
        driver = open_storage(self._configuration)
        if is_announced(driver, self._configuration):
            Cluster(driver).leave(self.shared.remembered.instance_id)

    def load_config(self) -> None:
        for option, value in self._options.items():
            self.cfg.set(option, value)

    def start_worker(self, slot: int, stopping: Callable[[], bool]) -> WorkerContext:
        services, metrics = self._start_process(slot)
        close = sharing.start(self.shared, services, metrics, stopping)
        http = self._configuration.http
        pace = PaceLimits(self.stall_seconds, http.minimumrate)
        limits = ConnectionLimits(http.headerlimit, http.headertimeout_seconds, _KEEPALIVE_SECONDS, pace)
        listening = ListeningLimits(
            http.maxconnections or connections_for(self._descriptors),
            http.maxconnectionsperclient,
            services.proxies.trusts,
        )
        return WorkerContext(create_app(services), close, limits, listening, metrics, self._certificates)

    def start_jobs(self, slot: int, stopping: Callable[[], bool]) -> Callable[[], None]:
        services, metrics = self._start_process(slot)
        return sharing.start_jobs_apart(self.shared, services, metrics, stopping)

    def _start_process(self, slot: int) -> tuple[Services, Metrics | None]:
        """Return what the process in `slot` consists of, and where it counts; called in that process."""
        shared = self.shared
        metrics = None
        if shared.slots and self._configuration.http.debug.prometheus.enabled:
            metrics = Metrics(shared.slots.directory, slot)
        tracing = Tracing(self._traces) if self._traces else None
        observer = create_observer(metrics, tracing)
        services = build_services(
            self._configuration, board=shared.board, remembered=shared.remembered, observer=observer
        )
        return services, metrics

    def reload(self) -> None:
        before = self._configuration
        try:
            self._configuration, self._options = self._read()
        except ConfigurationError as error:
            for each in error.each:
                _log.error("the old configuration stays in force: %s", each.line)
            return
        except OSError as error:
            _log.error("the old configuration stays in force: %s", error)
            return
        except Exception:  # noqa: BLE001  a bug of ours must not end a server that runs
            _log.exception("the old configuration stays in force: the new one could not be read")
            return
        changed = ", ".join(changed_keys(before, self._configuration))
        _log.info("configuration read again: %s", f"{changed} changed" if changed else "nothing changed")
        super().reload()

    def _read(self) -> tuple[Configuration, dict[str, object]]:
        """Return the configuration and gunicorn's options, both known to be usable."""
        configuration = self._reread()
        with configuration.origins.locating():
            log.configure(configuration.log, colored=self._colored)
            for warning in configuration.warnings:
                _log.warning("%s", configuration.origins.located_warning(warning))
            return self._prepared(configuration)

    def _prepared(self, configuration: Configuration) -> tuple[Configuration, dict[str, object]]:
        # A server that runs does not wait: it has a configuration to go on with.
        wait_seconds = 0.0 if self._shared else configuration.storage.starttimeout_seconds
        prepared = prepare(configuration, wait_seconds=wait_seconds)
        configuration, certificates = prepared.configuration, prepared.certificates
        if not configuration.http.secret:
            _log.warning(
                "No HTTP secret provided - generated random secret. Uploads will not survive a restart, and "
                "several registries behind one address need a common http.secret.",
            )
            configuration = replace(configuration, http=replace(configuration.http, secret=self._secret))
        options = _options(configuration, jobs_apart=prepared.jobs_apart) | tls.options(certificates)
        address = binding.address_of(configuration.http)
        with ExitStack() as undoing:
            listener = self._listen(address, undoing)
            self._require_challenges(configuration.http.tls.letsencrypt)
            self._shared = sharing.share(configuration, self._shared, jobs_apart=prepared.jobs_apart)
            undoing.pop_all()
        self._address, self._listener, self._certificates = address, listener, certificates
        announce_endpoints(configuration.notifications)
        announce_audit_log(configuration.audit)
        return configuration, options

    def _listen(self, address: binding.Address, undoing: ExitStack) -> socket.socket | None:
        """Return a socket that listens at `address`; None if the server has it already, or was handed another one."""
        if address == self._address or self._inherits:
            return None
        bound = binding.bind(address, patient=self._address is None)
        undoing.callback(binding.close, bound)
        binding.listen(bound, address)
        return bound

    def _require_challenges(self, section: LetsEncrypt) -> None:
        """Return if a worker will be able to listen on ``http.tls.letsencrypt.httpaddr``, if it is to do that."""
        before = self._configuration.http.tls.letsencrypt if self._address else LetsEncrypt()
        if section.cachefile and not (before.cachefile and before.httpaddr == section.httpaddr):
            binding.require(section.httpaddr, binding.CHALLENGES_KEY)


def _options(configuration: Configuration, *, jobs_apart: bool) -> dict[str, object]:
    http = configuration.http
    workers = http.workers or len(os.sched_getaffinity(0))
    return {
        # What to listen on is handed over: see binding.
        "bind": [],
        "workers": workers + jobs_apart,
        "threads": http.threads or _THREADS,
        "worker_class": Worker,
        "logger_class": AccessLog,
        "accesslog": "-" if _wants_access_log(configuration.log) else None,
        "http_parser": "auto",
        "graceful_timeout": math.ceil(http.draintimeout_seconds) or _DRAIN_SECONDS,
        # The limit is that of the whole head.
        "limit_request_line": 0,
        "limit_request_field_size": http.headerlimit,
        "limit_request_fields": _HEADER_FIELDS,
        # The heartbeat is a file; on a slow disk it would say that a busy worker has died.
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108  the kernel's own
        "control_socket_disable": True,
        "proc_name": "registry",
        "when_ready": arbiter.announce,
        "on_reload": arbiter.listen_elsewhere,
        "pre_fork": arbiter.take_slot,
        "child_exit": arbiter.leave_slot,
        "on_exit": arbiter.say_that_it_has_stopped,
    }


def _wants_access_log(section: Log) -> bool:
    """Tell whether to write the access log: not on a terminal where each request has its line for people already."""
    told = log.is_for_people(section) and section.level in {"info", "debug"} and sys.stdout.isatty()
    return not (section.accesslog.disabled or told)
