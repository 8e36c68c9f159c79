"""Files sent to clients."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from registry.server.channel import Channel

AT_ONCE: Final = 64 * 1024
"""About as many bytes as the buffer of a socket takes without waiting for the client."""
_CACHED: Final = 256 * 1024
"""Bytes that are still in the processor's cache after they were read."""
_PIECE: Final = 4 * 1024 * 1024
_TURN: Final = 1024 * 1024
"""Bytes that are sent before other clients have their turn."""


class FileSending:
    """Sends the next `size` bytes of a file to a client: at first by a thread, then as the client takes them.

    For a client on this machine, to copy through a buffer that stays in the processor's cache costs both sides less
    than sendfile, which hands over pages that are in no cache. Over a network, sendfile copies nothing. TLS has to
    copy in any case.
    """

    def __init__(self, channel: Channel, file: int, size: int, peer_address: Any) -> None:
        self._channel = channel
        self._file = file
        self.left = size
        self.has_begun = False
        """Whether the client may have been sent something."""
        self._copies = size <= AT_ONCE or channel.is_secured or _is_here(peer_address)

    def send_first(self, head: bytes) -> int:
        """Send `head` and as much as fits behind it in one call; return how many bytes of the file that was."""
        channel = self._channel
        if not self._copies:
            self.has_begun = True
            channel.send(head, more=True)
            return 0
        piece = os.read(self._file, min(self.left, _CACHED))
        self.has_begun = True
        data = head + piece
        sent = channel.send_now(data)
        if sent < len(head):
            # TLS wants the same bytes again.
            channel.send(memoryview(data)[sent:])
            sent = len(data)
        return self._moved(sent - len(head), len(piece))

    def send_briefly(self) -> int:
        """Send while the client keeps up; return how many bytes that was."""
        before = self.left
        while self.left and self._send(_CACHED if self._copies else _PIECE, briefly=True):
            pass
        return before - self.left

    def send_now(self) -> int:
        """Send what the client takes without waiting, or a turn's worth; return how many bytes that was."""
        before = self.left
        while self.left and before - self.left < _TURN and self._send(_CACHED, briefly=False):
            pass
        return before - self.left

    def _send(self, at_most: int, *, briefly: bool) -> bool:
        """Send some bytes; return whether the client took them all."""
        asked = min(self.left, at_most)
        if not self._copies:
            return self._moved(self._channel.send_file(self._file, asked, briefly=briefly), None) == asked
        piece = os.read(self._file, asked)
        send = self._channel.send_briefly if briefly else self._channel.send_now
        return self._moved(send(piece), len(piece)) == len(piece)

    def _moved(self, sent: int, read: int | None) -> int:
        """Note that of `read` bytes of the file `sent` were sent; None if the kernel read as much as it sent.

        Raises:
            OSError: the file has ended.
        """
        if read == 0:
            raise OSError(errno.EIO, "the file is shorter than was announced")
        if read and sent < read:
            os.lseek(self._file, sent - read, os.SEEK_CUR)
        self.left -= sent
        return sent


def _is_here(address: Any) -> bool:
    """Tell whether a client is a process of this machine; a socket in the file system has no address."""
    host = address[0] if isinstance(address, tuple) else ""
    return not host or host == "::1" or host.removeprefix("::ffff:").startswith("127.")
