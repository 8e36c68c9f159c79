"""The WSGI environment of a request (PEP 3333), as gunicorn makes it, at a third of the cost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from registry.server.gunicorn_internals import FileWrapper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.server.connection import Connection
    from registry.server.gunicorn_internals import Settings
    from registry.server.heads import Request

_SAME: Final = {
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,
    "SERVER_SOFTWARE": "registry",
    "SCRIPT_NAME": "",
}
_OWN_NAMES: Final = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}
_PORTS: Final = {"http": "80", "https": "443"}


def environ_of(request: Request, connection: Connection, settings: Settings) -> dict[str, Any]:
    """Return the environment of `request`, all but ``wsgi.input``."""
    major, minor = request.version
    environ: dict[str, Any] = {
        **_SAME,
        "wsgi.errors": sys.stderr,
        "wsgi.multiprocess": settings.workers > 1,
        "wsgi.url_scheme": request.fields.scheme,
        "gunicorn.socket": connection.sock,
        "REQUEST_METHOD": request.method,
        "RAW_URI": request.uri,
        # WSGI has the bytes of a path as if they were Latin-1.
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1") if "%" in request.path else request.path,
        "QUERY_STRING": request.query,
        "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
        **request.fields.variables,
    }
    _add_ends(environ, connection.client, connection.server)
    return environ


def variables_of(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the variables of the environment that have the fields of a head, whose names are in capitals."""
    variables: dict[str, str] = {}
    for name, value in headers:
        key = _OWN_NAMES.get(name) or f"HTTP_{name.replace('-', '_')}"
        variables[key] = f"{variables[key]},{value}" if key in variables else value
    return variables


def _add_ends(environ: dict[str, Any], client: Any, server: Any) -> None:
    """Say who asks whom. What has come by a unix socket has no address, and the host is that of the request."""
    if isinstance(client, tuple):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    else:
        environ["REMOTE_ADDR"] = client.decode() if isinstance(client, bytes) else client
    if isinstance(server, tuple):
        environ["SERVER_NAME"], environ["SERVER_PORT"] = server[0], str(server[1])
    else:
        name, _, port = environ.get("HTTP_HOST", "").partition(":")
        environ["SERVER_NAME"], environ["SERVER_PORT"] = name or server, port or _PORTS[environ["wsgi.url_scheme"]]
