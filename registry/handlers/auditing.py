"""Tells the audit log what publishing does not: who has logged in, who was refused, what has failed, and who pulls.

docs/audit.md has the table of routes and outcomes; a test walks all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flask import g, request

from auth.base import DeniedError, ThrottledError, UnauthorizedError
from registry.audit.record import (
    COLLECTION,
    CREATE,
    DENIED,
    FAILED,
    KEY,
    LIST,
    LOGIN,
    LOGOUT,
    LONGEST_TEXT,
    REFERRER,
    REVOKE,
    SERVER,
    UPLOAD,
)
from registry.audit.trail import Noted, bounded
from registry.foundation.redaction import redacted
from registry.handlers.current import services
from registry.handlers.origins import origin
from registry.journal.entry import BLOB, DELETE, MANIFEST, PULL, PUSH, REPOSITORY, TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from registry.audit.trail import Trail
    from registry.handlers.response import Response
    from registry.journal.entry import Origin

_ASKED: Final = {
    "base.get_version": (LOGIN, SERVER),
    "blobs.delete_blob": (DELETE, BLOB),
    "blobs.get_blob": (PULL, BLOB),
    "catalog.list_repositories": (LIST, REPOSITORY),
    "discovery.discover": (LIST, SERVER),
    "discovery.discover_of_repository": (LIST, REPOSITORY),
    "extension.get_comparison": (LIST, MANIFEST),
    "extension.get_details": (LIST, MANIFEST),
    "extension.get_level": (LIST, REPOSITORY),
    "extension.get_references": (LIST, REFERRER),
    "extension.list_tags": (LIST, TAG),
    "extension.search_repositories": (LIST, REPOSITORY),
    "extension_copies.copy_tag": (PUSH, MANIFEST),
    "extension_keys.create_key": (CREATE, KEY),
    "extension_keys.explain_access": (LIST, SERVER),
    "extension_keys.list_keys": (LIST, KEY),
    "extension_keys.revoke_key": (REVOKE, KEY),
    "maintenance.delete_repository": (DELETE, REPOSITORY),
    "maintenance.get_usage": (LIST, REPOSITORY),
    "maintenance.get_collections": (LIST, COLLECTION),
    "manifests.delete_manifest": (DELETE, MANIFEST),
    "manifests.get_manifest": (PULL, MANIFEST),
    "manifests.put_manifest": (PUSH, MANIFEST),
    "referrers.list_referrers": (LIST, REFERRER),
    "tags.list_tags": (LIST, TAG),
    "token.exchange_token": (LOGIN, SERVER),
    "token.issue_token": (LOGIN, SERVER),
    "uploads.append_upload": (PUSH, BLOB),
    "uploads.cancel_upload": (DELETE, UPLOAD),
    "uploads.finish_upload": (PUSH, BLOB),
    "uploads.get_upload": (LIST, UPLOAD),
    "uploads.start_upload": (PUSH, BLOB),
    "web_copying.copy": (PUSH, MANIFEST),
    "web_deleting.ask_deletion": (DELETE, REPOSITORY),
    "web_deleting.delete": (DELETE, REPOSITORY),
    "web_keys.create_key": (CREATE, KEY),
    "web_keys.revoke_key": (REVOKE, KEY),
    "web_login.log_in": (LOGIN, SERVER),
    "web_oidc.visit_provider": (LOGIN, SERVER),
    "web_storage.show_storage": (LIST, COLLECTION),
    "web_tagging.ask_tag": (PUSH, MANIFEST),
    "web_tagging.tag": (PUSH, MANIFEST),
}
"""What a view is asked for: the action, and of what. The other views are open to everybody, and change nothing."""

_FORMS_OF_LOGIN: Final = {"token.exchange_token": "username", "web_login.log_in": "user"}
"""Views that are sent a password in a form, and what its field is called that says whose it is."""

_FROM_PROVIDER: Final = "web_oidc.visit_provider"
"""The view that browsers come back to from where else they have logged in."""

_CHANGING: Final = frozenset({"DELETE", "PATCH", "POST", "PUT"})
_SENT: Final = frozenset({200, 206, 307})
_FORBIDDEN: Final = 403
_INSUFFICIENT: Final = "the token does not grant it"


def install_pulls(app: Flask, trail: Trail) -> None:
    """Let the audit log know of what is pulled of `app`."""

    def note(response: Response) -> Response:
        what = _ASKED.get(request.endpoint or "", ("", ""))
        if what[0] == PULL and request.method == "GET" and response.status_code in _SENT:
            trail.note(replace(_noted(what), digest=response.headers.get("Docker-Content-Digest", "")))
        return response

    app.after_request(note)


def note_login() -> None:
    """Tell the audit log that the caller, who was just let in, has logged in, if it has a name."""
    trail = services().trail
    if trail and g.grant.user:
        trail.note(Noted(LOGIN, SERVER, origin=_origin()))


def note_logout() -> None:
    """Tell the audit log that the user of the pages who was let in has logged out."""
    trail = services().trail
    if trail:
        trail.note(Noted(LOGOUT, SERVER, origin=_origin()))


def note_hidden(repository: str, rule: str) -> None:
    """Tell the audit log that somebody wanted to see a repository, and `rule` hides it."""
    trail = services().trail
    if trail:
        asker = _origin()
        known = bool(asker.actor)
        trail.note(Noted(LIST, REPOSITORY, DENIED, repository, rule=rule[:LONGEST_TEXT], known=known, origin=asker))


def record_key(action: str, key_id: str) -> None:
    """Tell the audit log that the user who was let in has made or revoked an API key.

    Raises:
        DriverError: that cannot be recorded.
    """
    trail = services().trail
    if trail:
        trail.record(action, KEY, {"key": key_id}, _origin())


def note_refusal(error: Exception, response: Response) -> None:
    """Tell the audit log that a request was refused for `error`, if that belongs there."""
    trail = services().trail
    if trail:
        noted = _refused(error, response)
        if noted:
            trail.note(noted)


def _refused(error: Exception, response: Response) -> Noted | None:
    what = _ASKED.get(request.endpoint or "")
    if what is None:
        return None
    told = response.errors[0]
    noted = _judged(error, what, told, response.status_code)
    return noted and replace(noted, code=str(told["code"]), status=response.status_code)


def _judged(error: Exception, what: tuple[str, str], told: Mapping[str, object], status: int) -> Noted | None:
    if isinstance(error, ThrottledError) or (isinstance(error, UnauthorizedError) and error.grant is None):
        # Without credentials it is only how clients learn that they need some.
        failed = Noted(LOGIN, SERVER, FAILED, known=False, origin=_origin(""))
        return failed if _brings_credentials() else None
    if isinstance(error, UnauthorizedError):
        user = error.grant.user if error.grant else ""
        return replace(_noted(what, user), outcome=DENIED, rule=_INSUFFICIENT) if user else None
    if status == _FORBIDDEN:
        denied = error.user if isinstance(error, DeniedError) else None
        return replace(_noted(what, denied), outcome=DENIED, rule=str(told["message"])[:LONGEST_TEXT])
    if request.method in _CHANGING and "grant" in g:
        return replace(_noted(what), outcome=FAILED)
    return None


def _noted(what: tuple[str, str], user: str | None = None) -> Noted:
    """Return what this request asks for, by `user`, or, if that is None, by the one who was let in."""
    arguments = request.view_args or {}
    action, kind = what
    reference = arguments.get("reference", "")
    is_tag = bool(reference) and ":" not in reference
    asker = _origin(user)
    return Noted(
        action,
        TAG if is_tag and action == DELETE else kind,
        repository=arguments.get("name", "")[:LONGEST_TEXT],
        digest=_digest(reference)[:LONGEST_TEXT],
        tags=(reference[:LONGEST_TEXT],) if is_tag else (),
        known=bool(asker.actor),
        origin=asker,
    )


def _origin(user: str | None = None) -> Origin:
    """Return how this request was sent, by `user`, or, if that is None, by the one who was let in."""
    grant = g.get("grant")
    known = user if user is not None else grant.user if grant else ""
    asker = origin(services().configuration.http, known)
    field = _FORMS_OF_LOGIN.get(request.endpoint or "")
    if not known and field:
        asker = asker._replace(claimed_user=redacted(request.form.get(field, "")))
    return bounded(asker)


def _digest(reference: str) -> str:
    """Return the digest that the request names, "" if none."""
    if ":" in reference:
        return reference
    named: str = (request.view_args or {}).get("digest") or request.args.get("digest", "")
    return named


def _brings_credentials() -> bool:
    """Tell whether the request says who has sent it: in its header, in a form, or in what a provider had it bring."""
    in_form = request.endpoint in _FORMS_OF_LOGIN or request.endpoint == _FROM_PROVIDER
    return in_form or "HTTP_AUTHORIZATION" in request.environ
