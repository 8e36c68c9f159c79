"""Keeps a certificate fresh: one process of all hosts orders, all of them pick the new file up.

ACME servers limit how often one may order. After a failure the next order waits a quarter of an hour, then twice as
long each time, at most a day. The count of failures is kept in the store, so that a restart does not reset it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.extras import installing
from registry.foundation.files import check_creatable
from registry.jobs.job import Job, JobFailedError
from registry.server import binding
from registry.server.acme.challenges import serve_challenges
from registry.server.acme.store import Attempts, Store
from registry.server.tls.expiry import not_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config.values import TLS, LetsEncrypt

_RETRY_SECONDS: Final = 30.0
_LONGEST_SLEEP_SECONDS: Final = 3600.0
_SHORTEST_SLEEP_SECONDS: Final = 1.0
_FIRST_RETRY_SECONDS: Final = 15 * 60.0
_LONGEST_RETRY_SECONDS: Final = 24 * 3600.0
_KEY: Final = "http.tls.letsencrypt"
_log = logging.getLogger(__name__)


def examine(section: TLS) -> TLS:
    """Return `section` with the file of the certificate that ACME keeps, which need not be there yet.

    Raises:
        ConfigurationError: the section is not complete, the extra is missing, or the directory cannot be used.
    """
    asked = section.letsencrypt
    if section.certificate:
        raise ConfigurationError(f"{_KEY}.cachefile", "http.tls.certificate is given as well")
    binding.tcp_address(asked.httpaddr, f"{_KEY}.httpaddr")
    try:
        import registry.server.acme.orders  # noqa: F401, PLC0415  an extra
    except ImportError as error:
        raise ConfigurationError(f"{_KEY}.cachefile", f"needs the extra acme; try: {installing('acme')}") from error
    path = str(Store(asked.cachefile).certificate)
    try:
        check_creatable(path)
    except OSError as error:
        raise ConfigurationError(f"{_KEY}.cachefile", f"{asked.cachefile}: {error.strerror}") from error
    return replace(section, certificate=path, key=path)


def prepare(section: TLS) -> TLS:
    """Return what examine() does, and make the directory; until ACME has given a certificate, it holds one of our own.

    Raises:
        ConfigurationError: as examine().
    """
    prepared = examine(section)
    from registry.server.acme.orders import placeholder  # noqa: PLC0415  an extra, which is there

    asked = section.letsencrypt
    store = Store(asked.cachefile)
    try:
        store.create()
        if not store.certificate.exists():
            store.write_certificate(placeholder(asked.hosts))
    except OSError as error:
        raise ConfigurationError(f"{_KEY}.cachefile", f"{asked.cachefile}: {error.strerror}") from error
    return prepared


def jobs(section: LetsEncrypt) -> Iterator[Job]:
    """Yield the job that renews the certificate; none if ``letsencrypt`` does not ask for one."""
    if section.cachefile:
        yield Job("acme", _Renewal(section).run, _RETRY_SECONDS)


def renew_if_due(section: LetsEncrypt, store: Store, name: str = "") -> float:
    """Order a certificate if it is time; return how many seconds to wait until it may be time again.

    It is that of the configured hosts, or of the one host `name` that clients have asked for.

    Raises:
        JobFailedError: the order has failed.
    """
    from registry.server.acme.orders import due  # noqa: PLC0415  an extra

    hosts = (name,) if name else section.hosts
    with store.locked() as alone:
        now = time.time()
        due_at = due(store.certificate_of(name).read_bytes(), hosts).timestamp()
        next_look = max(due_at, store.attempts(name).not_before)
        if next_look > now or not alone:
            return next_look - now if alone else _RETRY_SECONDS
        order_and_keep(section, store, name)
        return 0.0


def order_and_keep(section: LetsEncrypt, store: Store, name: str = "") -> None:
    """Order a certificate; the store is locked. `name` is as for renew_if_due().

    Raises:
        JobFailedError: the order has failed; the store says when the next one may be made.
    """
    from registry.server.acme.orders import OrderError, order  # noqa: PLC0415  an extra

    hosts = (name,) if name else section.hosts
    failed = store.attempts(name).failed
    pause: float = min(_FIRST_RETRY_SECONDS * 2**failed, _LONGEST_RETRY_SECONDS)
    # Counted as failed beforehand: a process that dies while it orders must not order again at once.
    store.write_attempts(Attempts(failed + 1, time.time() + pause), name)
    try:
        store.write_certificate(order(replace(section, hosts=hosts), store), name)
    except OrderError as error:
        text = f"no certificate for {', '.join(hosts)}, next try in {pause:.0f} s: {error}"
        raise JobFailedError(text, pause_seconds=_bounded(pause), level=logging.ERROR) from error
    store.write_attempts(Attempts(), name)
    _log.info("there is a new certificate for %s", ", ".join(hosts))


class _Renewal:
    def __init__(self, section: LetsEncrypt) -> None:
        self._section = section
        self._store = Store(section.cachefile)
        self._answering = False

    def run(self) -> float:
        if not self._answering:
            self._serve_challenges()
        try:
            if self._section.hosts:
                return _bounded(renew_if_due(self._section, self._store))
            return self._renew_each()
        except (OSError, ValueError) as error:
            raise JobFailedError(f"the certificate cannot be looked after: {error}", level=logging.ERROR) from error

    def _renew_each(self) -> float:
        """Renew what clients have asked for; a name that is no longer ours is dropped when its certificate expires."""
        # A name that is new is due in days at the earliest, but there may soon be one.
        names = self._store.names()
        pause = _LONGEST_SLEEP_SECONDS if names else _RETRY_SECONDS
        for name in names:
            try:
                pause = min(pause, _bounded(renew_if_due(self._section, self._store, name)))
            except JobFailedError as error:
                _log.error("%s", error)
                if not_after(self._store.certificate_of(name).read_bytes()) < datetime.now(UTC):
                    self._store.forget(name)
        return pause

    def _serve_challenges(self) -> None:
        """Answer challenges from now on.

        Raises:
            JobFailedError: the address is taken, for example by the process that was elected before and is just ending.
                The next run tries again. Nothing is ordered meanwhile: the order would fail, and failures are limited.
        """
        address = self._section.httpaddr
        try:
            serve_challenges(address, self._store)
        except OSError as error:
            text = f"{_KEY}.httpaddr: {address} cannot be listened on: {error}"
            raise JobFailedError(text, level=logging.ERROR) from error
        self._answering = True


def _bounded(pause: float) -> float:
    return min(max(pause, _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS)
