"""How a call shows who makes it: signed by the account's key, with the token of an identity, or by its URL."""

from __future__ import annotations

import base64
import hmac
import logging
import re
import threading
import time
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from drivers.azure.errors import LoginError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.calls.request import Request
    from registry.foundation.http_client import Reply

VERSION: Final = "2025-01-05"
"""The version of the protocol that is spoken where a call names no other: that of the Go registry 3.1."""

_LAST_SECONDS: Final = 10.0
"""How long before its end a token is no longer shown: the call has to arrive."""
_PAUSE_SECONDS: Final = 30.0
"""How long no other token is fetched after one was refused, or could not be fetched while there is a valid one."""
_TENANT: Final = re.compile(r"authorization_uri=\"?https://[^/\s]+/([^/\s\",?]+)")

_log = logging.getLogger(__name__)


class SharedKey:
    """Signs with the key of an account."""

    def __init__(self, account: str, key: str) -> None:
        self._account = account
        self._key = base64.b64decode(key)

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers, the signature among them.

        Source: "Authorize with Shared Key", the format of version 2015-02-21 and later.
        """
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
        headers.update(request.headers)
        named = "".join([f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-")])
        one = headers.get
        text = (
            f"{request.method}\n\n\n{len(request.body) or ''}\n\n\n\n\n{one('If-Match', '')}\n"
            f"{one('If-None-Match', '')}\n\n{one('Range', '')}\n"
            f"{named}/{self._account}{request.path}{_canonical(request.query)}"
        )
        headers["Authorization"] = f"SharedKey {self._account}:{signature(self._key, text)}"
        return list(headers.items())

    def refused(self, answer: Reply) -> bool:
        """Say no: there is no other key."""
        del answer
        return False


class ByUrl:
    """Adds nothing: the URL has the token."""

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers."""
        return list({"x-ms-version": VERSION, **dict(request.headers)}.items())

    def refused(self, answer: Reply) -> bool:
        """Say no: there is no other token."""
        del answer
        return False


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an identity, which ends at `expires`; from `renew` on there may be another (seconds since 1970)."""

    text: str
    expires: float
    renew: float


class Bearer:
    """Shows the token of an identity. One thread fetches another, while all others use the one that is still valid.

    `log_in` gives what fetches one, of the tenant that it is told or, told "", of the identity's own, or raises
    LoginError. That may have tokens of its own memory; where one of these is refused, `log_in` is called anew.
    """

    def __init__(self, log_in: Callable[[], Callable[[str], Token]]) -> None:
        self._log_in = log_in
        self._fetch = log_in()
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._tenant = ""
        self._failed: tuple[float, LoginError] | None = None
        self._refused_at = -_PAUSE_SECONDS
        self._used = threading.local()

    def signed(self, request: Request) -> Sequence[tuple[str, str]]:
        """Return the headers, the token among them.

        Raises:
            LoginError: there is no token.
        """
        token = self._used.token = self._valid()
        return list({"x-ms-version": VERSION, **dict(request.headers), "Authorization": f"Bearer {token.text}"}.items())

    def refused(self, answer: Reply) -> bool:
        """Tell whether there may be another token than that which this thread has shown."""
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return False
        with self._lock:
            if self._token is self._used.token:
                if time.time() < self._refused_at + _PAUSE_SECONDS:
                    return False
                self._refused_at = time.time()
                named = _TENANT.search(answer.headers.get("WWW-Authenticate", ""))
                self._tenant = named[1] if named else self._tenant
                self._fetch, self._token = self._log_in(), None
        return True

    def _valid(self) -> Token:
        token, now = self._token, time.time()
        if token and now < token.renew:
            return token
        usable = token is not None and now < token.expires - _LAST_SECONDS
        if not self._lock.acquire(blocking=not usable) and token:
            return token
        try:
            if self._token is not None and self._token is not token:
                return self._token
            return self._fetched(now, token if usable else None)
        finally:
            self._lock.release()

    def _fetched(self, since: float, usable: Token | None) -> Token:
        """Return another token; `usable` for a while if there is none.

        Raises:
            LoginError: there is none, and nothing usable; also if that was found since `since`, when this thread began.
        """
        if self._failed and self._failed[0] >= since:
            raise LoginError(*self._failed[1].args)
        try:
            self._token = self._fetch(self._tenant)
        except LoginError as error:
            if usable is None:
                self._failed = time.time(), error
                raise
            _log.warning("azure: %s; the token that is there is used on", error)
            self._token = replace(usable, renew=time.time() + _PAUSE_SECONDS)
        return self._token


def signature(key: bytes, text: str) -> str:
    """Return HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()


def _canonical(query: str) -> str:
    """Return a query as it is signed: by name, decoded, each on a line of its own."""
    if not query:
        return ""
    pairs = [part.partition("=") for part in sorted(query.split("&"))]
    return unquote("".join([f"\n{name.lower()}:{value}" for name, _, value in pairs]))
