"""URLs under which the client that asks can reach this registry.

``http.host`` is believed before anything, then the Forwarded header (RFC 7239), then X-Forwarded-*, then the
request itself. A client that lies about these only misleads itself: they go into its own answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from flask import request
from werkzeug.urls import iri_to_uri

from registry.foundation.forwarded import parse_forwarded, read_address
from registry.handlers.current import services

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def upload_url(name: str, upload_id: str, token: str = "") -> str:
    """Return where an upload continues; the token in it is what the client was told."""
    query = f"?_state={quote(token, safe='')}" if token else ""
    return f"{_base()}/v2/{name}/blobs/uploads/{upload_id}{query}"


def origin() -> tuple[str, str]:
    """Return scheme and host (with port) as the client used them, as far as can be known."""
    environ = request.environ
    forwarded = environ.get("HTTP_FORWARDED")
    if forwarded is not None:
        nearest_to_client = _first_element(forwarded)
        scheme, host = nearest_to_client.get("proto"), nearest_to_client.get("host")
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


def claimed_address() -> str:
    """Return the address that the client has as its proxies tell, trusted or not, as the Go registry finds it.

    It may only decide what this client is told itself; who the client is, is request.remote_addr.
    """
    environ = request.environ
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        candidate = _first(environ.get(header))
        if candidate and read_address(candidate):
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


def _first_element(forwarded: str) -> Mapping[str, str]:
    """Return what the proxy nearest to the client says; nothing if the header is malformed."""
    try:
        return parse_forwarded(forwarded)[0]
    except ValueError:
        return {}


def _first(value: str | None) -> str | None:
    return value.split(",")[0].strip() if value else None
