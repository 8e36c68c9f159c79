"""Conditional requests (RFC 9110 section 13) on content whose ETag is its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import parse_etags

if TYPE_CHECKING:
    from registry.oci.digest import Digest


def etag(digest: Digest) -> str:
    """Return the strong validator of content that never changes."""
    return f'"{digest}"'


def unmodified(digest: Digest) -> bool:
    """Tell whether the client has the content already (304).

    Raises:
        PreconditionFailed: it demands other content than there is (412).
    """
    wanted = request.environ.get("HTTP_IF_MATCH")
    if wanted is not None and not parse_etags(wanted).is_strong(str(digest)) and wanted.strip() != "*":
        raise PreconditionFailed
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    return known is not None and parse_etags(known).contains_weak(str(digest))


def range_header(digest: Digest) -> str | None:
    """Return the Range header if it is to be honoured: on GET, and under If-Range for this very content only."""
    if request.method != "GET":
        return None
    condition = request.environ.get("HTTP_IF_RANGE")
    if condition is not None and condition.strip() != etag(digest):
        return None
    header: str | None = request.environ.get("HTTP_RANGE")
    return header
