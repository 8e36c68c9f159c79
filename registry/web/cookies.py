"""The cookies of the pages. The API reads none, and no script can read one.

Over TLS their names begin with ``__Host-``: browsers take such a cookie from this very host only, for all of its paths.
A host beside it, in the same domain, could set one of another name, so that somebody acts in a session of another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.handlers.flask_internals import current_request
from registry.handlers.urls import root_url
from registry.web.site import site

if TYPE_CHECKING:
    from flask import Response


def is_secure() -> bool:
    """Tell whether the browser has asked over TLS, as far as can be known."""
    return urlsplit(root_url()).scheme == "https"


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie; where there is TLS, browsers take one of its name over TLS only, and from this host."""

    plain_name: str

    def name(self) -> str:
        """Return what it is called on the way by which this request has come."""
        return f"__Host-{self.plain_name}" if is_secure() else self.plain_name

    def read(self) -> str:
        """Return what the browser has sent, "" if nothing."""
        return current_request().cookies.get(self.name(), "")

    def set(self, response: Response, value: str, seconds: float | None = None) -> None:
        """Have the browser keep `value`, for `seconds` or until it is closed."""
        response.set_cookie(
            self.name(),
            value,
            max_age=None if seconds is None else int(seconds),
            path=_path(),
            secure=is_secure(),
            httponly=True,
            samesite="Lax",
        )

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name(), path=_path(), secure=is_secure(), httponly=True, samesite="Lax")


def _path() -> str:
    return "/" if is_secure() else site().links.base


SESSION: Final = Cookie("registry-session")
"""Who has logged in: what Sessions writes."""

VISIT: Final = Cookie("registry-visit")
"""A random text for who has not: its forms are known by it."""

DEPARTURE: Final = Cookie("registry-departure")
"""Who is logging in at another server: what Departures writes."""
