"""What clients of a registry that caches others are told beside the answer, and what of that is noted as used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import request
from werkzeug.http import quote_header_value

from registry.handlers.current import PLACE_KEY, WARNINGS_KEY
from registry.oci.digest import Digest

if TYPE_CHECKING:
    from flask import Flask

    from registry.handlers.response import Response
    from registry.proxy.repositories import Proxied
    from registry.proxy.routing import Place


_FOUND: Final = frozenset({200, 206, 304, 307})


def install(app: Flask, proxied: Proxied) -> None:
    """Have the answers of `app` say in OCI-Namespace what ``?ns=`` has led to, and warn (RFC 7234 section 5.5).

    What they give is noted as used, in `proxied`.
    """
    uses = {"blobs.get_blob": proxied.used_blob, "manifests.get_manifest": proxied.used_manifest}

    def tell(response: Response) -> Response:
        environ = request.environ
        place: Place | None = environ.get(PLACE_KEY)
        if place and place.namespace:
            response.headers["OCI-Namespace"] = place.namespace
        if place and place.upstream and response.status_code in _FOUND:
            used = uses.get(request.endpoint or "")
            if used:
                used(place, Digest.parse(response.headers["Docker-Content-Digest"]))
        for text in dict.fromkeys(environ.get(WARNINGS_KEY, ())):
            line = "".join(each if each.isprintable() and each.isascii() else "?" for each in text)
            response.headers.add("Warning", f"299 - {quote_header_value(line, allow_token=False)}")
        return response

    app.after_request(tell)
