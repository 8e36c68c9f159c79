"""When a certificate expires: the ssl module tells it of a peer's certificate only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_CERTIFICATE: Final = re.compile(rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----")
"""The blocks that OpenSSL takes for a certificate."""


def not_after(content: bytes) -> datetime:
    """Return the last moment at which the first certificate in `content`, a PEM file, is valid (RFC 5280 section 4.1).

    It is the one that OpenSSL serves; what else is in the file is not looked at.

    Raises:
        ValueError: there is no certificate in it, or one that only OpenSSL can read.
    """
    # It takes 20 ms and 3 MiB of memory, which a server without TLS need not spend.
    from cryptography import x509  # noqa: PLC0415

    first = _CERTIFICATE.search(content)
    if first is None:
        raise ValueError("there is no certificate in it")
    try:
        return x509.load_pem_x509_certificate(first[0]).not_valid_after_utc
    except x509.InvalidVersion as error:  # the only error of cryptography here that is not a ValueError
        raise ValueError(str(error)) from error
