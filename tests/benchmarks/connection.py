"""A client of HTTP/1.1 that costs little: one kept connection, bodies by sendfile, answers read and forgotten."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import IO, Self
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 300
_RECEIVE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, without the body."""

    status: int
    headers: dict[str, str]

    @property
    def location(self) -> str:
        """Path and query of Location."""
        parts = urlsplit(self.headers["location"])
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


class RequestError(Exception):
    """A server refused, or broke off."""


class Connection:
    """One connection to one server; used for one request after another."""

    def __init__(self, address: str, port: int) -> None:
        self._host = f"{address}:{port}"
        self._socket = socket.create_connection((address, port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(
        self,
        method: str,
        target: str,
        *,
        expected: int,
        file: IO[bytes] | None = None,
        body: bytes = b"",
        media_type: str = "application/octet-stream",
        content_range: str = "",
    ) -> Answer:
        """Send a request whose body is all of `file` and then `body`; return the answer.

        `content_range` is where an upload is to go on, "" for wherever it stands.

        Raises:
            RequestError: the status is not `expected`.
        """
        file_size = os.fstat(file.fileno()).st_size if file else 0
        length = file_size + len(body)
        fields = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {length}"]
        fields += [f"Content-Type: {media_type}"] if length else []
        fields += [f"Content-Range: {content_range}"] if content_range else []
        head = "\r\n".join([*fields, "", ""]).encode()
        if file and file_size:
            self._socket.sendall(head, socket.MSG_MORE)
            self._socket.sendfile(file, 0)
            self._socket.sendall(body)
        else:
            self._socket.sendall(head + body)
        answer = self._receive()
        if answer.status != expected:
            raise RequestError(f"{method} {target}: {answer.status}, not {expected}")
        return answer

    def _receive(self) -> Answer:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._fill()
        self._buffer = self._buffer[length:]
        return Answer(int(status.split()[1]), headers)

    def _fill(self) -> None:
        received = self._socket.recv(_RECEIVE_BYTES)
        if not received:
            raise RequestError(f"{self._host} closed the connection")
        self._buffer += received


def with_digest(location: str, digest: str) -> str:
    """Return an upload's location with the digest that finishes it."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"
