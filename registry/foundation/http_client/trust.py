"""Whose certificates a client takes."""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass

from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError, FileWatch, WatchedFile, read_file
from registry.foundation.unreadable import reason_unreadable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a client shows of itself: a `certificate` with its chain and its `key`, files in PEM; "" for nothing."""

    certificate: str = ""
    key: str = ""

    def require_readable(self) -> None:
        """Return if its files can be read.

        Raises:
            ParameterError: one cannot.
        """
        for name, path in (("certificate", self.certificate), ("key", self.key)):
            try:
                read_file(path)
            except OSError as error:
                raise ParameterError(f"{name}: {path}: {reason_unreadable(error, path)}") from error


class Trust:
    """The authorities of the file `cafile`, which take the place of the system's, as with curl; without one, those.

    Without `verify` a peer may have any certificate. A peer that asks for it is shown `identity`. Files that change are
    read again; while one is broken, what it last said is in force. `context` stands in for the authorities.
    `authorities` tells of them in a sentence that an authority "is not" one of them.

    Raises:
        ParameterError: a file cannot be read, or does not hold in PEM what it should.
    """

    def __init__(
        self,
        cafile: str,
        context: ssl.SSLContext | None = None,
        *,
        identity: Identity | None = None,
        verify: bool = True,
    ) -> None:
        self._file = WatchedFile(cafile, _trusting) if cafile and verify else None
        self._context = context
        self._verify = verify
        self._identity = identity if identity and identity.certificate else None
        self._watch = FileWatch(self._identity.certificate, self._identity.key) if self._identity else None
        self._shown_by: ssl.SSLContext | None = None
        self.authorities = f"in {cafile}" if cafile else "one that is given" if context else "one of the system's"
        self._lock = threading.Lock()
        try:
            if self._file:
                self._file.require()
        except FileError as error:
            raise ParameterError(f"cafile: {error}") from error
        if self._identity:
            self._identity.require_readable()
            if wrong := self._show(self._identity, self._verifying()):
                raise ParameterError(f"certificate: {wrong}")

    def context(self) -> ssl.SSLContext:
        """Return what verifies a peer; another one once `cafile` has changed."""
        found = self._verifying()
        if self._identity and self._watch:
            with self._lock:
                changed = self._watch.changed() or found is not self._shown_by
            if changed and (wrong := self._show(self._identity, found)):
                _log.error("cannot use %s", wrong)
        return found

    def _verifying(self) -> ssl.SSLContext:
        if self._file:
            return self._file.last_good()
        with self._lock:
            if self._context is None:
                self._context = _as_in_go(ssl.create_default_context())
                if not self._verify:
                    self._context.check_hostname = False
                    self._context.verify_mode = ssl.CERT_NONE
            return self._context

    def _show(self, identity: Identity, context: ssl.SSLContext) -> str:
        """Have `context` show the identity, or go on with what it showed; return what is wrong, "" if nothing."""
        try:
            context.load_cert_chain(identity.certificate, identity.key, password=_no_password)
        except OSError as error:
            reason = getattr(error, "reason", None) or error.strerror or error
            return f"{identity.certificate} with the key {identity.key}: {reason}"
        self._shown_by = context
        return ""


def _no_password() -> str:
    """Give none, where OpenSSL would ask on the terminal."""
    return ""


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
