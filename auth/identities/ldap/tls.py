"""TLS to a directory, by Python: that of libldap has no timeout in the builds of distributions, and says little.

libldap speaks to one end of a pair of sockets; a thread passes on what it says, encrypted.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

_PIECE: Final = 64 * 1024
_PORT: Final = 636


def descriptor_to(url: str, cafile: str, timeout_seconds: float) -> int:
    """Return a file descriptor that leads to the server at ``ldaps://HOST[:PORT]``; whoever closes it ends all.

    The certificate has to be that of the host, vouched for by `cafile`, or by what the system trusts if that is "".

    Raises:
        OSError: there is no connection, in time, or no such certificate.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    context = ssl.create_default_context(cafile=cafile or None)
    plain = socket.create_connection((host, parts.port or _PORT), timeout_seconds)
    try:
        far = context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    near, end = socket.socketpair()
    relay = threading.Thread(target=_relay, args=(end, far, timeout_seconds), name="LDAP over TLS", daemon=True)
    try:
        relay.start()
    except RuntimeError as error:  # there are too many threads
        for each in (near, end, far):
            each.close()
        raise OSError(str(error)) from error
    return near.detach()


def _relay(near: socket.socket, far: ssl.SSLSocket, timeout_seconds: float) -> None:
    """Pass on what comes at either end until one of them is closed or `far` takes nothing for too long."""
    with near, far, selectors.DefaultSelector() as selector, suppress(OSError):
        selector.register(near, selectors.EVENT_READ)
        selector.register(far, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if near in ready:
                asked = near.recv(_PIECE)
                if not asked:
                    return
                far.settimeout(timeout_seconds)
                far.sendall(asked)
            if far in ready and not _answered(near, far):
                return


def _answered(near: socket.socket, far: ssl.SSLSocket) -> bool:
    """Pass on all that `far` has said; tell whether it may say more."""
    far.settimeout(0)
    while True:
        try:
            told = far.recv(_PIECE)
        except ssl.SSLWantReadError:  # it was part of a record, or none for the application
            return True
        if not told:
            return False
        near.sendall(told)
