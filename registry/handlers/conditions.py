"""Conditional requests (RFC 9110 section 13) on content whose ETag is its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import parse_etags

from registry.handlers.flask_internals import current_request

if TYPE_CHECKING:
    from werkzeug.datastructures import ETags

    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Precondition:
    """If-Match and If-None-Match of a request that changes something (RFC 9110 sections 13.1.1 and 13.1.2)."""

    wanted: ETags | None
    known: ETags | None

    def require(self, current: Digest | None) -> None:
        """Return if the change may be made to the content `current`, or where there is none.

        Raises:
            PreconditionFailed: the conditions do not hold (412).
        """
        if self.wanted is not None and not (current and self.wanted.contains(str(current))):
            raise PreconditionFailed
        if self.known is not None and current and self.known.contains_weak(str(current)):
            raise PreconditionFailed


def precondition() -> Precondition | None:
    """Return what has to hold for the change that is asked for, or None if it is to be made in any case."""
    environ = current_request().environ
    wanted, known = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    if wanted is known is None:
        return None
    return Precondition(*(None if header is None else parse_etags(header.strip()) for header in (wanted, known)))


def etag(digest: Digest) -> str:
    """Return the strong validator of content that never changes."""
    return f'"{digest}"'


def unmodified(digest: Digest) -> bool:
    """Tell whether the client has the content already (304).

    Raises:
        PreconditionFailed: it demands other content than there is (412).
    """
    environ = current_request().environ
    wanted = environ.get("HTTP_IF_MATCH")
    if wanted is not None and not parse_etags(wanted).is_strong(str(digest)) and wanted.strip() != "*":
        raise PreconditionFailed
    known = environ.get("HTTP_IF_NONE_MATCH")
    return known is not None and parse_etags(known).contains_weak(str(digest))


def range_header(digest: Digest) -> str | None:
    """Return the Range header if it is to be honoured: on GET, and under If-Range for this very content only."""
    environ = current_request().environ
    if environ["REQUEST_METHOD"] != "GET":
        return None
    condition = environ.get("HTTP_IF_RANGE")
    if condition is not None and condition.strip() != etag(digest):
        return None
    header: str | None = environ.get("HTTP_RANGE")
    return header
