"""URLs under which the client that asks can reach this registry.

``http.host`` is believed before anything, then the Forwarded header (RFC 7239), then X-Forwarded-*, then the
request itself. A client that lies about these only misleads itself: they go into its own answer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from werkzeug.urls import iri_to_uri

from registry.foundation.forwarded import parse_forwarded, read_address
from registry.handlers.current import PEER_KEY, opened, services
from registry.handlers.flask_internals import current_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.config import Configuration
    from registry.config.values import HTTP
    from registry.oci.digest import Digest

_SCHEMES: Final = frozenset({"http", "https"})
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]++|\[[0-9A-Fa-f:.]++\])(?::([0-9]{0,5}))?")
"""A registered name or an address, and a port (RFC 3986 section 3.2.2)."""
_LAST_PORT: Final = 65535
_TELLING_ORIGIN: Final = ("HTTP_HOST", "HTTP_FORWARDED", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
_TELLING_HOST: Final = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_HOST")
_REMEMBERED: Final = 32
"""Ways to reach this registry: there are few, used again and again; but a client may make up any number of them."""
ORIGIN: Final = (
    *_TELLING_ORIGIN,
    *("SCRIPT_NAME", "wsgi.url_scheme", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "REMOTE_ADDR"),
)
"""What the WSGI environment has that tells who a client is, and how it reaches this registry."""


def manifest_url(name: str, digest: Digest) -> str:
    """Return where a manifest is served by digest."""
    return f"{_repository(name)}/manifests/{digest}"


def blob_url(name: str, digest: Digest) -> str:
    """Return where a blob is served."""
    return f"{_repository(name)}/blobs/{digest}"


def upload_url(name: str, upload_id: str, token: str = "") -> str:
    """Return where an upload continues; the token in it, base64url with padding, is what the client was told."""
    # Nothing else of base64url is quoted in a query, and quote() takes 30 µs to look at each character.
    query = f"?_state={token.replace('=', '%3D')}" if token else ""
    return f"{_repository(name)}/blobs/uploads/{upload_id}{query}"


def forwarded_scheme() -> str:
    """Return the scheme that X-Forwarded-Proto names first, "" if that is none of a registry."""
    return _forwarded_scheme(current_request().environ)


def asked_host(environ: Mapping[str, Any]) -> str:
    """Return the host, with its port, by which the client of `environ` has asked; "" where it names none.

    It decides which repository is meant, so the word of a forwarded header counts only if a trusted proxy has sent it.
    """
    if environ.keys().isdisjoint(_TELLING_HOST) or services().proxies.trusts(environ[PEER_KEY]):
        return _origin(environ)[1]
    return _plausible_host(environ.get("HTTP_HOST"))


def root_url() -> str:
    """Return the registry's root without a slash at the end; without a host where the client named none."""
    environ = current_request().environ
    return _root(environ, services().configuration.http, below=environ.get("SCRIPT_NAME", ""))


def base_url_of(environ: Mapping[str, Any], http: HTTP) -> str:
    """Return what URLs begin with that the client of `environ` is given; of `environ`, ORIGIN is looked at."""
    if http.relativeurls and not _configured(http):
        return str(environ.get("SCRIPT_NAME", ""))
    return _root(environ, http, below=environ.get("SCRIPT_NAME", ""))


def api_url() -> str:
    """Return where the API is, also to who has asked outside of ``http.prefix``."""
    http = services().configuration.http
    return f"{_root(current_request().environ, http, below=_below_root(http.prefix))}/v2/"


def path_of_pages(configuration: Configuration) -> str:
    """Return where the pages of ``ui`` are on the host that browsers ask, without a slash at the end.

    They are below the path of ``http.host`` where that is a URL, and below ``http.prefix`` otherwise.
    """
    http = configuration.http
    configured = _configured(http)
    return f"{_below_root(urlsplit(configured).path if configured else http.prefix)}{configuration.ui.path}"


def _below_root(prefix: str) -> str:
    """Return a prefix as paths begin with it: with a slash before it and none behind, or nothing."""
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""


def claimed_address() -> str:
    """Return the address that the client has as its proxies tell, trusted or not, as the Go registry finds it.

    It may only decide what this client is told itself; who the client is, is request.remote_addr.
    """
    return claimed_address_of(current_request().environ)


def claimed_address_of(environ: Mapping[str, Any]) -> str:
    """Return what claimed_address() does, for the client of `environ`; of that, ORIGIN is looked at."""
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        candidate = _first(environ.get(header))
        if candidate and read_address(candidate):
            return candidate
    return str(environ.get("REMOTE_ADDR", ""))


def _repository(name: str) -> str:
    """Return where the repository that this request has opened lies, whose name is `name`, or was typed so."""
    here = services()
    place = opened() if here.proxied else None
    base = base_url_of(current_request().environ, here.configuration.http)
    return f"{base}/v2/{place.located if place else name}"


def _root(environ: Mapping[str, Any], http: HTTP, *, below: str) -> str:
    """Return ``http.host``; where that is not given, the path `below` of the host that the client has asked."""
    configured = _configured(http)
    if configured:
        return configured
    scheme, host = _origin(environ)
    return f"{scheme}://{host}{below}" if host else below


def _origin(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Return scheme and host (with port) as the client used them, as far as can be known."""
    return _origin_told(environ["wsgi.url_scheme"], *map(environ.get, _TELLING_ORIGIN))


@lru_cache(_REMEMBERED)
def _origin_told(
    scheme: str, host: str | None, forwarded: str | None, forwarded_scheme: str | None, forwarded_host: str | None
) -> tuple[str, str]:
    if forwarded is not None:
        told_scheme, told_host = _told_by_the_nearest(forwarded)
    else:
        told_scheme, told_host = _plausible_scheme(_first(forwarded_scheme)), _plausible_host(_first(forwarded_host))
    return told_scheme or scheme, told_host or _plausible_host(host)


def _forwarded_scheme(environ: Mapping[str, Any]) -> str:
    return _plausible_scheme(_first(environ.get("HTTP_X_FORWARDED_PROTO")))


def _configured(http: HTTP) -> str:
    """Return ``http.host`` if it is a whole URL; the Go registry takes no notice of anything less."""
    if not http.host:
        return ""
    parts = urlsplit(http.host)
    return iri_to_uri(http.host).rstrip("/") if parts.scheme and parts.netloc else ""


def _told_by_the_nearest(forwarded: str) -> tuple[str, str]:
    """Return scheme and host that the proxy nearest to the client tells, "" for what it does not tell.

    If the header is malformed, or one of the two cannot be, nothing of it counts: half of it would lead to where nobody
    serves.
    """
    try:
        told = parse_forwarded(forwarded)[0]
    except ValueError:
        return "", ""
    scheme, host = _plausible_scheme(told.get("proto")), _plausible_host(told.get("host"))
    whole = bool(scheme) == ("proto" in told) and bool(host) == ("host" in told)
    return (scheme, host) if whole else ("", "")


def _plausible_scheme(text: str | None) -> str:
    """Return `text` in lower case if it is the scheme of a registry, else ""."""
    return scheme if text and (scheme := text.lower()) in _SCHEMES else ""


def _plausible_host(text: str | None) -> str:
    """Return `text` if it is a host, with or without a port, else "": a header can hold anything, even line breaks."""
    if not text:
        return ""
    match = _HOST.fullmatch(text)
    return match[0] if match and int(match[1] or 0) <= _LAST_PORT else ""


def _first(value: str | None) -> str | None:
    return value.split(",")[0].strip() if value else None
