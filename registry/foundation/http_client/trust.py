"""Whose certificates a client takes."""

from __future__ import annotations

import ssl
import threading

from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError, WatchedFile


class Trust:
    """The authorities of the file `cafile`, which take the place of the system's, as with curl; without one, those.

    A file that changes is read again; while it is broken, what it last said is in force.

    Raises:
        ParameterError: the file cannot be read, or holds no certificates in PEM.
    """

    def __init__(self, cafile: str) -> None:
        self._file = WatchedFile(cafile, _trusting) if cafile else None
        self._system: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        try:
            self.context_of_file()
        except FileError as error:
            raise ParameterError(f"cafile: {error}") from error

    def context(self) -> ssl.SSLContext:
        """Return what verifies a peer; another one once `cafile` has changed."""
        found = self.context_of_file()
        if found:
            return found
        with self._lock:
            if self._system is None:
                self._system = _as_in_go(ssl.create_default_context())
            return self._system

    def context_of_file(self) -> ssl.SSLContext | None:
        """Return what verifies a peer by `cafile`, None without one."""
        return self._file.last_good() if self._file else None


def _trusting(pem: bytes) -> ssl.SSLContext:
    text = pem.decode("ascii", "ignore")  # comments may be in any language
    if "-----BEGIN " not in text:  # the system's authorities would be taken
        raise ValueError("it holds no certificate in PEM")
    try:
        return _as_in_go(ssl.create_default_context(cadata=text))
    except ssl.SSLError as error:
        raise ValueError("it holds no certificate in PEM, or a malformed one") from error


def _as_in_go(context: ssl.SSLContext) -> ssl.SSLContext:
    # Python 3.13 began to refuse authorities that lack an extension, as those of many companies do.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
