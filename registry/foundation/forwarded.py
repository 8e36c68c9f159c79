"""The Forwarded header (RFC 7239), and the nodes that it and X-Forwarded-For name."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PAIR: Final = re.compile(
    r"""[ \t]*+
    (?:(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]++)=(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<plain>[^\s",;]++)))?
    [ \t]*+(?P<end>[;,]|\Z)""",
    re.VERBOSE,
)
"""One pair and what ends it. A value may have a colon without quotes: many proxies write a port so."""
_LONGEST_HEADER: Final = 4096
_LONGEST_NODE: Final = 64


def parse_forwarded(header: str) -> list[Mapping[str, str]]:
    """Return the elements of the header, that of the proxy nearest to the client first; names in lower case.

    Raises:
        ValueError: it is malformed, so that no part of it can be relied on (RFC 7239 section 4).
    """
    if len(header) > _LONGEST_HEADER:
        raise ValueError(f"it is longer than {_LONGEST_HEADER} bytes")
    elements: list[Mapping[str, str]] = []
    pairs: dict[str, str] = {}
    position, end = 0, ";"
    while end:
        found = _PAIR.match(header, position)
        if found is None:
            raise ValueError("it is not pairs of NAME=VALUE")
        if found["name"]:
            name, quoted = found["name"].lower(), found["quoted"]
            if name in pairs:
                raise ValueError(f"it says {name} twice of one proxy")
            pairs[name] = found["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position, end = found.end(), found["end"]
        if end != ";":
            elements.append(pairs)
            pairs = {}
    return elements


def node_address(node: str) -> str | None:
    """Return the address in the text for a node, with or without a port, in its usual form; None if it tells none.

    ``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``. An IPv4 address is one of IPv4 even
    where it is written as IPv6 (RFC 4291 section 2.5.5.2). "unknown" and names such as "_hidden" (RFC 7239 section 6)
    tell none.
    """
    return _read_node(node.strip()) if len(node) <= _LONGEST_NODE else None


@lru_cache(maxsize=1024)
def _read_node(node: str) -> str | None:
    address = node
    if node.startswith("["):
        address, closed, rest = node[1:].partition("]")
        # What stands in brackets is an address of IPv6.
        if not closed or ":" not in address or (rest and not rest.startswith(":")):
            return None
    elif node.count(":") == 1:
        address = node.partition(":")[0]
    read = read_address(address)
    return str(read) if read else None


def read_address(text: str) -> Address | None:
    """Return the address that `text` is, if it is one; IPv4 where it is mapped into IPv6, and without a zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address
