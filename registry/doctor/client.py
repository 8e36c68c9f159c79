"""A plain registry client: one connection for each request, no redirect followed, every header shown."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from registry.foundation.challenges import basic_authorization, parse_challenge, token_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Body = bytes | Iterable[bytes] | None

_TIMEOUT_SECONDS: Final = 60
_LONGEST_ANSWER: Final = 64 * 1024 * 1024
UNAUTHORIZED: Final = 401
OK: Final = 200


class UnreachableError(Exception):
    """There was no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end, and the moment (seconds since the epoch) in the middle of the exchange."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    moment: float

    def header(self, name: str) -> str:
        """Return a header, "" if it is missing."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    def error_code(self) -> str:
        """Return the code of the specification's JSON error, "" if the body is not one."""
        with suppress(ValueError, LookupError, TypeError):
            return str(json.loads(self.body)["errors"][0]["code"])
        return ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user, and a password or a token of that user."""

    user: str
    password: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return basic_authorization(self.user, self.password)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A registry at `url`, with its prefix if it has one, and what to log in with."""

    url: str
    credentials: Credentials | None = None
    authorization: str = ""

    def ask(self, method: str, target: str, body: Body = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request to `target`, a URL or what follows ours.

        Raises:
            UnreachableError: there was no answer.
        """
        url = self.absolute(target)
        own = {"Authorization": self.authorization} if self.authorization and self.is_ours(url) else {}
        return ask(method, url, body, {**own, **(headers or {})})

    def absolute(self, target: str) -> str:
        """Return `target` as a URL."""
        return (
            urljoin(self.url + "/", target) if target.startswith(("http://", "https://", "/v2/")) else self.url + target
        )

    def is_ours(self, url: str) -> bool:
        """Tell whether `url` lies on the host that we were given."""
        return urlsplit(url).netloc == urlsplit(self.url).netloc

    def let_in(self, challenge: str, scope: str) -> Deployment:
        """Return the same with an Authorization for `scope`, as the `challenge` of a 401 demands it.

        Raises:
            UnreachableError: the token service does not answer, or does not give a token.
        """
        scheme, parameters = parse_challenge(challenge)
        if scheme == "basic":
            return replace(self, authorization=self.credentials.basic if self.credentials else "")
        if scheme != "bearer" or "realm" not in parameters:
            raise UnreachableError(f"the challenge is not understood: {challenge[:200]!r}")
        query = {"service": parameters.get("service", ""), "scope": scope}
        realm = parameters["realm"]
        separator = "&" if "?" in realm else "?"
        headers = {"Authorization": self.credentials.basic} if self.credentials else {}
        reply = ask("GET", self.absolute(realm) + separator + urlencode(query), None, headers)
        if reply.status != OK:
            raise UnreachableError(f"the token service {realm} answers {reply.status}")
        try:
            return replace(self, authorization=f"Bearer {token_in(reply.body)}")
        except ValueError as error:
            raise UnreachableError(f"the token service {realm} answers with something else than a token") from error


def ask(method: str, url: str, body: Body, headers: Mapping[str, str]) -> Reply:
    """Send one request.

    Raises:
        UnreachableError: there was no answer.
    """
    parts = urlsplit(url)
    secured = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secured else http.client.HTTPConnection
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        with closing(connect(parts.netloc, timeout=_TIMEOUT_SECONDS)) as connection:
            began = time.time()
            # A proxy that refuses a body may close before it has read all of it; its answer can still be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            moment = (began + time.time()) / 2
            return Reply(answer.status, dict(answer.headers), answer.read(_LONGEST_ANSWER), moment)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(explained(error)) from error


def explained(error: Exception) -> str:
    """Say what went wrong in words for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__
