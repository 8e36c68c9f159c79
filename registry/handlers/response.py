"""The response class of all views: says nothing that a view has not said."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import flask
from werkzeug.datastructures import Headers
from werkzeug.http import remove_entity_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from wsgiref.types import StartResponse, WSGIEnvironment

_NOT_MODIFIED: Final = 304
_EMPTY: Final = frozenset({204, _NOT_MODIFIED})
"""Statuses of answers that have no content (RFC 9110 section 6.4.1). Numbers: to look up a member of HTTPStatus is a
call of a function in Python 3.11."""


class Response(flask.Response):
    """A response without a Content-Type of its own, since most of a registry's have no content.

    What it says is as in werkzeug, which takes 10 µs longer to make it, and to have it as WSGI wants it.
    """

    default_mimetype = None

    errors: Sequence[Mapping[str, object]] = ()
    """What an error answer says, for the log."""

    def __init__(
        self,
        response: Iterable[bytes] | Iterable[str] | bytes | str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | Headers | None = None,
        content_type: str | None = None,
        *,
        direct_passthrough: bool = False,
    ) -> None:
        """Say `status`, `headers`, and the content `response`; what has no length of its own is sent in chunks."""
        if isinstance(headers, Headers):
            # It may have a name twice: an answer that was sent is made from what was received, by Flask's test client.
            super().__init__(response, status, headers, content_type=content_type)
            return
        said = dict(headers) if headers else {}
        if content_type:
            said["Content-Type"] = content_type
        if response is None:
            said.setdefault("Content-Length", "0")
            self.response: Any = []
        elif isinstance(response, (str, bytes)):
            content = response.encode() if isinstance(response, str) else response
            said["Content-Length"] = str(len(content))
            self.response = [content]
        else:
            self.response = response
        self.headers = _Headers(said)
        self._status, self._status_code = _status_of(status)
        self.direct_passthrough = direct_passthrough
        self._on_close = []

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers as a view has made them.

        werkzeug would check each of them once more, in a copy, to encode URLs: ours are ASCII.
        """
        del environ
        headers, status = self.headers, self._status_code
        if status in _EMPTY:
            if status == _NOT_MODIFIED:
                remove_entity_headers(headers)
            else:
                headers.remove("Content-Length")
        return headers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        start_response(self._status, self.get_wsgi_headers(environ).to_wsgi_list())
        if isinstance(self.response, list) and not self._on_close:
            return () if environ["REQUEST_METHOD"] == "HEAD" or self._status_code in _EMPTY else self.response
        return self.get_app_iter(environ)


class _Headers(Headers):
    """Headers that begin as those of a mapping, which werkzeug would check and add one at a time."""

    def __init__(self, said: Mapping[str, str] | None = None) -> None:
        if said is None or not "".join(said.values()).isprintable():
            super().__init__(said)
        else:
            self._list = list(said.items())


@lru_cache
def _status_of(status: int) -> tuple[str, int]:
    """Return a status as WSGI wants it, and as a number."""
    known = flask.Response(status=status)
    return known.status, known.status_code
