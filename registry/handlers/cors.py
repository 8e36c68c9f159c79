"""Pages of a browser on another origin may use the API (the Fetch standard, "CORS protocol").

A browser asks with OPTIONS, without credentials, before it sends what it was told to. So OPTIONS is answered by
the framework, without any view and before access control, as an empty 204 with the headers of every answer
(see registry.app).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import request

from registry.foundation.url_paths import lies_at
from registry.handlers.current import services
from registry.handlers.flask_internals import current_request
from registry.oci.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask, Response

    from registry.config.values import CORS, HTTP

PREFIX: Final = "access-control-"
"""What the names of all headers begin with by which other origins are allowed anything, in lower case."""
_ALLOW_ORIGIN: Final = f"{PREFIX}allow-origin"
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
"""What browsers say of requests of pages of another origin (Fetch Metadata)."""

_METHODS: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Cache-Control, Content-Range, Content-Type, If-Match, If-None-Match, Range"
)
_EXPOSED: Final = (
    "Content-Range, Docker-Content-Digest, Docker-Distribution-Api-Version, Docker-Upload-UUID, ETag, Link, Location, "
    "OCI-Filters-Applied, OCI-Subject, OCI-Tag, Range, Retry-After, WWW-Authenticate"
)


def install(app: Flask, section: CORS, configured: Collection[str], pages: str | None = None) -> None:
    """Allow what `section` says; the headers named in `configured`, in lower case, are the operator's own and stay.

    What is below the path `pages` is for people who have logged in there, and no other page may read it.
    """
    everybody = "*" in section.origins
    named = frozenset(section.origins) - {"*"}

    def allow(response: Response) -> Response:
        if pages and lies_at(request.path, pages):
            return response
        origin = request.headers.get("Origin")
        if named:
            response.vary.add("Origin")
        if origin is None or not (everybody or origin in named):
            return response
        headers = {
            "Access-Control-Allow-Origin": origin if origin in named else "*",
            "Access-Control-Expose-Headers": _EXPOSED,
        }
        # Only for origins that are named: otherwise any page could act with the credentials of its visitor.
        if section.credentials and origin in named:
            headers["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = _METHODS
            headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            headers["Access-Control-Max-Age"] = f"{section.maxage_seconds:.0f}"
        for name, value in headers.items():
            if name.lower() not in configured:
                response.headers[name] = value
        return response

    app.after_request(allow)


def require_allowed_page() -> None:
    """Return unless a browser says that a page of another origin has sent this, which may not use the API.

    Raises:
        DeniedError: it does.
    """
    headers = current_request().headers
    if headers.get("Sec-Fetch-Site") not in _FOREIGN:
        return
    allowed = _allowed(services().configuration.http)
    if "*" not in allowed and headers.get("Origin") not in allowed:
        raise DeniedError("this was sent by a page of another site, which http.cors does not allow")


def _allowed(http: HTTP) -> Collection[str]:
    """Return the origins that may use the API, also where an operator allows them with a plain header."""
    plain = (value for name, values in http.headers.items() if name.lower() == _ALLOW_ORIGIN for value in values)
    return {*http.cors.origins, *plain}
