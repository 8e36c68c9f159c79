"""Pages of a list: ``n``, ``last`` and the Link to the next (RFC 8288)."""

from __future__ import annotations

from urllib.parse import urlencode

from registry.handlers.current import opened
from registry.handlers.flask_internals import current_request
from registry.oci.errors import PaginationInvalidError

_MAX_DIGITS = 9


def page_size(*, maximum: int) -> int | None:
    """Return the ``n`` of the request, but no more than `maximum`; None if it has none.

    Raises:
        PaginationInvalidError: it is not a number, or negative.
    """
    text = current_request().args.get("n")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise PaginationInvalidError("n must be a number of results, 0 or more", {"n": text[:64]})
    return maximum if len(text) > _MAX_DIGITS else min(int(text), maximum)


def last_seen() -> str:
    """Return the ``last`` of the request: the list goes on after it."""
    return current_request().args.get("last", "")


def next_link(**query: str | int) -> str:
    """Return the Link header that leads to this same resource with `query`, and with the ``ns`` that has led to it."""
    place = opened()
    if place and place.namespace:
        query["ns"] = place.namespace
    request = current_request()
    path = request.environ.get("SCRIPT_NAME", "") + request.path
    return f'<{path}?{urlencode(sorted(query.items()))}>; rel="next"'
