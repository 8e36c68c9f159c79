"""Ways in which a registry fails, to be given to ``Registry.misbehave``."""

from __future__ import annotations

import gzip as compression
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.upstreams.server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.upstreams.server import Handler

    Fault = Callable[[Handler, Answer], None]

HTML = b"<!DOCTYPE html><title>Welcome to this hotel</title>"


def hang(handler: Handler, _: Answer) -> None:
    """Answer nothing until the test is over."""
    handler.state.ended.wait()
    handler.close_connection = True


def stall(after: int) -> Fault:
    """Stop behind the head and so many bytes, until the test is over."""

    def behave(handler: Handler, answer: Answer) -> None:
        handler.send_head(answer, length=len(answer.content))
        handler.wfile.write(answer.content[:after])
        handler.state.ended.wait()
        handler.close_connection = True

    return behave


def reset(after: int | None = None) -> Fault:
    """Reset the connection behind the head and so many bytes; with None, instead of an answer."""

    def behave(handler: Handler, answer: Answer) -> None:
        if after is not None:
            handler.send_head(answer, length=len(answer.content))
            handler.wfile.write(answer.content[:after])
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return behave


def short(missing: int) -> Fault:
    """Close the connection with so many bytes missing."""

    def behave(handler: Handler, answer: Answer) -> None:
        handler.send_head(answer, length=len(answer.content))
        handler.wfile.write(answer.content[: len(answer.content) - missing])
        handler.close_connection = True

    return behave


def slow(size: int, pause_seconds: float) -> Fault:
    """Send so many bytes at a time."""

    def behave(handler: Handler, answer: Answer) -> None:
        handler.send_head(answer, length=len(answer.content))
        for at in range(0, len(answer.content), size):
            handler.wfile.write(answer.content[at : at + size])
            if handler.state.ended.wait(pause_seconds):
                return

    return behave


def changed(change: Callable[[Answer], Answer]) -> Fault:
    """Send what `change` makes of the right answer."""
    return lambda handler, answer: handler.send(change(answer))


def status(code: int, content: bytes = b"", **headers: str) -> Fault:
    """Send this status in place of what is right; the names of `headers` have _ for -."""
    return changed(lambda _: Answer(code, content).having(**headers))


def limited(retry_after: str = "") -> Fault:
    """Say that it was asked too often; `retry_after` is a number of seconds, or a date."""
    return status(429, Retry_After=retry_after) if retry_after else status(429)


def redirect(to: str, code: int = 307) -> Fault:
    """Redirect to a URL."""
    return status(code, Location=to)


def elsewhere(to: str) -> Fault:
    """Redirect to the same path on another server, whose URL is `to`."""
    return lambda handler, _: handler.send(Answer(307).having(Location=to + handler.path))


wrong: Fault = changed(lambda answer: replace(answer, content=answer.content[:-1] + bytes([answer.content[-1] ^ 1])))
"""Send other content of the same size."""

html: Fault = status(200, HTML, Content_Type="text/html; charset=utf-8")
"""Send the page of a captive portal."""

empty: Fault = changed(lambda answer: replace(answer, content=b""))
"""Send nothing, and say so."""

gzip: Fault = changed(
    lambda answer: replace(answer, content=compression.compress(answer.content)).having(Content_Encoding="gzip")
)
"""Send the content compressed, which nobody has asked for."""

anonymous: Fault = changed(lambda answer: answer.lacking("Docker-Content-Digest"))
"""Do not say the digest."""


def extra(handler: Handler, answer: Answer) -> None:
    """Send more than the length says."""
    handler.send_head(answer, length=len(answer.content))
    handler.wfile.write(answer.content + b"and more")
    handler.close_connection = True


def chunked(handler: Handler, answer: Answer) -> None:
    """Send chunks, without a length."""
    handler.send_head(answer.having(Transfer_Encoding="chunked"), length=None)
    if handler.command == "HEAD":
        return
    for at in range(0, len(answer.content), 65536):
        piece = answer.content[at : at + 65536]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def unsized(handler: Handler, answer: Answer) -> None:
    """Send content that ends with the connection."""
    handler.send_head(answer.having(Connection="close"), length=None)
    handler.wfile.write(answer.content)
    handler.close_connection = True


def rangeless(handler: Handler, _: Answer) -> None:
    """Send all where a part was asked for."""
    headers = {name: value for name, value in handler.asked.headers.items() if name != "range"}
    handler.send(handler.state.answer(replace(handler.asked, headers=headers)))
