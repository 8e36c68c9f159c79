"""The proxy for a location: that of the environment, by the rules of Go's ``net/http``, or one that is configured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.locations import Location


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to without TLS; `authorization` is for Proxy-Authorization, "" without a login."""

    host: str
    port: int
    authorization: str


def proxy_for(location: Location) -> Proxy | None:
    """Return the proxy by which `location` is reached: HTTP_PROXY and HTTPS_PROXY name it, NO_PROXY the exceptions.

    The names may be in lower case, which come first. This machine is never reached by a proxy. Under CGI, which a
    variable REQUEST_METHOD tells of, HTTP_PROXY may be a header of a client, and only ``http_proxy`` counts.

    Raises:
        HttpError: the variable is not the URL of a proxy that can be used.
    """
    name = f"{location.scheme}_proxy"
    text = os.environ.get(name, "")
    if not text and not (location.scheme == "http" and "REQUEST_METHOD" in os.environ):
        text = os.environ.get(name.upper(), "")
    return None if not text or _is_direct(location) else named_proxy(text, name.upper())


def named_proxy(text: str, name: str) -> Proxy:
    """Return the proxy whose URL, or HOST:PORT, is `text`; `name` is what it was given by.

    Raises:
        HttpError: it is not the URL of a proxy that can be used.
    """
    try:
        found = Location.parse(text if "://" in text else f"http://{text}")
    except HttpError as error:
        raise HttpError(f"{name}: {error}") from None
    if found.scheme != "http":
        raise HttpError(f"{name}: a proxy is spoken to by http:// only")
    return Proxy(found.host, found.port, found.authorization)


def _is_direct(location: Location) -> bool:
    host = location.host.rstrip(".")
    address = _address(host)
    if host == "localhost" or (address and address.is_loopback):
        return True
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    entries = (entry.strip().lower() for entry in exceptions.split(","))
    return any(_covers(entry, host, address, location.port) for entry in entries if entry)


def _covers(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    """Tell whether `entry` is ``*``, a network, or an address or a domain with or without a port, of `host`."""
    if "/" in entry:
        return address is not None and address in _network(entry)
    name, colon, digits = entry.rpartition(":")
    if not colon or _address(entry.strip("[]")):
        name = entry
    elif digits != str(port):
        return False
    if address and name != "*":
        return _address(name.strip("[]")) == address
    domain = name.removeprefix("*")
    return host == domain or host.endswith(domain if domain[:1] in {"", "."} else f".{domain}")


def _network(text: str) -> IPv4Network | IPv6Network:
    """Return the network in CIDR notation, one without a host that could be asked if it is malformed."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return IPv4Network("0.0.0.0/32")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
