"""Keeps a certificate fresh: one process of all hosts orders, all of them pick the new file up.

Orders are few, as ACME servers allow but few: after a failure the next one waits a quarter of an hour, then twice
as long each time, at most a day. That is kept in the store, so that restarts do not begin anew.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation import addresses
from registry.server.acme.challenges import serve_challenges
from registry.server.acme.store import Attempts, Store

if TYPE_CHECKING:
    from registry.config.values import TLS, LetsEncrypt
    from registry.foundation.election import Election

_ELECTION_SECONDS: Final = 30.0
_LONGEST_SLEEP_SECONDS: Final = 3600.0
_SHORTEST_SLEEP_SECONDS: Final = 1.0
_FIRST_RETRY_SECONDS: Final = 15 * 60.0
_LONGEST_RETRY_SECONDS: Final = 24 * 3600.0
_KEY: Final = "http.tls.letsencrypt"
_log = logging.getLogger(__name__)


def prepare(section: TLS) -> TLS:
    """Return `section` with the file of the certificate that ACME keeps, which is there when this returns.

    Raises:
        ConfigurationError: what is asked for cannot be had.
    """
    asked = section.letsencrypt
    if section.certificate:
        raise ConfigurationError(f"{_KEY}.cachefile", "http.tls.certificate is given as well")
    if not asked.hosts:
        raise ConfigurationError(f"{_KEY}.hosts", "missing: the names to get a certificate for")
    try:
        addresses.parse(asked.httpaddr)
    except ValueError as error:
        raise ConfigurationError(f"{_KEY}.httpaddr", f"{asked.httpaddr!r}: {error}") from error
    try:
        from registry.server.acme.orders import placeholder  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigurationError(f"{_KEY}.cachefile", "needs the extra: pip install 'py-registry[acme]'") from error
    store = Store(asked.cachefile)
    try:
        store.create()
        if not store.certificate.exists():
            store.write_certificate(placeholder(asked.hosts))
    except OSError as error:
        raise ConfigurationError(f"{_KEY}.cachefile", f"{asked.cachefile}: {error.strerror}") from error
    path = str(store.certificate)
    return replace(section, certificate=path, key=path)


def start(election: Election, section: LetsEncrypt) -> None:
    """Renew the certificate, if ``letsencrypt`` asks for one, if and when this process is elected."""
    if section.cachefile:
        threading.Thread(target=_run, args=(election, section), name="acme", daemon=True).start()


def renew_if_due(section: LetsEncrypt, store: Store) -> float:
    """Order a certificate if it is time; return how many seconds to wait until it may be time again."""
    from registry.server.acme.orders import OrderError, due, order  # noqa: PLC0415  an extra

    with store.locked() as alone:
        now = time.time()
        attempts = store.attempts()
        next_look = max(due(store.certificate.read_bytes(), section.hosts).timestamp(), attempts.not_before)
        if next_look > now or not alone:
            return next_look - now if alone else _ELECTION_SECONDS
        pause: float = min(_FIRST_RETRY_SECONDS * 2**attempts.failed, _LONGEST_RETRY_SECONDS)
        # Counted as failed beforehand: a process that dies while it orders must not order again at once.
        store.write_attempts(Attempts(attempts.failed + 1, now + pause))
        try:
            store.write_certificate(order(section, store))
        except OrderError as error:
            _log.error("no certificate for %s, next try in %.0f s: %s", ", ".join(section.hosts), pause, error)
            return pause
        store.write_attempts(Attempts())
        _log.info("there is a new certificate for %s", ", ".join(section.hosts))
        return 0.0


def _run(election: Election, section: LetsEncrypt) -> None:
    while not election.won():
        time.sleep(_ELECTION_SECONDS)
    store = Store(section.cachefile)
    try:
        serve_challenges(section.httpaddr, store)
    except OSError as error:
        _log.error("%s.httpaddr: %s cannot be listened on: %s", _KEY, section.httpaddr, error)
    while True:
        try:
            pause = renew_if_due(section, store)
        except (OSError, ValueError) as error:
            _log.error("the certificate cannot be looked after: %s", error)
            pause = _ELECTION_SECONDS
        time.sleep(min(max(pause, _SHORTEST_SLEEP_SECONDS), _LONGEST_SLEEP_SECONDS))
