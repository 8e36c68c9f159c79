"""The host that the names of images begin with in commands."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


def host_of_images(scheme: str, host: str) -> str:
    """Return `host`, with the port of `scheme` where a name without dot and port would be taken for a repository's."""
    is_host = "." in host or ":" in host or host in {"", "localhost"}
    return host if is_host else f"{host}:{_PORTS.get(scheme, 443)}"


def is_this_machine(host: str) -> bool:
    """Tell whether `host`, HOST[:PORT], is one that every machine calls itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
