"""Dates in the headers of answers (RFC 9110 section 5.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.foundation.http_client.heads import Headers


def seconds_until(text: str, headers: Headers) -> float | None:
    """Return the seconds from when an answer with these headers was made to the date `text`; None if it is not a date.

    That is told by the clock of the peer where there is a ``Date``: ours may be wrong, or its.
    """
    then = _date(text)
    return None if then is None else (then - (_date(headers.get("Date", "")) or datetime.now(UTC))).total_seconds()


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
