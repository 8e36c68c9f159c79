"""Whose rights the calls have: the credentials that google.auth finds, and the token that it gets for them."""

from __future__ import annotations

import logging
import math
import threading
import time
import weakref
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import google.auth
import google.auth.exceptions
import google.auth.transport
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account

from drivers.calls.authorities import authorities
from drivers.translation import one_line
from registry.foundation.errors import ParameterError
from registry.foundation.http_client import HttpClient, HttpError, Reach
from registry.foundation.http_client.reach import DIRECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drivers.calls.request import Request
    from drivers.gcs.parameters import GcsParameters
    from registry.foundation.http_client import Headers, Reply

_SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.full_control",)
_MOST_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1024 * 1024
_UNAUTHORIZED: Final = 401
_BEFORE_END_SECONDS: Final = 225.0
"""How long before its end a token is replaced, as in google.auth; until then the old one works."""
_PAUSE_SECONDS: Final = 10.0
"""How long nobody asks for another token, unless the one that is there has ended."""

_log = logging.getLogger(__name__)


def find_credentials(parameters: GcsParameters, transport: Transport) -> tuple[Any, str]:
    """Return the credentials of google.auth and the domain of the cloud that they are for.

    An endpoint without an account is that of an emulator: anonymous ones.

    Raises:
        ParameterError: they cannot be used, or there are none, or the metadata server does not say enough of them.
    """
    try:
        credentials = _credentials(parameters, transport)
        # With those of a machine, the metadata server is asked for the domain. An endpoint makes it needless.
        universe = "" if parameters.endpoint else credentials.universe_domain
    except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
        where = parameters.account_origin or "keyfile: is not given, and there are no default credentials"
        what = ": is not a service account" if parameters.account_origin else ""
        raise ParameterError(f"{where}{what}: {one_line(error)}") from error
    return credentials, universe


def _credentials(parameters: GcsParameters, transport: Transport) -> Any:
    if parameters.account:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            parameters.account, scopes=_SCOPES
        )
    if parameters.endpoint:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    return google.auth.default(scopes=_SCOPES, request=transport)[0]


class _Answer(NamedTuple):
    """An answer as google.auth has it."""

    status: int
    headers: Headers
    data: bytes


class Transport(google.auth.transport.Request):
    """Has google.auth ask servers of tokens, of metadata and of signatures through the client of HTTP."""

    def __init__(self) -> None:
        self._client = HttpClient(**authorities())
        self._direct = HttpClient(reach=Reach(proxy=DIRECT))
        for client in (self._client, self._direct):
            weakref.finalize(self, client.close)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        """Return the answer.

        Raises:
            TransportError: there is none.
        """
        # Without TLS there are only servers of metadata, which no proxy reaches.
        client = self._direct if url.startswith("http://") else self._client
        try:
            reply = client.request(
                method,
                url,
                body=body.encode() if isinstance(body, str) else body,
                headers=tuple((headers or {}).items()),
                timeout_seconds=min(timeout or _MOST_SECONDS, _MOST_SECONDS),
                most_bytes=_MOST_BYTES,
            )
        except HttpError as error:
            raise google.auth.exceptions.TransportError(error) from error  # type: ignore[no-untyped-call]
        return _Answer(reply.status, reply.headers, reply.content)


class Token:
    """Signs calls by the token of `credentials`, which is kept until shortly before its end; for all threads."""

    def __init__(self, credentials: Any, transport: Transport) -> None:
        self._credentials = credentials
        self._transport = transport
        self._lock = threading.Lock()
        self._headers: tuple[tuple[str, str], ...] = ()
        self._fresh_until = 0.0
        self._valid_until = 0.0
        self._asked_at = -math.inf
        self._sent = threading.local()

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers, as drivers.calls.request.Signer has it.

        Raises:
            GoogleAuthError: there is no token.
        """
        now = time.time()
        # While one thread gets another token, the others go on with the one that ends soon.
        if now >= min(self._fresh_until, self._valid_until) and self._lock.acquire(blocking=now >= self._valid_until):
            try:
                if time.time() >= min(self._fresh_until, self._valid_until):
                    self._replace()
            finally:
                self._lock.release()
        headers = self._sent.headers = self._headers
        return (*request.headers, *headers) if request.headers else headers

    def refused(self, answer: Reply) -> bool:
        """Tell whether there is another token where the service does not take the one that this thread has sent."""
        if answer.status != _UNAUTHORIZED or isinstance(self._credentials, AnonymousCredentials):
            return False
        with self._lock:
            if self._sent.headers is not self._headers:
                return True
            if time.monotonic() - self._asked_at < _PAUSE_SECONDS:
                return False
            try:
                self._get()
            except google.auth.exceptions.GoogleAuthError as error:
                _log.warning("gcs: the token is not taken, and there is no other: %s", one_line(error))
                return False
            return True

    def _replace(self) -> None:
        try:
            self._get()
        except google.auth.exceptions.GoogleAuthError:
            if time.time() >= self._valid_until:
                raise
            self._fresh_until = time.time() + _PAUSE_SECONDS

    def _get(self) -> None:
        credentials, self._asked_at = self._credentials, time.monotonic()
        if not isinstance(credentials, AnonymousCredentials):
            credentials.refresh(self._transport)
        headers: dict[str, str] = {}
        credentials.apply(headers)
        self._headers = tuple(headers.items())
        expiry = credentials.expiry
        self._valid_until = expiry.replace(tzinfo=UTC).timestamp() if expiry else math.inf
        self._fresh_until = max(self._valid_until - _BEFORE_END_SECONDS, time.time() + _PAUSE_SECONDS)
