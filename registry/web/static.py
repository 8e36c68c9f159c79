"""What pages load beside themselves: styles, scripts and the icon. The version is in their paths: they never change."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from flask import Blueprint
from werkzeug.exceptions import NotFound

from registry.handlers.response import Response
from registry.web.page import page
from registry.web.security import protect
from registry.web.site import site

blueprint = Blueprint("web_static", __name__)

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@blueprint.get("/_static/<file>")
def get_static(file: str) -> Response:
    """Send a file of the folder ``static``, whoever asks for it."""
    content = site().static.get(file)
    if content is None:
        return _missing()
    response = Response(content, headers=_HEADERS, content_type=_TYPES[PurePath(file).suffix])
    protect(response)
    return response


@page
def _missing() -> Response:
    raise NotFound
