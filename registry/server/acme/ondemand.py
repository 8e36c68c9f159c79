"""Certificates for whatever name a client asks for: ``http.tls.letsencrypt`` without ``hosts``.

A client names the host in its first message (SNI, RFC 6066 section 3). Its handshake waits, in a thread, until there is
a certificate: the first one takes some seconds. Anybody may ask for any name, so there are limits to what is ordered.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.recent import RecentlyUsed
from registry.jobs.job import JobFailedError
from registry.server.acme.renewal import order_and_keep
from registry.server.acme.store import Store
from registry.server.tls.certificates import Certificates

if TYPE_CHECKING:
    from datetime import datetime

    from registry.config.values import TLS, LetsEncrypt

MOST_NAMES: Final = 50
"""Names that have a certificate, of all hosts that share the directory."""
MOST_ORDERS: Final = 10
"""Orders in an hour for names that have none."""
HOUR_SECONDS: Final = 3600.0
HANDSHAKE_SECONDS: Final = 9.0
"""How long a handshake waits. Clients and ``http.headertimeout`` allow ten seconds; the order goes on behind that."""
_ORDER_SECONDS: Final = 300.0
"""How long an order waits for another one to end."""
_LOCK_PAUSE_SECONDS: Final = 0.3
_REFUSED_SECONDS: Final = 60.0
"""How long a name that was refused is not looked at again."""
_MOST_WAITING: Final = 16
"""Handshakes of a process that wait, and names that it orders, at a time."""
_MOST_FAILURES: Final = 200
_MOST_REFUSED: Final = 1000
_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
"""A host name with a dot (RFC 1123 section 2.1) whose last part is not a number, as that of an IPv4 address is."""
_NEVER_PUBLIC: Final = frozenset({"arpa", "internal", "invalid", "local", "onion"})
"""Last parts of names for which no public authority issues (RFC 6761, RFC 6762): those that clients inside may use."""
_log = logging.getLogger(__name__)


def can_have(name: str) -> bool:
    """Tell whether an ACME server may issue a certificate for `name`: it is a host's full name in lower case."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return False
    return name.rpartition(".")[2] not in _NEVER_PUBLIC


class RefusedError(Exception):
    """No certificate is ordered for this name now; the text says why."""


def obtain(section: LetsEncrypt, store: Store, name: str) -> bool:
    """Order a certificate for `name` unless there is one; return False if another order is under way.

    Raises:
        RefusedError: a limit is reached, or an order has failed before.
        JobFailedError: the order has failed.
        OSError: the store has.
    """
    with store.locked() as alone:
        if store.certificate_of(name).exists():
            return True
        if not alone:
            return False
        now = time.time()
        if store.attempts(name).not_before > now:
            raise RefusedError("an order has failed before")
        if len(store.names()) >= MOST_NAMES:
            raise RefusedError(f"{MOST_NAMES} names have one, which is the most without http.tls.letsencrypt.hosts")
        recent = [each for each in store.orders() if each > now - HOUR_SECONDS]
        if len(recent) >= MOST_ORDERS:
            raise RefusedError(f"{MOST_ORDERS} were ordered in the last hour, the most without hosts")
        store.write_orders([*recent, now])
        store.forget_failures(most=_MOST_FAILURES)
        order_and_keep(section, store, name)
        return True


class NamedCertificates(Certificates):
    """A context for each name that clients ask for; the certificate of `section` is served to those that name none."""

    def __init__(self, section: TLS) -> None:
        self._store = Store(section.letsencrypt.cachefile)
        self._contexts: RecentlyUsed[str, Certificates] = RecentlyUsed(2 * MOST_NAMES)
        self._refused: RecentlyUsed[str, float] = RecentlyUsed(_MOST_REFUSED)
        self._orders: dict[str, threading.Event] = {}
        self._ordering = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        super().__init__(section)

    def not_after(self) -> datetime | None:
        """Return when the first of the certificates that were served expires; None if none was."""
        ends = [each.not_after() for each in self._contexts.values()]
        return min((end for end in ends if end), key=lambda end: end.astimezone(UTC), default=None)

    def _load(self) -> tuple[ssl.SSLContext, datetime | None]:
        context, expires = super()._load()
        context.sni_callback = self._choose
        return context, expires

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Have `connection` go on with the certificate for `name`; return an alert of TLS if there is none."""
        if name is None:
            return None
        name = name.lower().rstrip(".")
        if not can_have(name):
            return None  # nobody can have one: the client is shown that there is none
        try:
            found = self._find(name) or self._await(name)
        except Exception:  # noqa: BLE001  OpenSSL has no use for it, and would only print it
            _log.exception("the certificate for %s cannot be served", name)
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found.current()
        return None

    def _find(self, name: str) -> Certificates | None:
        found = self._contexts.get(name)
        path = self._store.certificate_of(name)
        if found is None and path.exists():
            try:
                found = Certificates(replace(self.section, certificate=str(path), key=str(path)))
            except ConfigurationError as error:
                _log.error("%s", error)
                return None
            self._contexts.put(name, found)
        return found

    def _await(self, name: str) -> Certificates | None:
        """Wait for a certificate that is ordered, if it may be; None if none comes."""
        # The main thread has to go on: it stands in only where no other is free.
        if self._is_refused(name) or threading.current_thread() is threading.main_thread():
            return None
        if not self._waiting.acquire(blocking=False):
            return None
        try:
            ended = self._begin(name)
            if ended:
                ended.wait(HANDSHAKE_SECONDS)
        finally:
            self._waiting.release()
        return self._find(name)

    def _is_refused(self, name: str) -> bool:
        return (self._refused.get(name) or 0.0) > time.monotonic()

    def _begin(self, name: str) -> threading.Event | None:
        """Return what is set when the order for `name`, which is begun if need be, has ended; None for one too many."""
        with self._ordering:
            ended = self._orders.get(name)
            if ended is None and len(self._orders) < _MOST_WAITING:
                ended = self._orders[name] = threading.Event()
                threading.Thread(target=self._order, args=(name, ended), name="acme-order", daemon=True).start()
            return ended

    def _order(self, name: str, ended: threading.Event) -> None:
        try:
            self._obtain(name)
        except RefusedError as error:
            _log.warning("no certificate for %s: %s", name, error)
            self._refused.put(name, time.monotonic() + _REFUSED_SECONDS)
        except JobFailedError as error:
            _log.error("%s", error)
            self._refused.put(name, time.monotonic() + _REFUSED_SECONDS)
        except OSError as error:
            _log.error("no certificate for %s: %s", name, error)
        finally:
            with self._ordering:
                del self._orders[name]
            ended.set()

    def _obtain(self, name: str) -> None:
        deadline = time.monotonic() + _ORDER_SECONDS
        while not obtain(self.section.letsencrypt, self._store, name):
            if time.monotonic() > deadline:
                raise RefusedError("another order takes long")
            time.sleep(_LOCK_PAUSE_SECONDS)
