"""By which way, and to which addresses, a client may go."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

from registry.foundation.http_client.destinations import Address, Guard, is_local
from registry.foundation.http_client.proxies import named_proxy, proxy_for

if TYPE_CHECKING:
    from registry.foundation.http_client.locations import Location
    from registry.foundation.http_client.proxies import Proxy

ENVIRONMENT: Final = "environment"
DIRECT: Final = "none"


@dataclass(frozen=True, slots=True)
class Reach:
    """The way of a client to its peers.

    An address is given `connect_seconds` to take a connection; None is what remains for all of the exchange. `proxy` is
    "environment", "none", or the URL of one for every peer.

    `private` says whether what a peer names may be at a private address: "auto" if the caller's own URL led to one.
    Where it is None they may, and the caller's URL may lead to any address; else it may not lead to a link-local
    address or one of metadata, unless it has the address itself.
    """

    connect_seconds: float | None = None
    proxy: str = ENVIRONMENT
    private: Literal["auto", "allow", "deny"] | None = None

    def proxy_for(self, location: Location) -> Proxy | None:
        """Return the proxy by which `location` is reached.

        Raises:
            HttpError: it cannot be used.
        """
        if self.proxy == ENVIRONMENT:
            return proxy_for(location)
        return None if self.proxy == DIRECT else named_proxy(self.proxy, "httpproxy")

    def own(self, location: Location) -> Guard | None:
        """Return what judges the addresses of the caller's own URL."""
        if self.private is None or _is_address(location.host):
            return None
        return Guard(frozenset(), loopback=True, leads="it is at")

    def beyond(self, home: frozenset[Address], leads: str) -> Guard:
        """Return what judges the addresses of what a peer names, where the caller's own URL led to one of `home`."""
        private = self.private in {None, "allow"} or (self.private == "auto" and any(map(is_local, home)))
        return Guard(home, private=private, leads=leads)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
