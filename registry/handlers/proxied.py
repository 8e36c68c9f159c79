"""What clients of a registry that caches others are told beside the answer: what it is of, and what is amiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request
from werkzeug.http import quote_header_value

from registry.handlers.context import opened
from registry.handlers.current import WARNINGS_KEY

if TYPE_CHECKING:
    from flask import Flask

    from registry.handlers.response import Response


def install(app: Flask) -> None:
    """Have the answers of `app` say in OCI-Namespace what ``?ns=`` has led to, and warn (RFC 7234 section 5.5)."""

    def tell(response: Response) -> Response:
        place = opened()
        if place and place.namespace:
            response.headers["OCI-Namespace"] = place.namespace
        for text in dict.fromkeys(request.environ.get(WARNINGS_KEY, ())):
            line = "".join(each if each.isprintable() and each.isascii() else "?" for each in text)
            response.headers.add("Warning", f"299 - {quote_header_value(line, allow_token=False)}")
        return response

    app.after_request(tell)
