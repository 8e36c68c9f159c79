"""From ``http.tls`` to a context that accepts connections."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from registry.config import ConfigurationError
from registry.foundation.files import read_file
from registry.foundation.unreadable import reason_unreadable
from registry.server.tls.ciphers import restrict
from registry.server.tls.clients import ask_for_certificates
from registry.server.tls.contents import fault_of_pair

if TYPE_CHECKING:
    from typing import NoReturn

    from registry.config.values import TLS


def server_context(section: TLS) -> ssl.SSLContext:
    """Return a context with the certificate of `section` and all that it says of versions, suites and clients.

    Raises:
        ConfigurationError: a file cannot be used, or OpenSSL does not support what is asked for.
    """
    context = context_without_certificate(section)
    _load_chain(context, section.certificate, section.key)
    return context


def context_without_certificate(section: TLS) -> ssl.SSLContext:
    """Return a context with all that `section` says but the certificate.

    Raises:
        ConfigurationError: as server_context().
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # TLS 1.0 and 1.1 are accepted in the configuration, with a warning, and not spoken (RFC 8996).
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if section.minimumtls == "tls1.3" else ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    restrict(context, section.ciphersuites)
    ask_for_certificates(context, section)
    return context


def _load_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    contents = {}
    for name, path in (("certificate", certificate), ("key", key)):
        try:
            contents[name] = path, read_file(path)  # OpenSSL would wait for a pipe
        except OSError as error:
            unreadable = f"{path or 'missing'}: {reason_unreadable(error, path)}"
            raise ConfigurationError(f"http.tls.{name}", unreadable) from error
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        name, fault = fault_of_pair(contents["certificate"], contents["key"], str(reason))
        raise ConfigurationError(f"http.tls.{name}", fault) from error


def _refuse_password() -> NoReturn:
    raise ConfigurationError("http.tls.key", "is encrypted: a key without a password is needed")
