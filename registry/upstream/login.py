"""The login to an upstream: none, Basic, or tokens of its token service, as its challenge wants it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from registry.foundation.challenges import basic_authorization, parse_challenges
from registry.foundation.http_client import HttpError
from registry.oci.errors import UpstreamFailedError, UpstreamLimitedError, UpstreamRefusedError
from registry.upstream.credentials import CredentialsError
from registry.upstream.limits import retry_seconds
from registry.upstream.realms import Realm, RealmError, allowed_realm
from registry.upstream.streams import failure
from registry.upstream.tokens import Token, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.config.upstreams import Upstream as Settings
    from registry.foundation.challenges import Challenge
    from registry.foundation.http_client import Address, HttpClient, Location, Reply
    from registry.upstream.credentials import Credential, Credentials

_log = logging.getLogger(__name__)

_MOST_BYTES: Final = 1024 * 1024
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_REFUSALS: Final = frozenset({400, 401, 403})
_TOO_MANY: Final = 429
_BEARER: Final = "Bearer "


@dataclass(frozen=True, slots=True)
class _Service:
    """A token service; `home` are the addresses of the upstream that named it."""

    realm: Realm
    service: str
    home: frozenset[Address] | None


class Login:
    """The login to the registry of `settings` at `registry`, for all threads; `http` follows no redirects.

    A challenge is remembered: of the requests behind it, each has its login from the start.
    """

    def __init__(self, settings: Settings, registry: Location, credentials: Credentials, http: HttpClient) -> None:
        self._settings = settings
        self._name = settings.name
        self._registry = registry
        self._credentials = credentials
        self._http = http
        self._tokens = Tokens()
        self._wanted: _Service | str = ""
        self._told = ""

    @property
    def scheme(self) -> str:
        """What is wanted, as far as it is known: "bearer", "basic" or ""."""
        wanted = self._wanted
        return "bearer" if isinstance(wanted, _Service) else wanted

    @property
    def token_service(self) -> str:
        """The host of the token service that is asked, "" if there is none."""
        wanted = self._wanted
        return wanted.realm.location.authority if isinstance(wanted, _Service) else ""

    @property
    def user(self) -> str:
        """Whom the upstream, or its token service, is asked as; "" for nobody, or with a refresh token.

        Raises:
            UpstreamRefusedError: it cannot be had.
        """
        credential = self._credential(self.token_service or self._registry.authority) if self._wanted else None
        return credential.user if credential else ""

    def authorization(self, scope: str) -> str:
        """Return the Authorization header for a request that needs `scope`, "" for none.

        Raises:
            UpstreamError: the token service gives no token.
        """
        wanted = self._wanted
        if isinstance(wanted, _Service):
            return _BEARER + self._tokens.get(scope, lambda: self._token(wanted, scope))
        if not wanted:
            return ""
        credential = self._credential(self._registry.authority)
        return basic_authorization(credential.user, credential.secret) if credential and credential.user else ""

    def answer(self, headers: Iterable[str], scope: str, used: str, home: frozenset[Address]) -> str:
        """Return what to try where a request with the Authorization `used` was answered by 401.

        `headers` are WWW-Authenticate of that answer, which came from one of the addresses `home`.

        Raises:
            UpstreamRefusedError: there is nothing else to try.
            UpstreamError: the token service gives no token.
        """
        self._wanted = self._choice(parse_challenges(headers), home)
        if used.startswith(_BEARER):
            if not self._tokens.drop(scope, used.removeprefix(_BEARER)):
                raise self._refusal()
            self._credentials.renew()
        elif used:
            self._credentials.renew()
        found = self.authorization(scope)
        if found in {used, ""}:
            raise self._refusal()
        return found

    def _choice(self, challenges: list[Challenge], home: frozenset[Address]) -> _Service | str:
        """Return a token service that may be asked, else "basic"."""
        schemes = {challenge.scheme for challenge in challenges}
        for challenge in challenges:
            if challenge.scheme != "bearer":
                continue
            try:
                realm = allowed_realm(challenge.parameters.get("realm", ""), self._registry, self._settings.auth.realms)
            except RealmError as error:
                if self._told != str(error):
                    self._told = str(error)
                    _log.warning("%s: %s", self._name, error)
                if "basic" not in schemes:
                    raise UpstreamRefusedError(f"the token service of {self._name} may not be asked") from error
                continue
            return _Service(realm, challenge.parameters.get("service", ""), None if realm.named else home)
        if "basic" in schemes:
            return "basic"
        raise self._refusal()

    def _credential(self, host: str) -> Credential | None:
        """Return what `host`, the upstream or its token service, is given.

        Raises:
            UpstreamRefusedError: it cannot be had.
        """
        try:
            return self._credentials.current(host)
        except CredentialsError as error:
            # Its text, which the log has, names files and programs: they are not for clients.
            raise UpstreamRefusedError(f"the credentials for {self._name} cannot be had") from error

    def _token(self, service: _Service, scope: str) -> Token:
        """Return a token for `scope`; where the credentials are refused, they are had anew once.

        Raises:
            UpstreamError: there is none.
        """
        host = service.realm.location.authority
        credential = self._credential(host)
        reply = self._ask(service, scope, credential)
        if reply.status == _UNAUTHORIZED:
            self._credentials.renew()
            renewed = self._credential(host)
            if renewed != credential:
                reply = self._ask(service, scope, renewed)
        if reply.status in _REFUSALS:
            raise UpstreamRefusedError(f"the token service of {self._name} refuses access")
        if reply.status == _TOO_MANY:
            seconds = retry_seconds(reply.headers)
            raise UpstreamLimitedError(f"the token service of {self._name} limits requests", retry_seconds=seconds)
        if reply.status != _OK:
            raise UpstreamFailedError(f"the token service of {self._name} answers {reply.status}")
        try:
            return Token.parse(reply.content)
        except ValueError as error:
            raise UpstreamFailedError(f"the token service of {self._name} gives no token") from error

    def _ask(self, service: _Service, scope: str, credential: Credential | None) -> Reply:
        url = service.realm.location.url
        query = {"service": service.service, "scope": scope}
        query = {name: value for name, value in query.items() if value}
        headers: list[tuple[str, str]] = []
        method, body = "GET", None
        if credential and not credential.user:
            form = {**query, "grant_type": "refresh_token", "refresh_token": credential.secret, "client_id": "registry"}
            method, body = "POST", urlencode(form).encode()
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        else:
            if credential:
                query["account"] = credential.user
                headers.append(("Authorization", basic_authorization(credential.user, credential.secret)))
            url += ("&" if "?" in url else "?") + urlencode(query)
        try:
            return self._http.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout_seconds=self._settings.network.answertimeout_seconds,
                most_bytes=_MOST_BYTES,
                home=service.home,
            )
        except HttpError as error:
            raise failure(f"the token service of {self._name}", error) from error

    def _refusal(self) -> UpstreamRefusedError:
        return UpstreamRefusedError(f"{self._name} refuses access")
