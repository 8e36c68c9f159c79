"""Whose certificates a client takes."""

from __future__ import annotations

import ssl
import threading

from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError, WatchedFile


class Trust:
    """The authorities of the file `cafile`, which take the place of the system's, as with curl; without one, those.

    A file that changes is read again; while it is broken, what it last said is in force. `context` stands in for both.
    `authorities` tells of them in a sentence that an authority "is not" one of them.

    Raises:
        ParameterError: the file cannot be read, or holds no certificates in PEM.
    """

    def __init__(self, cafile: str, context: ssl.SSLContext | None = None) -> None:
        self._file = WatchedFile(cafile, _trusting) if cafile else None
        self._context = context
        self.authorities = f"in {cafile}" if cafile else "one that is given" if context else "one of the system's"
        self._lock = threading.Lock()
        try:
            if self._file:
                self._file.require()
        except FileError as error:
            raise ParameterError(f"cafile: {error}") from error

    def context(self) -> ssl.SSLContext:
        """Return what verifies a peer; another one once `cafile` has changed."""
        if self._file:
            return self._file.last_good()
        with self._lock:
            if self._context is None:
                self._context = _as_in_go(ssl.create_default_context())
            return self._context


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
