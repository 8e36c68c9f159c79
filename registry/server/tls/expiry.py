"""When a certificate expires, read from its DER: the ssl module tells it of a peer's certificate only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_CONTEXT_0: Final = 0xA0
_UTC_TIME: Final = 0x17
_LONG_FORM: Final = 0x80


def not_after(certificate: bytes) -> datetime:
    """Return the last moment at which `certificate`, in DER, is valid (RFC 5280 section 4.1).

    Raises:
        ValueError: it is no certificate.
    """
    try:
        return _not_after(certificate)
    except IndexError:
        raise ValueError("the certificate is cut short") from None


def _not_after(certificate: bytes) -> datetime:
    _, start, _ = _element(certificate, 0)
    _, position, _ = _element(certificate, start)
    tag, _, stop = _element(certificate, position)
    if tag == _CONTEXT_0:
        position = stop  # the version
    for _ in ("serial number", "signature algorithm", "issuer"):
        _, _, position = _element(certificate, position)
    _, validity, _ = _element(certificate, position)
    _, _, second = _element(certificate, validity)
    tag, start, stop = _element(certificate, second)
    text = certificate[start:stop].decode("ascii")
    # RFC 5280: two digits of a year from 1950 to 2049, which is not how strptime counts.
    century = "" if tag != _UTC_TIME else "19" if text >= "50" else "20"
    return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Return the tag of the element at `position`, and where its content starts and stops."""
    length, start = der[position + 1], position + 2
    if length & _LONG_FORM:
        count = length & ~_LONG_FORM
        length, start = int.from_bytes(der[start : start + count]), start + count
    return der[position], start, start + length
