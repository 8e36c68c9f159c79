"""What every view of a page begins and ends with."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec

from registry import __version__
from registry.handlers.current import services
from registry.handlers.errors import answer
from registry.handlers.flask_internals import current_globals, current_request
from registry.handlers.response import Response
from registry.web.cookies import SESSION
from registry.web.security import FIELD, form_token, keep_visit, protect, require_own_form
from registry.web.site import site
from registry.web.visitor import SignInNeededError, visitor

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_HTML: Final = "text/html; charset=utf-8"
_KEPT_HEADERS: Final = ("Allow", "Retry-After")
"""What an error says in its headers to browsers, too. WWW-Authenticate would have them ask for a password."""


def page(view: Callable[_P, Response]) -> Callable[_P, Response]:
    """Make a view of a page: a POST is one of our own forms, and what is raised becomes a page with its status.

    Who may not see it and can log in is sent to the page for that.
    """

    @wraps(view)
    def answered(*args: _P.args, **kwargs: _P.kwargs) -> Response:
        try:
            if current_request().method == "POST":
                require_own_form()
            response = view(*args, **kwargs)
            _go_on(response)
        except SignInNeededError:
            response = redirect(site().links.login(_wanted()))
        except Exception as error:  # noqa: BLE001  what is not foreseen becomes a page, too
            response = _failed(error)
        protect(response)
        return response

    return answered


def render(template: str, status: int = 200, **context: object) -> Response:
    """Return a page made of a template, which has `context`, and what every page has.

    That is `links`, `visitor`, `title` (of the registry), `version`, `read_only`, `here` (the page itself), and for
    forms `form_token` and `token_field`.
    """
    here = site()
    text = here.templates.get_template(template).render(
        links=here.links,
        visitor=visitor(),
        title=here.title,
        version=__version__,
        read_only=services().configuration.storage.maintenance.readonly.enabled,
        form_token=form_token,
        token_field=FIELD,
        here=_wanted(),
        **context,
    )
    return Response(text, status, content_type=_HTML)


def redirect(target: str) -> Response:
    """Return an answer that leads the browser to `target`, which it asks for with GET."""
    return Response(status=303, headers={"Location": target})


def _go_on(response: Response) -> None:
    """Have the browser keep the session that goes on, and what its forms are known by; and no page of somebody's."""
    session = visitor().session
    response.headers.setdefault("Cache-Control", "no-store" if session else "no-cache")
    response.vary.add("Cookie")
    keep_visit(response)
    sessions = site().sessions
    renewed = sessions.renewed(session) if session and "session_ended" not in current_globals() else None
    if renewed:
        SESSION.set(response, sessions.write(renewed), sessions.idle)


def _failed(error: Exception) -> Response:
    """Return the page that says what the API would say of `error`."""
    told = answer(error, services())
    message = str(told.errors[0]["message"]) if told.errors else ""
    # A text says which digest or reference is meant; other details are for programs.
    detail = next((each for each in (one.get("detail") for one in told.errors) if isinstance(each, str)), "")
    try:
        response = render("error.html", told.status_code, code=told.status_code, message=message, detail=detail)
    except Exception as second:  # noqa: BLE001  such as access control that is out of order: nobody is known then
        answer(second, services())
        response = Response(message, told.status_code, content_type="text/plain; charset=utf-8")
    response.errors = told.errors
    response.headers["Cache-Control"] = "no-store"
    for name in _KEPT_HEADERS:
        if name in told.headers:
            response.headers[name] = told.headers[name]
    return response


def _wanted() -> str:
    """Return the page that was asked for, to come back to; the home page after a form."""
    request = current_request()
    if request.method != "GET":
        return site().links.home()
    query: str = request.environ.get("QUERY_STRING", "")
    links = site().links
    path = request.path.removeprefix(services().configuration.ui.path).lstrip("/")
    return links.repository(path) + (f"?{query}" if query else "")
