"""The response class of all views: says nothing that a view has not said."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import flask
from werkzeug.http import remove_entity_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from wsgiref.types import WSGIEnvironment

    from werkzeug.datastructures import Headers


class Response(flask.Response):
    """A response without a Content-Type of its own, since most of a registry's have no content."""

    default_mimetype = None

    errors: Sequence[Mapping[str, object]] = ()
    """What an error answer says, for the log."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers as a view has made them, with the length of content that is all there.

        werkzeug would check each of them once more, in a copy, to encode URLs: ours are ASCII.
        """
        del environ
        headers, status = self.headers, self.status_code
        if status < HTTPStatus.OK or status == HTTPStatus.NO_CONTENT:
            headers.remove("Content-Length")
        elif status == HTTPStatus.NOT_MODIFIED:
            remove_entity_headers(headers)
        elif self.is_sequence and "Content-Length" not in headers:
            headers["Content-Length"] = str(sum(map(len, self.iter_encoded())))
        return headers
