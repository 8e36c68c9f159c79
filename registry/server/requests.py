"""What gunicorn's parser lets through and RFC 9112 does not."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from registry.server.gunicorn_internals import errors

_BLANKS_OF_REQUEST_LINE: Final = 2
_host: Final = re.compile(r"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]*")
"""The characters of a host and a port (RFC 3986 section 3.2.2)."""
_LONGEST_REMEMBERED: Final = 256


def check_head(request: Any, head: bytes) -> None:
    """Check what was parsed from `head`.

    Raises:
        errors.InvalidRequestLine: the request line has other blanks than the two that divide it (section 3), or its
            target has a fragment (section 3.2).
        errors.UnsupportedTransferCoding: the body is in another coding than chunks (section 6.1).
        errors.InvalidHeader: Host is missing in a request of HTTP/1.1, or is not a host (section 3.2).
    """
    start = 2 if head.startswith(b"\r\n") else 0
    end = head.find(b"\n", start)
    if head.count(b" ", start, end) != _BLANKS_OF_REQUEST_LINE:
        raise errors.InvalidRequestLine("blanks")
    if request.fragment:
        raise errors.InvalidRequestLine("a fragment")
    host = None
    for name, value in request.headers:
        if name == "HOST":
            host = value
        elif name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise errors.UnsupportedTransferCoding(value)
    if not _is_host(host) if host is not None else request.version >= (1, 1):
        raise errors.InvalidHeader("HOST")


def _is_host(text: str) -> bool:
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else bool(_host.fullmatch(text))


@lru_cache(maxsize=256)
def _remembered(text: str) -> bool:
    """Tell whether `text` is a host; clients have one or two names for a registry."""
    return bool(_host.fullmatch(text))
