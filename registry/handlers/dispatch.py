"""From a request to its answer by Flask's blueprints, without what Flask looks for and this application does not have.

That is: sessions, signals, functions of blueprints before and after requests, and functions at the end of contexts. To
look for all of them takes Flask longer than most views take (docs/performance.md). What is left is as in Flask: views
and their arguments, ``before_request`` and ``after_request`` of the application, error handlers, OPTIONS, and the
proxies `request`, `g` and `current_app`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import flask
from flask import Flask
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import HTTPException

from registry.handlers.flask_internals import Context, enter, leave
from registry.handlers.response import Response
from registry.handlers.routing import Routing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from werkzeug.routing import MapAdapter

_READ_LATER: Final = frozenset({"headers", "query_string", "remote_addr", "root_path", "scheme", "server", "shallow"})

_NO_ARGUMENTS: Final[MultiDict[str, str]] = ImmutableMultiDict()
_UNDECODED: Final = "werkzeug.url_quote"
"""How werkzeug has bytes decoded that are not UTF-8: they stay encoded for URLs."""


class Request(flask.Request):
    """A request whose environment is read as far as a view asks: most of them ask for the method and the path.

    `asked_path` is the path as the client has spelt it, which may begin with two slashes.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        # WSGI has the bytes of a path as if they were Latin-1.
        self.asked_path: str = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        self.path = f"/{self.asked_path.lstrip('/')}"

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """What the query says, as werkzeug reads it; most requests have none, and some have a long state in it."""
        query: str = self.environ.get("QUERY_STRING", "")
        if not query:
            return _NO_ARGUMENTS
        if not query.isascii():
            return super().args
        pairs = (part.partition("=") for part in query.split("&") if part)
        return ImmutableMultiDict([(_unquoted(name), _unquoted(value)) for name, _, value in pairs])

    @property
    def mimetype(self) -> str:
        """The media type that the content is said to have, in lower case, without its parameters; "" if it has none."""
        kind: str = self.environ.get("CONTENT_TYPE", "")
        return kind.partition(";")[0].strip().lower()

    def __getattr__(self, name: str) -> Any:
        if name not in _READ_LATER:
            raise AttributeError(name, name=name, obj=self)
        super().__init__(self.environ, populate_request=False)
        return self.__dict__[name]


def _unquoted(text: str) -> str:
    """Return a name or a value in a query; urllib's own looks at each character of what has but one that is quoted."""
    if "+" in text:
        text = text.replace("+", " ")
    return unquote_to_bytes(text).decode(errors=_UNDECODED) if "%" in text else text


class Application(Flask):
    """A Flask application whose requests go this way."""

    request_class = Request
    response_class = Response

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        context = Context(self, environ)
        entered = enter(context)
        request: Request = context.request
        try:
            return self._answer(request)(environ, start_response)
        finally:
            leave(entered)
            if "files" in request.__dict__:
                request.close()

    def _answer(self, request: Request) -> flask.Response:
        try:
            try:
                response = self._view(request)
            except Exception as error:  # noqa: BLE001  an error handler answers it, or raises it again
                response = self.make_response(self.handle_user_exception(error))
            return self.process_response(response)
        except Exception as error:  # noqa: BLE001  as above
            return self.handle_exception(error)

    def _view(self, request: Request) -> flask.Response:
        """Return what the view of `request` answers.

        Raises:
            HTTPException: the path has none, or none for the method.
        """
        unroutable = None
        try:
            request.url_rule, request.view_args = self._routing.match(request.method, request.asked_path)
        except HTTPException as error:
            unroutable = request.routing_exception = error
        for begin in self.before_request_funcs.get(None, ()):
            begin()
        if unroutable:
            raise unroutable
        rule: Any = request.url_rule
        if rule.provide_automatic_options and request.method == "OPTIONS":
            return self.make_default_options_response()
        view: Callable[..., Any] = self.view_functions[rule.endpoint]
        answered: flask.Response = view(**(request.view_args or {}))
        return answered

    def process_response(self, response: flask.Response) -> flask.Response:
        """Return `response` as the functions of ``after_request`` make it."""
        for change in reversed(self.after_request_funcs.get(None, ())):
            response = change(response)
        return response

    @cached_property
    def _routing(self) -> Routing:
        return Routing(self.url_map)

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """Return what tells which methods a path has; host and scheme, which Flask would look at, say nothing of it."""
        return self._routing.adapter(request.method, request.path) if request else super().create_url_adapter(request)
