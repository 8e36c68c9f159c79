"""Responses on a connection, with fewer system calls and fewer copies than gunicorn's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.server.gunicorn_internals import Framing
from registry.server.sending import AT_ONCE, FileSending

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from registry.server.bodies import RequestBody
    from registry.server.channel import Channel
    from registry.server.gunicorn_internals import Settings


@dataclass(frozen=True, slots=True)
class Wire:
    """What a response is sent on, behind the request's `body`.

    `before_waiting` is called before the client may have to be waited for.
    """

    channel: Channel
    body: RequestBody
    before_waiting: Callable[[], None]


class Response(Framing):
    """Sends a response. `unsent` is what is left of a file whose client does not keep up."""

    def __init__(
        self,
        request: Any,
        sock: socket.socket,
        settings: Settings,
        wire: Wire,
    ) -> None:
        super().__init__(request, sock, settings)
        self.unsent: FileSending | None = None
        self._channel = wire.channel
        self._body = wire.body
        self._before_waiting = wire.before_waiting

    def send_headers(self) -> None:
        """Have the head ready; it says so if the connection is closed because of what is left of the request."""
        if not self.headers_sent and not self._head and not self._body.may_end():
            self.force_close()
        super().send_headers()

    def send(self, data: bytes) -> None:
        """Send `data`."""
        head, self._head = self._head, b""
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
        sent = self._channel.send_now(data) if data else 0
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
        sending = FileSending(self._channel, fd, size, self.peer_address)
        head, self._head = self._head, b""
        try:
            self.sent += sending.send_first(head)
        finally:
            # A file that cannot be read from the beginning can still be answered with an error.
            self.headers_sent = sending.has_begun
        if sending.left and size > AT_ONCE:
            self.sent += sending.send_briefly()
        if sending.left:
            self.unsent = sending

    def send_more(self) -> None:
        """Send what the client takes of what is unsent, without waiting."""
        if not self.unsent:
            return
        pace = self._channel.pace
        sent = self.unsent.send_now()
        pace.moved(sent)
        self.sent += sent
        if not self.unsent.left:
            pace.end()
            self.unsent = None
