"""What other servers say over HTTP: a document, or whether they answer as they should.

Proxies are those of the environment. Redirects are followed to ``http`` and ``https`` only, from ``https`` only to
``https``, and to another host without the caller's headers, which may hold secrets.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.foundation.deadlines import Deadline, DeadlineHandler

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from typing import IO

_SCHEMES: Final = frozenset({"http", "https"})
_HARMLESS: Final = frozenset({"Accept"})
"""Headers that any host may see."""


class FetchError(OSError):
    """There is no such answer; the text says why in one line, without the URL."""


def fetch(
    url: str, *, most_bytes: int, timeout_seconds: float, headers: Mapping[str, str], follow: bool = True
) -> bytes:
    """Return the document at `url`; all of it must have come within `timeout_seconds`.

    A redirect is followed only if `follow` is set. To find the address of a host may take longer, as that cannot be cut
    short, and each address of it is given the whole time to take the connection.

    Raises:
        FetchError: there is none, it has more than `most_bytes`, or is too late.
    """
    request = _request("GET", url, headers)
    with _errors_in_one_line(), _opener(timeout_seconds, follow=follow).open(request) as answer:
        content: bytes = answer.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise FetchError(f"more than {most_bytes} bytes")
    return content


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, of whatever status."""

    status: int
    headers: Message
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
) -> Answer:
    """Return the answer to a request, whatever its status; the rest is as with fetch().

    Redirects of ``GET`` and ``HEAD`` are followed. `timeout_seconds` of None is to wait for ever. `context` verifies
    the certificates of ``https``.

    Raises:
        FetchError: there is no answer, it has more than `most_bytes`, or is too late.
    """
    request = _request(method, url, headers, body)
    with _errors_in_one_line():
        try:
            answer = _opener(timeout_seconds, context=context).open(request)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content: bytes = answer.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise FetchError(f"more than {most_bytes} bytes")
    return Answer(answer.status, answer.headers, content)


def status_of(url: str, *, timeout_seconds: float | None, headers: Mapping[str, str]) -> int:
    """Return the status of the answer to ``HEAD``, which must come within `timeout_seconds`; None is to wait for ever.

    Raises:
        FetchError: there is no answer.
    """
    return exchange("HEAD", url, most_bytes=0, timeout_seconds=timeout_seconds, headers=headers).status


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913, PLR0917  the base's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is None:
            return None
        before, after = urlsplit(req.full_url), urlsplit(request.full_url)
        if after.scheme not in _SCHEMES or (before.scheme == "https" and after.scheme != "https"):
            raise FetchError(f"it redirects from {before.scheme} to {after.scheme}")
        if before.netloc != after.netloc:
            request.headers = {name: value for name, value in request.headers.items() if name in _HARMLESS}
        request.method = req.get_method()  # the base makes it a GET
        return request


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        raise FetchError("it redirects, which is not followed")


def _opener(
    timeout_seconds: float | None, *, follow: bool = True, context: ssl.SSLContext | None = None
) -> urllib.request.OpenerDirector:
    # Made for each call, which is rare: a proxy is looked for in the environment as it is by then.
    deadline = Deadline(timeout_seconds)
    redirects = _Redirects if follow else _NoRedirects
    return urllib.request.build_opener(redirects, DeadlineHandler(deadline, context))


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> urllib.request.Request:
    try:
        if urlsplit(url).scheme not in _SCHEMES:  # in lower case, whatever the case in the URL
            raise FetchError("not an http or https address")
        return urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310  checked above
    except ValueError as error:
        raise FetchError(str(error)) from error


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Turn everything that urllib comes up with into a FetchError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchError(f"the answer is {error.code} {_line(error.reason)}") from None
    except FetchError:
        raise
    except urllib.error.URLError as error:
        raise FetchError(_line(error.reason)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise FetchError(_line(error)) from error


def _line(error: object) -> str:
    if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER":  # of an ssl.SSLError
        return "it does not speak TLS: is http:// meant?"
    return " ".join(str(error).split()) or type(error).__name__
