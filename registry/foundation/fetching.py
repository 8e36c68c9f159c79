"""What other servers say over HTTP, to who asks rarely: a document, or whether they answer as they should.

Each request has a connection of its own; for the rest see :class:`registry.foundation.http_client.HttpClient`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.reasons import reason

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from registry.foundation.http_client import Headers

_GOOD: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_MOST_REDIRECTS: Final = 10
_SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods that change nothing, and so may be redirected."""


class FetchError(OSError):
    """There is no such answer; the text says why in one line, without the URL."""


def fetch(
    url: str, *, most_bytes: int, timeout_seconds: float, headers: Mapping[str, str], follow: bool = True
) -> bytes:
    """Return the document at `url`; all of it must have come within `timeout_seconds`.

    A redirect is followed only if `follow` is set. To find the address of a host may take longer, as that cannot be cut
    short.

    Raises:
        FetchError: there is none, it has more than `most_bytes`, or is too late.
    """
    answer = exchange(
        "GET", url, most_bytes=most_bytes, timeout_seconds=timeout_seconds, headers=headers, follow=follow
    )
    if not follow and answer.status in _REDIRECTS and "Location" in answer.headers:
        raise FetchError("it redirects, which is not followed")
    if answer.status not in _GOOD:
        raise FetchError(f"the answer is {answer.status} {reason(answer.status)}")
    return answer.content


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, of whatever status."""

    status: int
    headers: Headers
    content: bytes


def exchange(  # noqa: PLR0913 - what is sent, and how much and how long is waited for
    method: str,
    url: str,
    *,
    most_bytes: int,
    timeout_seconds: float | None,
    headers: Mapping[str, str],
    body: bytes | None = None,
    context: ssl.SSLContext | None = None,
    follow: bool = True,
) -> Answer:
    """Return the answer to a request, whatever its status; the rest is as with fetch().

    Redirects of ``GET`` and ``HEAD`` are followed, if `follow` is set. `timeout_seconds` of None is to wait for ever.
    `context` verifies the certificates of ``https``.

    Raises:
        FetchError: there is no answer, it has more than `most_bytes`, or is too late.
    """
    from registry.foundation.http_client import HttpClient, HttpError  # noqa: PLC0415  slow to load

    client = HttpClient(connections=0, follow=_MOST_REDIRECTS if follow and method in _SAFE else 0, context=context)
    sent = [*headers.items()]
    try:
        reply = client.request(
            method, url, body=body, headers=sent, timeout_seconds=timeout_seconds, most_bytes=most_bytes
        )
    except HttpError as error:
        raise FetchError(str(error)) from error
    if reply.truncated:
        raise FetchError(f"more than {most_bytes} bytes")
    return Answer(reply.status, reply.headers, reply.content)


def status_of(url: str, *, timeout_seconds: float | None, headers: Mapping[str, str]) -> int:
    """Return the status of the answer to ``HEAD``, which must come within `timeout_seconds`; None is to wait for ever.

    Raises:
        FetchError: there is no answer.
    """
    return exchange("HEAD", url, most_bytes=0, timeout_seconds=timeout_seconds, headers=headers).status
