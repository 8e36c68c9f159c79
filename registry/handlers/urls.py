"""URLs under which the client that asks can reach this registry.

``http.host`` is believed before anything, then the Forwarded header (RFC 7239), then X-Forwarded-*, then the
request itself. A client that lies about these only misleads itself: they go into its own answer.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from flask import request
from werkzeug.http import parse_options_header
from werkzeug.urls import iri_to_uri

from registry.handlers.current import services

if TYPE_CHECKING:
    from registry.config.values import HTTP
    from registry.oci.digest import Digest

_SCHEMES = re.compile("https?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._~:\[\]-]+")


def manifest_url(name: str, digest: Digest) -> str:
    """Return where a manifest is served by digest."""
    return f"{_base()}/v2/{name}/manifests/{digest}"


def blob_url(name: str, digest: Digest) -> str:
    """Return where a blob is served."""
    return f"{_base()}/v2/{name}/blobs/{digest}"


def upload_url(name: str, upload_id: str, token: str) -> str:
    """Return where an upload continues; the token in it is what the client was told."""
    return f"{_base()}/v2/{name}/blobs/uploads/{upload_id}?_state={quote(token, safe='')}"


def origin() -> tuple[str, str]:
    """Return scheme and host (with port) as the client used them, as far as can be known."""
    environ = request.environ
    forwarded = environ.get("HTTP_FORWARDED")
    if forwarded is not None:
        # The first element is the proxy nearest to the client.
        _, parameters = parse_options_header(f"x;{forwarded.split(',')[0]}")
        scheme, host = parameters.get("proto"), parameters.get("host")
    else:
        scheme = _first(environ.get("HTTP_X_FORWARDED_PROTO"))
        host = _first(environ.get("HTTP_X_FORWARDED_HOST"))
    own_scheme, own_host = environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")
    return _plausible(scheme, _SCHEMES) or own_scheme, _plausible(host, _HOST) or _plausible(own_host, _HOST)


def root_url() -> str:
    """Return the registry's root without a slash at the end; without a host where the client named none."""
    configured = _configured()
    if configured:
        return configured
    prefix: str = request.environ.get("SCRIPT_NAME", "")
    scheme, host = origin()
    return f"{scheme}://{host}{prefix}" if host else prefix


def accountable_address() -> str:
    """Return the address that failed logins count against, which a client cannot choose.

    What a proxy on this network wrote last is believed, because nobody else can have added it. A client that reaches
    the registry from elsewhere is known by its connection, whatever headers it sends.
    """
    environ = request.environ
    peer = str(environ.get("REMOTE_ADDR", ""))
    address = _address(peer)
    if "HTTP_X_FORWARDED_FOR" not in environ or (address and not address.is_private):
        return peer
    nearest = environ["HTTP_X_FORWARDED_FOR"].rpartition(",")[2].strip()
    return nearest if _address(nearest) else peer


def client_address() -> str:
    """Return the address of the client, as the nearest proxy tells it or as the connection has it."""
    environ = request.environ
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        candidate = _first(environ.get(header))
        if candidate and _address(candidate):
            return candidate
    return str(environ.get("REMOTE_ADDR", ""))


def _base() -> str:
    http: HTTP = services().configuration.http
    if http.relativeurls and not _configured():
        return str(request.environ.get("SCRIPT_NAME", ""))
    return root_url()


def _configured() -> str:
    """Return ``http.host`` if it is a whole URL; the Go registry takes no notice of anything less."""
    http: HTTP = services().configuration.http
    if not http.host:
        return ""
    parts = urlsplit(http.host)
    return iri_to_uri(http.host).rstrip("/") if parts.scheme and parts.netloc else ""


def _plausible(value: str | None, form: re.Pattern[str]) -> str:
    """Return `value` if it may stand in a URL: a header can hold anything, in Forwarded even line breaks."""
    return value if value and form.fullmatch(value) else ""


def _first(value: str | None) -> str | None:
    return value.split(",")[0].strip() if value else None


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that `text` is, if it is one; remembered, because most requests come from few."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
