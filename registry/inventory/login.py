"""Requests to a registry behind a URL, with the login that it asks for: Basic, or a token of its token service."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from registry.foundation.challenges import basic_authorization, parse_challenge, token_in
from registry.foundation.fetching import FetchError, exchange
from registry.foundation.printable import printable
from registry.inventory.source import InventoryError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from registry.foundation.fetching import Answer

TIMEOUT_SECONDS: Final = 60
_LONGEST_TOKEN: Final = 1024 * 1024
_OK: Final = 200
UNAUTHORIZED: Final = 401
_LATER: Final = frozenset({429, 503})
_TRIES: Final = 4
_LONGEST_WAIT_SECONDS: Final = 60
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with a password; or, without a user, an identity token (docker's, of a login by OAuth)."""

    user: str
    secret: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return basic_authorization(self.user, self.secret)


class Session:
    """Requests to the registry at `address`, a URL without a slash at its end; one at a time."""

    def __init__(self, address: str, credentials: Credentials | None, context: ssl.SSLContext | None) -> None:
        self.address = address
        self._credentials = credentials
        self._context = context
        self._authorization = ""
        self._resource = ""
        self._actions: set[str] = set()

    def ask(self, method: str, target: str, *, most_bytes: int, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a request for `target`, a path with its query; logs in where that is asked for.

        Raises:
            InventoryError: there is no answer, or the login fails.
        """
        url = self.address + target
        answer = self._patiently(method, url, most_bytes, headers or {})
        if answer.status == UNAUTHORIZED:
            challenges = [parse_challenge(each) for each in answer.headers.getlist("WWW-Authenticate") or ()]
            if self._log_in(dict(challenges)):
                answer = self._patiently(method, url, most_bytes, headers or {})
        return answer

    def _patiently(self, method: str, url: str, most_bytes: int, headers: Mapping[str, str]) -> Answer:
        """Return the answer; one that says to come back later is waited for, a few times."""
        for _ in range(_TRIES - 1):
            answer = self._exchange(method, url, most_bytes, {**headers, **self._own_header()})
            seconds = answer.headers.get("Retry-After", "")
            if answer.status not in _LATER or not (seconds.isascii() and seconds.isdigit()):
                return answer
            time.sleep(min(int(seconds[:9]), _LONGEST_WAIT_SECONDS))
        return self._exchange(method, url, most_bytes, {**headers, **self._own_header()})

    def _own_header(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _exchange(
        self, method: str, url: str, most_bytes: int, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        try:
            return exchange(
                method,
                url,
                most_bytes=most_bytes,
                timeout_seconds=TIMEOUT_SECONDS,
                headers=headers,
                body=body,
                context=self._context,
            )
        except FetchError as error:
            host = urlsplit(url).netloc
            raise InventoryError(f"{host}: {_shown(str(error))}") from error

    def _log_in(self, challenges: Mapping[str, Mapping[str, str]]) -> bool:
        """Prepare what one of `challenges` asks for; tell whether there is anything that was not tried before."""
        if "bearer" in challenges:
            self._authorization = f"Bearer {self._token(challenges['bearer'])}"
            return True
        if "basic" not in challenges or self._credentials is None or not self._credentials.user:
            return False
        before, self._authorization = self._authorization, self._credentials.basic
        return before != self._authorization

    def _token(self, challenge: Mapping[str, str]) -> str:
        realm = urljoin(self.address + "/", challenge.get("realm", ""))
        if self.address.startswith("https:") and not realm.startswith("https:"):
            raise InventoryError(f"the token service {_shown(realm)} is not HTTPS: no password is sent there")
        query = {"service": challenge.get("service", ""), "scope": self._widened(challenge.get("scope", ""))}
        separator = "&" if "?" in realm else "?"
        if self._credentials and not self._credentials.user:
            form = {**query, "grant_type": "refresh_token", "refresh_token": self._credentials.secret}
            body = urlencode({**form, "client_id": "registry"}).encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._exchange("POST", realm, _LONGEST_TOKEN, kind, body)
        else:
            headers = {"Authorization": self._credentials.basic} if self._credentials else {}
            answer = self._exchange("GET", f"{realm}{separator}{urlencode(query)}", _LONGEST_TOKEN, headers)
        if answer.status != _OK:
            raise InventoryError(f"the token service {_shown(realm)} answers {explained(answer)}")
        try:
            return token_in(answer.content)
        except ValueError as error:
            raise InventoryError(f"the token service {_shown(realm)} gives no token") from error

    def _widened(self, scope: str) -> str:
        """Return `scope` with what was asked for before on the same repository: one token is to do for all of it."""
        resource, _, actions = scope.rpartition(":")
        if resource != self._resource:
            self._resource, self._actions = resource, set()
        self._actions |= set(actions.split(","))
        return f"{resource}:{','.join(sorted(self._actions))}" if resource else scope


def explained(answer: Answer) -> str:
    """Return status and error of an answer, in one line."""
    text = ""
    try:
        error = json.loads(answer.content)["errors"][0]
        text = f" {error.get('code', '')}: {error.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return f"{answer.status}{_shown(text)}"


def _shown(text: str) -> str:
    return printable(text[:_SHOWN]).rstrip()
