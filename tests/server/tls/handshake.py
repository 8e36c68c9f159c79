"""A TLS handshake without a network."""

from __future__ import annotations

import ssl

from tests.server.tls.authority import HOST


def shake_hands(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> ssl.SSLObject:
    """Connect a client to a server in memory, pass one byte each way, and give the client's end.

    Raises:
        ssl.SSLError: one of them refused the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname=HOST)
    waiting = [client.do_handshake, server.do_handshake]
    while waiting:
        for step in tuple(waiting):
            try:
                step()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(step)
    # In TLS 1.3 a client learns with the first byte that its certificate is not liked.
    server.write(b"s")
    assert client.read(1) == b"s"
    client.write(b"c")
    assert server.read(1) == b"c"
    return client
