"""Client certificates: the four modes of ``http.tls.clientauth``, named and meant as in Go's crypto/tls."""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from typing import TYPE_CHECKING, Final

from registry.config import ConfigurationError
from registry.foundation.files import read_file
from registry.foundation.unreadable import reason_unreadable
from registry.server.tls.contents import fault_of_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.config.values import TLS

_VERIFY_PEER: Final = 0x01
_FAIL_IF_NO_PEER_CERT: Final = 0x02
_MODES: Final = {
    ssl.CERT_REQUIRED: _VERIFY_PEER | _FAIL_IF_NO_PEER_CERT,
    ssl.CERT_OPTIONAL: _VERIFY_PEER,
    ssl.CERT_NONE: 0,
}
"""What the modes of the ssl module are to OpenSSL."""
_Callback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_accept: Final = _Callback(lambda _verified, _store: 1)


def ask_for_certificates(context: ssl.SSLContext, section: TLS) -> None:
    """Make `context` demand of clients what ``clientcas`` and ``clientauth`` say; without ``clientcas`` nothing.

    Raises:
        ConfigurationError: a file cannot be used, or this build of Python cannot set the mode.
    """
    for index, path in enumerate(section.clientcas):
        content = b""
        try:
            content = read_file(path)  # OpenSSL would wait for a pipe
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            reason = fault_of_certificate(path, content) or f"{path}: {error.reason or error}"
            raise ConfigurationError(f"http.tls.clientcas[{index}]", reason) from error
        except OSError as error:
            reason = f"{path}: {reason_unreadable(error, path)}"
            raise ConfigurationError(f"http.tls.clientcas[{index}]", reason) from error
    if not section.clientcas:
        return
    # An authority that is listed is trusted, whether or not another one has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if section.clientauth == "require-and-verify-client-cert":
        context.verify_mode = ssl.CERT_REQUIRED
    elif section.clientauth == "verify-client-cert-if-given":
        context.verify_mode = ssl.CERT_OPTIONAL
    elif section.clientauth == "require-any-client-cert":
        _verify_nothing(context, _VERIFY_PEER | _FAIL_IF_NO_PEER_CERT)
    else:
        _verify_nothing(context, _VERIFY_PEER)


def _verify_nothing(context: ssl.SSLContext, mode: int) -> None:
    """Ask for a certificate and accept any whose key the client has.

    The ssl module has no such mode, but the OpenSSL library that it uses has a function that sets it.
    """
    reason = "this mode needs a Python whose OpenSSL is a shared library"
    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        set_verify = library.SSL_CTX_set_verify
        get_mode = library.SSL_CTX_get_verify_mode
    except (OSError, AttributeError) as error:
        raise ConfigurationError("http.tls.clientauth", reason) from error
    set_verify.argtypes = (ctypes.c_void_p, ctypes.c_int, _Callback)
    set_verify.restype = None
    get_mode.argtypes = (ctypes.c_void_p,)
    # In every CPython so far, the first member of the object is the pointer to OpenSSL's own context.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if not _leads_to(context, lambda: get_mode(pointer)):
        raise ConfigurationError("http.tls.clientauth", reason)
    set_verify(pointer, mode, _accept)
    if get_mode(pointer) != mode:
        raise ConfigurationError("http.tls.clientauth", "this mode could not be set")


def _leads_to(context: ssl.SSLContext, mode_there: Callable[[], int]) -> bool:
    """Tell whether `mode_there` reads the mode of `context`: it follows what Python sets, through several modes."""
    before = context.verify_mode
    try:
        for mode, value in _MODES.items():
            context.verify_mode = mode
            if mode_there() != value:
                return False
    finally:
        context.verify_mode = before
    return True
