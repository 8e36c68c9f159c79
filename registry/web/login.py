"""Logging in with a password, and logging out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from auth.base import ControllerError, Grant, ThrottledError, UnauthorizedError
from registry.handlers.auditing import note_login, note_logout
from registry.handlers.context import AccessRequest
from registry.handlers.current import services
from registry.handlers.errors import answer
from registry.handlers.flask_internals import current_globals
from registry.handlers.urls import root_url
from registry.web.cookies import SESSION
from registry.web.page import page, redirect, render
from registry.web.site import site
from registry.web.visitor import Visitor, visitor

if TYPE_CHECKING:
    from auth.base import SignIn
    from registry.handlers.response import Response
    from registry.web.sessions import Session

logger = logging.getLogger(__name__)

blueprint = Blueprint("web_login", __name__)

_WRONG = "The user name or the password is wrong."


@blueprint.get("/_login")
@page
def show_login() -> Response:
    """Show the form, and what other servers one may log in at."""
    _sign_in()
    target = own_target(request.args.get("next", ""))
    return redirect(target) if visitor().session else login_form(target)


@blueprint.post("/_login")
@page
def log_in() -> Response:
    """Begin a session, if the password is right."""
    sign_in, target = _sign_in(), own_target(request.form.get("next", ""))
    user, password = request.form.get("user", ""), request.form.get("password", "")
    try:
        grant = sign_in.log_in(AccessRequest(), user, password.encode())
    except (UnauthorizedError, ThrottledError) as error:
        told = answer(error, services())
        message = _WRONG if isinstance(error, UnauthorizedError) else f"{str(error).capitalize()}."
        response = login_form(target, user=user, message=message, code=told.status_code)
        response.errors = told.errors
        if "Retry-After" in told.headers:
            response.headers["Retry-After"] = told.headers["Retry-After"]
        return response
    return logged_in(grant, target)


@blueprint.post("/_logout")
@page
def log_out() -> Response:
    """End the session, or, where that is asked for, all sessions of the user."""
    session, sign_in = visitor().session, services().access.sign_in
    response = redirect(site().links.home())
    if session and sign_in:
        _end(sign_in, session, everywhere=bool(request.form.get("everywhere")))
        note_logout()
        response = _farewell(sign_in, session.grant) or response
    current_globals().session_ended = True
    SESSION.clear(response)
    return response


def _end(sign_in: SignIn, session: Session, *, everywhere: bool) -> None:
    """End `session`, or all sessions of its user; a single one at least here, where that cannot be recorded.

    Raises:
        auth.base.ControllerError: it cannot be recorded that all have ended.
    """
    if everywhere:
        sign_in.log_out_everywhere(session.grant.user)
        return
    try:
        sign_in.log_out(session.id, session.begun, site().sessions.lifetime)
    except ControllerError as error:  # such as in a registry that is read-only: the browser forgets it all the same
        logger.warning("a session of %s has ended in its browser alone: %s", session.grant.user, error)


def _farewell(sign_in: SignIn, grant: Grant) -> Response | None:
    """Return the page that offers to log out where `grant` has logged in, too; None if that is nowhere else.

    It is a link: a form may not lead to another site.
    """
    home = absolute(site().links.home())
    AccessRequest().before_waiting()
    for provider in sign_in.providers:
        url = provider.farewell(grant, home)
        if url:
            current_globals().visitor = Visitor(Grant(), None, services().access)  # the page is seen by nobody known
            return render("farewell.html", provider=provider, url=url)
    return None


def absolute(path: str) -> str:
    """Return the URL of a path of ours."""
    parts = urlsplit(root_url())
    host = parts.netloc.rpartition("@")[2]  # http.host may have been given a password
    return f"{parts.scheme}://{host}{path}"


def logged_in(grant: Grant, target: str) -> Response:
    """Return an answer that begins a session and leads to `target`, a path of ours."""
    current_globals().grant = grant
    note_login()
    sessions = site().sessions
    response = redirect(target)
    SESSION.set(response, sessions.write(sessions.begin(grant)), sessions.idle)
    current_globals().session_ended = True  # that of before, which is not to be renewed over this one
    return response


def own_target(wanted: str) -> str:
    """Return `wanted`, if that is a path of these pages to which one may be led; the home page otherwise."""
    links = site().links
    return wanted if links.is_ours(wanted) else links.home()


def login_form(target: str, *, user: str = "", message: str = "", code: int = 200) -> Response:
    """Return the page on which one logs in, to be led to `target` then; `message` says what has failed."""
    return render("login.html", code, target=target, user=user, message=message, sign_in=_sign_in())


def _sign_in() -> SignIn:
    sign_in = services().access.sign_in
    if sign_in is None:
        raise NotFound
    return sign_in
