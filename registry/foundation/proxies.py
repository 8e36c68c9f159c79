"""Which peers may say on whose behalf they ask, and so who the client is."""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from registry.foundation.forwarded import node_address, parse_forwarded, read_address
from registry.foundation.shared_set import SharedSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

_MOST_HOPS: Final = 32
_REMEMBERED_PEERS: Final = 4096
_MOST_TOLD: Final = 5
_IPV6_CUSTOMER_BITS: Final = 64
_MAPPED_BITS: Final = 96
_MAPPED: Final = ipaddress.IPv6Network(f"::ffff:0:0/{_MAPPED_BITS}")
_log = logging.getLogger(__name__)


class TrustedProxies:
    """The proxies that are believed about their clients: those whose addresses lie in `networks`.

    A peer without an address (""), which has come by a unix socket, is always one of them. Share one among the threads
    of a process, and `told`, who else wanted to be believed, among the processes of a server.
    """

    def __init__(self, networks: Iterable[str] = LOOPBACK, told: SharedSet | None = None) -> None:
        self._networks = tuple(map(parse_network, networks))
        self._told = told or SharedSet()
        self._left_to_tell = _MOST_TOLD
        self.trusts = lru_cache(_REMEMBERED_PEERS)(self._trusts)
        """Tells whether the peer at an address is a trusted proxy; remembered."""
        self._notice = lru_cache(_REMEMBERED_PEERS)(self._tell)

    def client(self, environ: Mapping[str, Any]) -> str:
        """Return the address of the client whose request `environ` (PEP 3333) describes, "" for one on this machine.

        That is the address nearest to us that is not a trusted proxy's. X-Forwarded-For counts before Forwarded and
        that before X-Real-IP: nearly every proxy sets the first, while many pass on what clients say in the second.
        """
        peer: str = environ.get("REMOTE_ADDR", "")
        if peer.startswith("::ffff:") and "." in peer:
            peer = peer.removeprefix("::ffff:")
        if environ.keys().isdisjoint(_HEADERS):
            return peer
        for header, hops in _HOPS:
            value = environ.get(header)
            if value is not None:
                if self.trusts(peer):
                    return self._nearest_stranger(peer, hops(value))
                self._notice(peer, header)
                break
        return peer

    def _nearest_stranger(self, peer: str, hops: Iterable[str]) -> str:
        client = peer
        for hop in hops:
            address = node_address(hop)
            if address is None:
                break  # the proxy before does not know, or does not tell
            client = address
            if not self.trusts(client):
                break
        return client

    def _trusts(self, peer: str) -> bool:
        address = read_address(peer)
        return any(address in network for network in self._networks) if address else not peer

    def _tell(self, peer: str, header: str) -> None:
        """Say once of a peer, and of no more than a few, that it is not believed. It is asked once for each header."""
        if not self._left_to_tell or peer.encode() in self._told:
            return
        self._told.add(peer.encode())
        self._left_to_tell -= 1
        _log.warning(
            "%s from %s is not believed, so all clients behind that address count as one: if it is a proxy of yours, "
            "add it to http.trustedproxies",
            header.removeprefix("HTTP_").replace("_", "-").title(),
            peer,
        )


def parse_network(text: str) -> Network:
    """Return the network that `text` is: an address, or a network as CIDR (RFC 4632).

    Raises:
        ValueError: it is neither.
    """
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an address or a network, such as 192.0.2.1 or 10.0.0.0/8") from None
    if "/" in text and read_address(text.partition("/")[0]) != read_address(str(network.network_address)):
        raise ValueError(f"must be the address of a network, such as {network}")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(address or 0), network.prefixlen - _MAPPED_BITS))
    return network


@lru_cache(_REMEMBERED_PEERS)
def customer_of(address: str) -> str:
    """Return what stands for everybody who shares `address`: of IPv6 its /64, which is what a provider gives to one."""
    parsed = read_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, _IPV6_CUSTOMER_BITS), strict=False))
    return address if parsed is None else str(parsed)


def _forwarded_for(header: str) -> Iterable[str]:
    """Return the hops of X-Forwarded-For, the one nearest to us first; those beyond the last cannot be read."""
    return reversed(header.rsplit(",", _MOST_HOPS))


def _forwarded(header: str) -> Iterable[str]:
    try:
        elements = parse_forwarded(header)
    except ValueError:
        return ()
    return (element.get("for", "unknown") for element in reversed(elements))


def _real_ip(header: str) -> Iterable[str]:
    return (header,)


_HOPS: Final = (
    ("HTTP_X_FORWARDED_FOR", _forwarded_for),
    ("HTTP_FORWARDED", _forwarded),
    ("HTTP_X_REAL_IP", _real_ip),
)
_HEADERS: Final = tuple(header for header, _ in _HOPS)
