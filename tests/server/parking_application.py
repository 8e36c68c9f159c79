"""``registry serve`` with an application that parks its threads: PROGRAM PYTHON -m registry serve FILE.

``/parked`` waits in the view and ``/streamed`` between two pieces of its body, both until somebody asks for
``/release``. Anything else is answered at once.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from registry import cli
from registry.error_codes import code_of
from registry.handlers.current import HAND_OVER_KEY, PARKING_KEY
from registry.oci.errors import UpstreamBusyError
from registry.server import master

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse

_released = threading.Event()
PIECE = b"piece"


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/streamed":
        start_response("200 OK", [("Content-Length", str(2 * len(PIECE)))])
        return _pieces(environ)
    status = 200
    if path == "/release":
        _released.set()
    elif path == "/parked":
        try:
            _park(environ)
        except UpstreamBusyError as error:
            status = code_of(error)[1]
    start_response(f"{status} said", [("Content-Length", str(len(PIECE)))])
    return [PIECE]


def _pieces(environ: dict[str, Any]) -> Iterator[bytes]:
    yield PIECE
    _park(environ)
    yield PIECE


def _park(environ: dict[str, Any]) -> None:
    with environ[PARKING_KEY].parked(environ[HAND_OVER_KEY]):
        _released.wait()


if __name__ == "__main__":
    vars(master)["create_app"] = lambda _: application
    sys.argv = ["registry", *sys.argv[4:]]
    cli.main()
