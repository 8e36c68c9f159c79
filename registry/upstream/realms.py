"""Which token service may be asked, and so be given credentials, when an upstream names one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from registry.foundation.http_client import HttpError, Location

if TYPE_CHECKING:
    from collections.abc import Collection


class RealmError(Exception):
    """The token service may not be asked; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Realm:
    """A token service that may be asked; `named` is set if the configuration names its host, as the upstream's."""

    location: Location
    named: bool


def allowed_realm(text: str, upstream: Location, realms: Collection[str]) -> Realm:
    """Return the token service that is called `text` by the `upstream`.

    It is asked by HTTPS, unless the upstream is not. Its host is that of the upstream, or one of the same registrable
    domain (by the list of public suffixes), or one of `realms`, each ``HOST`` or ``HOST:PORT``. Of an upstream that is
    an address or localhost, only the same port of it is the same.

    Raises:
        RealmError: it may not be asked.
    """
    try:
        location = Location.parse(urljoin(upstream.url, text))
    except (HttpError, ValueError):
        raise RealmError("its token service is not a URL") from None
    shown = f"the token service {location.scheme}://{location.authority}"
    if location.authorization:
        raise RealmError(f"{shown} is given with a login")
    if location.scheme != "https" and upstream.scheme == "https":
        raise RealmError(f"{shown} is not asked by HTTPS")
    named = location.authority in {each.lower() for each in realms} or _is_same(location, upstream)
    if not named and not _is_of_same_domain(location.host, upstream.host):
        raise RealmError(f"{shown} is of another domain; if it may have the credentials, add it to auth.realms")
    return Realm(location, named)


def registrable_domain(host: str) -> str:
    """Return the domain that somebody has registered and that `host` is in; "" if there is none."""
    host = host.rstrip(".")
    return "" if _is_literal(host) else _suffixes().privatesuffix(host) or ""


def _is_same(location: Location, upstream: Location) -> bool:
    return location.host == upstream.host and (location.port == upstream.port or not _is_literal(upstream.host))


def _is_of_same_domain(host: str, other: str) -> bool:
    domain = registrable_domain(host)
    return bool(domain) and domain == registrable_domain(other)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return True


@lru_cache(1)
def _suffixes() -> Any:
    # It reads its list, which takes 30 ms, and keeps 3 MiB.
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList()
