"""Whether the client still waits for its answer."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from flask import request

if TYPE_CHECKING:
    import socket

_SOCKET: Final = "gunicorn.socket"


def is_connected() -> bool:
    """Tell whether the client has not closed its side of the connection; True where the server does not show it.

    A client that has closed its side only may still read the answer, so it gets one, if a shorter one.
    """
    connection: socket.socket | None = request.environ.get(_SOCKET)
    if connection is None or connection.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return not poll.poll(0)
