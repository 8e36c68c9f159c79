"""Lets an observer see each request to the API: who asks for what, and what the answer says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.handlers.flask_internals import current_globals, current_request
from registry.observation.record import RequestRecord, current

if TYPE_CHECKING:
    from flask import Flask, Response

    from registry.observation.observer import Observer

_HANDLERS: Final = {
    "base": "base",
    "blobs": "blob",
    "catalog": "catalog",
    "maintenance": "maintenance",
    "manifests": "manifest",
    "referrers": "referrers",
    "tags": "tags",
    "token": "token",
    "uploads": "blob_upload_chunk",
}
"""The Go registry's name of a handler, by blueprint; probes and unknown routes have none and are not observed."""

_PAGES: Final = "ui"
"""What we call the handler of all pages."""

_START_ENDPOINT: Final = "uploads.start_upload"


def install(app: Flask, observer: Observer) -> None:
    """Report to `observer` that a request of `app` begins and what it is answered; the server reports its end."""

    def begin() -> None:
        # The endpoint of a view is its blueprint and its name.
        request = current_request()
        endpoint = request.endpoint or ""
        blueprint = endpoint.partition(".")[0]
        handler = _HANDLERS.get(blueprint) or (_PAGES if blueprint.startswith("web_") else None)
        if handler:
            if endpoint == _START_ENDPOINT:
                handler = "blob_upload"
            environ = request.environ
            variables = request.view_args or {}
            record = RequestRecord(handler, environ["REQUEST_METHOD"], variables, environ["REMOTE_ADDR"])
            observer.begin(record, environ)

    def note(response: Response) -> Response:
        record = current.get()
        if record:
            grant = current_globals().get("grant")
            record.user = grant.user if grant else ""
            record.digest = response.headers.get("Docker-Content-Digest", "")
            record.content_type = response.content_type or ""
            record.errors = getattr(response, "errors", ())
        return response

    app.before_request(begin)
    app.after_request(note)
