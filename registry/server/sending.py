"""Files sent to clients."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from registry.server.channel import Channel

AT_ONCE: Final = 64 * 1024
"""About as many bytes as the buffer of a socket takes without waiting for the client."""
_CACHED: Final = 256 * 1024
"""Bytes that are still in the processor's cache after they were read."""
_PIECE: Final = 1024 * 1024
_BRIEF_SECONDS: Final = 0.25
_FAST_BYTES: Final = 16 * 1024 * 1024
"""What a client takes in so many seconds for whom a thread stays."""
_TURN: Final = 1024 * 1024
"""Bytes that are sent before other clients have their turn."""


class FileSending:
    """Sends `head` and the next `size` bytes of a file: at first by a thread, then as the client takes them.

    For a client on this machine, to copy through a buffer that stays in the processor's cache costs both sides less
    than sendfile, which hands over pages that are in no cache. Over a network, sendfile copies nothing. TLS has to
    copy in any case.
    """

    def __init__(self, channel: Channel, head: bytes, file: int, size: int, peer_address: Any) -> None:
        self._channel = channel
        self._head = head
        self._file = file
        self.left = size
        self.has_begun = False
        """Whether the client may have been sent something."""
        self._copies = size <= AT_ONCE or channel.is_secured or _is_here(peer_address)

    def send_briefly(self) -> int:
        """Send while the client keeps up with a network that is fast; return how many bytes of the file that was."""
        before = self.left
        began, checked = time.monotonic(), before
        while self.left and self._send(_CACHED if self._copies else _PIECE, briefly=True):
            now = time.monotonic()
            if now - began > _BRIEF_SECONDS:
                if checked - self.left < _FAST_BYTES:
                    break
                began, checked = now, self.left
        return before - self.left

    def send_now(self) -> int:
        """Send what the client takes without waiting, or a turn's worth; return how many bytes of the file that was."""
        before = self.left
        while self.left and before - self.left < _TURN and self._send(_CACHED, briefly=False):
            pass
        return before - self.left

    def _send(self, at_most: int, *, briefly: bool) -> bool:
        """Send some bytes; return whether the client took them all.

        Raises:
            OSError: the client has gone, the file cannot be read, or it has ended.
        """
        asked = min(self.left, at_most)
        if self._copies:
            return self._copy(asked, briefly=briefly)
        self.has_begun = True
        if self._head:
            self._head = self._head[self._channel.send_now(self._head, more=True) :]
            if self._head:
                return False
        sent = self._channel.send_file(self._file, asked, briefly=briefly)
        self.left -= sent
        return sent == asked

    def _copy(self, asked: int, *, briefly: bool) -> bool:
        piece = os.read(self._file, asked)
        if not piece:
            raise OSError(errno.EIO, "the file is shorter than was announced")
        self.has_begun = True
        head = self._head
        data = head + piece if head else piece
        sent = (self._channel.send_briefly if briefly else self._channel.send_now)(data)
        # What was not sent is read again: TLS wants the same bytes once more.
        self._head = head[sent:]
        of_file = max(sent - len(head), 0)
        if of_file < len(piece):
            os.lseek(self._file, of_file - len(piece), os.SEEK_CUR)
        self.left -= of_file
        return of_file == len(piece)


def _is_here(address: Any) -> bool:
    """Tell whether a client is a process of this machine; a socket in the file system has no address."""
    host = address[0] if isinstance(address, tuple) else ""
    return not host or host == "::1" or host.removeprefix("::ffff:").startswith("127.")
