"""TLS under gunicorn: the options that turn it on, and what is said to clients that fail at it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.server.acme import renewal
from registry.server.acme.ondemand import NamedCertificates
from registry.server.tls.certificates import Certificates
from registry.server.tls.context import context_without_certificate

if TYPE_CHECKING:
    import socket
    import ssl

    from registry.config.values import TLS

_SPOKE_HTTP: Final = "HTTP_REQUEST"
_log = logging.getLogger(__name__)


def examine(section: TLS) -> Certificates | None:
    """Return the certificates of ``http.tls``; None where it does not ask for TLS, or ACME has yet to make one.

    Raises:
        ConfigurationError: a file cannot be used, or OpenSSL does not support what is asked for.
    """
    if section.letsencrypt.cachefile:
        section = renewal.examine(section)
        if not Path(section.certificate).exists():
            context_without_certificate(section)
            return None
        if not section.letsencrypt.hosts:
            return NamedCertificates(section)
    if not section.certificate:
        if section.key or section.clientcas:
            raise ConfigurationError("http.tls.certificate", "missing, though http.tls has a key or clientcas")
        return None
    return Certificates(section)


def load(section: TLS, examined: Certificates | None = None) -> Certificates | None:
    """Return the certificates of ``http.tls``, or None where it does not ask for TLS; what ACME needs is made.

    `examined` is what examine() has returned, if it was asked: files that it has read are not read again.

    Raises:
        ConfigurationError: as examine(), or what ACME keeps cannot be made.
    """
    if section.letsencrypt.cachefile:
        renewal.prepare(section)
    return examined or examine(section)


def options(certificates: Certificates | None) -> dict[str, object]:
    """Return gunicorn's options to serve with `certificates`; none without any."""
    if certificates is None:
        return {}
    return {
        # These turn TLS on. What is served comes from the hook, which gunicorn asks for every connection.
        "certfile": certificates.section.certificate,
        "keyfile": certificates.section.key,
        "ssl_context": lambda _configuration, _default: certificates.current(),
    }


def refuse(client: socket.socket, peer: str, error: ssl.SSLError, answer: bytes) -> None:
    """Log why `peer` did not get as far as HTTP; if it spoke HTTP without TLS, give it `answer` in the clear."""
    _log.info("TLS handshake error from %s: %s", peer, error.reason or error)
    if error.reason != _SPOKE_HTTP:
        return
    try:
        os.write(client.fileno(), answer)
    except OSError:
        _log.debug("%s did not wait for its error", peer)
