"""Responses on a connection, with fewer system calls and fewer copies than gunicorn's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.server.gunicorn_internals import Framing
from registry.server.sending import AT_ONCE, FileSending

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from registry.server.connection import Connection
    from registry.server.gunicorn_internals import Settings
    from registry.server.heads import Request


class Response(Framing):
    """Sends a response on `connection`; calls `before_waiting` before the client may have to be waited for.

    `unsent` is what is left of a file whose client does not keep up.
    """

    def __init__(
        self,
        request: Request,
        sock: socket.socket,
        settings: Settings,
        connection: Connection,
        before_waiting: Callable[[], None],
    ) -> None:
        super().__init__(request, sock, settings)
        self.unsent: FileSending | None = None
        self._channel = connection.channel
        self._request_body = connection.body
        self._before_waiting = before_waiting

    def before_head(self) -> None:
        """Have the head say so if the connection is closed because of what is left of the request."""
        if self._request_body and not self._request_body.may_end():
            self.force_close()

    def send(self, data: bytes) -> None:
        """Send `data`, behind the head if that is still to be sent."""
        head, self._head = self._head, b""
        if not data and not head:
            return
        is_large = len(data) > AT_ONCE
        if is_large:
            self._before_waiting()
        if head:
            self.headers_sent = True
            if is_large:
                # Not joined: several clients may be sent the same bytes.
                self._channel.send(head, more=True)
            else:
                data = head + data
        sent = self._channel.send_now(data)
        if sent < len(data):
            if not is_large:
                self._before_waiting()
            self._channel.send(memoryview(data)[sent:])

    def send_file(self, fd: int, size: int) -> None:
        """Send a part of a file; what the client does not take soon is left in `unsent`.

        Raises:
            OSError: the client has gone, the file cannot be read, or it ends before `size` bytes.
        """
        if size > AT_ONCE:
            self._before_waiting()
        head, self._head = self._head, b""
        sending = FileSending(self._channel, head, fd, size, self.peer_address)
        try:
            self.sent += sending.send_now()
        finally:
            # A file that cannot be read from the beginning can still be answered with an error.
            self.headers_sent = sending.has_begun
        if sending.left and size > AT_ONCE:
            self.sent += sending.send_briefly()
        if sending.left:
            self.unsent = sending

    def send_more(self) -> bool:
        """Send what the client takes of what is unsent, without waiting; return whether that was all of it."""
        if self.unsent:
            pace = self._channel.pace
            pace.end()
            sent = self.unsent.send_now()
            pace.moved(sent)
            self.sent += sent
            if self.unsent.left:
                pace.begin()
                return False
            self.unsent = None
        return True
