"""Which addresses what a peer says may lead to: none by which it could have others ask what only this machine may."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = IPv4Address | IPv6Address

_FORBIDDEN: Final = tuple(
    (ip_network(network), kind)
    for kind, networks in {
        "an unspecified address": ("0.0.0.0/8", "::/128"),
        "a link-local address": ("169.254.0.0/16", "fe80::/10"),
        "a multicast address": ("224.0.0.0/4", "ff00::/8"),
        "the broadcast address": ("255.255.255.255/32",),
        # Amazon (also for EKS pods), Google, Oracle, Scaleway; Alibaba, Oracle, Azure. Others have link-local ones.
        "a metadata address": (
            *("fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128"),
            *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
        ),
    }.items()
    for network in networks
)
_PRIVATE: Final = tuple(
    ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")
)
"""RFC 1918, RFC 6598, RFC 4193, RFC 3879."""

_METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
"""Only a proxy may know their addresses."""

_TRANSLATED: Final = (ip_network("64:ff9b::/96"), ip_network("::ffff:0:0:0/96"))
"""By NAT64 (RFC 6052) and SIIT (RFC 2765)."""

_TRANSLATED_LOCALLY: Final = ip_network("64:ff9b:1::/48")
_COMPATIBLE: Final = ip_network("::/96")
_NO_HOST: Final = ip_network("0.0.0.0/8")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""What stands before the IPv4 address there (RFC 5214 section 6.1)."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The addresses that a redirect may lead to, where the caller's own URL led to one of `home`.

    Private ones are among them if `private` is set, those of this machine if `loopback` is set or `home` has one.
    `leads` begins the sentence that says why another is not asked.
    """

    home: frozenset[Address]
    private: bool = True
    loopback: bool = False
    leads: str = "it redirects to"

    def require_allowed(self, address: str) -> None:
        """Return if a redirect may lead to `address`.

        Raises:
            HttpError: it may not.
        """
        parsed = ip_address(address)
        if parsed in self.home:
            return
        for form in _forms(parsed):
            kind = next((kind for network, kind in _FORBIDDEN if form in network), "")
            kind = kind or self._private_kind(form)
            if kind:
                raise HttpError(f"{self.leads} {address}, {kind}, which is not followed")

    def require_allowed_by_proxy(self, host: str) -> None:
        """Return if a redirect may lead to `host`, which a proxy looks up: as far as it can be known here.

        Raises:
            HttpError: it may not.
        """
        if host.rstrip(".") in _METADATA_NAMES:
            raise HttpError(f"{self.leads} {host}, a name of metadata, which is not followed")
        for address in addresses_of(host):
            self.require_allowed(str(address))

    def _private_kind(self, form: Address) -> str:
        """Return what kind of address `form` is of those that only some may ask, "" if it is none or they may."""
        if form.is_loopback:
            return "" if self.loopback or any(_is_loopback(own) for own in self.home) else "a loopback address"
        return "a private address" if not self.private and _is_private(form) else ""


def addresses_of(host: str) -> frozenset[Address]:
    """Return the addresses of `host`, none if it is not known; an IPv4 address may be spelled as C reads it."""
    try:
        found = socket.getaddrinfo(host.rstrip(".").encode(), None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(ip_address(address[0]) for *_, address in found)


def is_local(address: Address) -> bool:
    """Tell whether `address` is a private one, or one of this machine."""
    return any(form.is_loopback or _is_private(form) for form in _forms(address))


def _is_private(form: Address) -> bool:
    return any(form in network for network in _PRIVATE)


def _is_loopback(address: Address) -> bool:
    return any(form.is_loopback for form in _forms(address))


def _forms(address: Address) -> Iterator[Address]:
    """Yield `address`, and each IPv4 address that it stands for in a translation or tunnel."""
    yield address
    if not isinstance(address, IPv6Address):
        return
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    teredo = address.teredo or ()
    yield from (form for form in (address.ipv4_mapped, address.sixtofour, *teredo) if form)
    if any(address in network for network in _TRANSLATED) or number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield low
    if address in _COMPATIBLE and not address.is_loopback:
        yield low
    if address in _TRANSLATED_LOCALLY:
        yield from _translated_locally(number)


def _translated_locally(number: int) -> Iterator[Address]:
    """Yield what an address of RFC 8215 may stand for: the length of its prefix is not known (RFC 6052 section 2.2)."""
    low = (1 << 56) - 1
    without_u = number >> 8 & ~low | number & low  # bits 64 to 71 are never of the IPv4 address
    for found in (number, without_u >> 24, without_u >> 32, without_u >> 40):
        candidate = IPv4Address(found & 0xFFFFFFFF)
        if candidate not in _NO_HOST:  # nearly always what is left of another length
            yield candidate
