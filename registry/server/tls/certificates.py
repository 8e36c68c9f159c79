"""Certificates that are replaced on disk while the registry runs."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.files import FileWatch
from registry.server.tls.context import server_context
from registry.server.tls.expiry import not_after

if TYPE_CHECKING:
    import ssl

    from registry.config.values import TLS

_SOON: Final = timedelta(days=14)
_log = logging.getLogger(__name__)


class Certificates:
    """The context for new connections, made anew once a file that it was made from has changed.

    Connections that are open keep the context that they began with. Every call looks for a change, which costs a few
    stat() calls beside a handshake. Files that cannot be used are logged once and leave the context as it is, so a
    certificate may be replaced before or after its key.
    """

    def __init__(self, section: TLS) -> None:
        """Load the files of `section`.

        Raises:
            ConfigurationError: they cannot be used.
        """
        self.section = section
        self._lock = threading.Lock()
        self._watch = FileWatch(section.certificate, section.key, *section.clientcas)
        self._watch.changed()  # what changes from here on is a change
        self._context, self._not_after = self._load()

    def current(self) -> ssl.SSLContext:
        """Return the context to accept a connection with."""
        self._refresh()
        return self._context

    def not_after(self) -> datetime | None:
        """Return when the certificate of new connections expires, or None if that is not known."""
        self._refresh()
        return self._not_after

    def _refresh(self) -> None:
        # While another thread looks, this one goes on with the present context.
        if self._lock.acquire(blocking=False):
            try:
                self._load_what_has_changed()
            finally:
                self._lock.release()

    def _load_what_has_changed(self) -> None:
        if not self._watch.changed():
            return
        try:
            self._context, self._not_after = self._load()
        except ConfigurationError as error:
            _log.error("the old certificate stays in use: %s", error)

    def _load(self) -> tuple[ssl.SSLContext, datetime | None]:
        context = server_context(self.section)
        path = Path(self.section.certificate)
        try:
            expires = not_after(path.read_bytes())
        except (OSError, ValueError) as error:
            # OpenSSL has loaded it, so it is served: the date is only told to people.
            _log.warning("using the certificate %s, good until an unknown date: %s", path, error)
            return context, None
        remaining = expires - datetime.now(UTC)
        level = logging.WARNING if remaining < _SOON else logging.INFO
        _log.log(level, "using the certificate %s, good until %s", path, expires.isoformat())
        return context, expires
