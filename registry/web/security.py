"""What keeps other pages out: headers of every page, and forms that only a page of ours can have sent."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from auth.base import DeniedError
from registry.handlers.flask_internals import current_globals, current_request
from registry.handlers.urls import root_url
from registry.web.cookies import VISIT
from registry.web.site import site
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from flask import Response

FIELD: Final = "token"
"""The field of every form that says whose page it is of."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_VISIT_BYTES: Final = 16
_LARGEST_FORM: Final = 256 * 1024


def protect(response: Response) -> None:
    """Give `response` the headers of every page that it does not have yet."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def form_token() -> str:
    """Return what a form of this page is to carry in the field FIELD."""
    return site().sessions.form_token(_owner())


def require_own_form() -> None:
    """Return if a page of ours that was made for this visitor has sent this request.

    Raises:
        DeniedError: another one has, or it cannot be known.
    """
    request = current_request()
    request.max_content_length = _LARGEST_FORM
    request.max_form_memory_size = _LARGEST_FORM
    if not _comes_from_here():
        raise DeniedError("this form was sent by a page of another site", visitor().user)
    given = request.form.get(FIELD, "")
    if not _has_owner() or not hmac.compare_digest(given.encode(), form_token().encode()):
        raise DeniedError("this form is not of your session, or too old: load its page again", visitor().user)


def keep_visit(response: Response) -> None:
    """Have the browser remember what the forms of this page are known by, if that was made up for it."""
    made = current_globals().get("visit_made")
    if made:
        VISIT.set(response, made)


def _owner() -> str:
    """Return what forms of this visitor are known by: its session, or else a visit, made up if there is none."""
    session = visitor().session
    if session:
        return f"session {session.id}"
    kept = current_globals()
    visit = VISIT.read() or kept.get("visit_made")
    if not visit:
        kept.visit_made = visit = secrets.token_urlsafe(_VISIT_BYTES)
    return f"visit {visit}"


def _has_owner() -> bool:
    return visitor().session is not None or bool(VISIT.read())


def _comes_from_here() -> bool:
    """Tell whether the browser says that a page of this origin has sent this request.

    Browsers tell that of origins with TLS, and of the machine they run on; the others have Origin, or Referer.
    """
    headers = current_request().headers
    site_of_sender = headers.get("Sec-Fetch-Site")
    if site_of_sender is not None:
        return site_of_sender == "same-origin"
    sender = headers.get("Origin") or headers.get("Referer")
    if not sender:
        return False
    parts = urlsplit(sender)
    here = urlsplit(root_url())
    return parts.scheme in {"http", "https"} and parts.netloc in {here.netloc, headers.get("Host")}
