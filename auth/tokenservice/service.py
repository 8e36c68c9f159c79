"""The built-in token service: credentials in, tokens out (distribution's token and OAuth2 specifications)."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auth.base import MAINTENANCE, Access, Issued, Request, TokenRequestError, UnauthorizedError
from auth.headers import Credentials, basic_challenge, basic_credentials
from auth.identities.accounts import Identity
from auth.tokens.jws import TokenRefusedError, facts
from auth.tokens.scopes import Scope, parse_scopes
from auth.tokenservice.logins import LoginRevokedError, keeps_its_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auth.identities.accounts import Accounts
    from auth.rules.ruleset import Policy
    from auth.tokenservice.issuer import TokenIssuer
    from auth.tokenservice.logins import Logins

logger = logging.getLogger(__name__)

_ASKED = ("pull", "push", "delete")
"""What tokens speak of. Overwriting is a push to every client, and is judged when it happens."""


class LocalTokenService:
    """Gives out tokens with exactly the scopes that were asked for and that the rules grant."""

    def __init__(  # noqa: PLR0913, PLR0917  one for each of its parts, and it is built in one place
        self,
        path: str,
        service: str,
        accounts: Accounts,
        policy: Callable[[], Policy],
        issuer: TokenIssuer,
        logins: Logins,
    ) -> None:
        self.path = path
        self.service = service
        self._accounts = accounts
        self._policy = policy
        self._issuer = issuer
        self._logins = logins

    def issue(self, request: Request, fields: Mapping[str, Sequence[str]]) -> Issued:
        """Answer ``GET``: credentials in a Basic header, or none for an anonymous token."""
        self._check_service(fields)
        identity = Identity()
        if request.authorization is not None:
            identity = self._log_in(basic_credentials(request.authorization), request)
        token, issued, lifetime = self._issuer.access_token(identity, self._granted(identity, fields))
        answer = _answer(token, issued, lifetime)
        answer["token"] = token
        if identity.user and _only(fields, "offline_token") == "true":
            answer["refresh_token"] = self._begin_login(identity, request, fields)
        return Issued(answer, identity.user)

    def exchange(self, request: Request, fields: Mapping[str, Sequence[str]]) -> Issued:
        """Answer ``POST``: a password or a refresh token in the form."""
        self._check_service(fields)
        kind = _only(fields, "grant_type")
        refresh = ""
        if kind == "password":
            password = _only(fields, "password").encode(errors="surrogatepass")
            identity = self._log_in(Credentials(_only(fields, "username"), password), request)
        elif kind == "refresh_token":
            identity, refresh = self._refreshed(request, fields)
        else:
            raise TokenRequestError("unsupported_grant_type", "grant_type must be password or refresh_token")
        scopes = self._granted(identity, fields)
        answer = _answer(*self._issuer.access_token(identity, scopes))
        answer["scope"] = " ".join(map(str, scopes))
        if kind == "refresh_token":
            answer["refresh_token"] = refresh
        elif _only(fields, "access_type") == "offline":
            answer["refresh_token"] = self._begin_login(identity, request, fields)
        return Issued(answer, identity.user)

    def _begin_login(self, identity: Identity, request: Request, fields: Mapping[str, Sequence[str]]) -> str:
        client = _only(fields, "client_id")
        token = self._issuer.new_login(identity, rotates=self._logins.recorded and not keeps_its_token(client))
        self._logins.begin(token, client, request.remote_address)
        return self._issuer.refresh_token(identity, token)

    def _log_in(self, credentials: Credentials | None, request: Request) -> Identity:
        identity = credentials and self._accounts.identify(credentials, request)
        if not identity:
            raise self._unauthorized()
        return identity

    def _refreshed(self, request: Request, fields: Mapping[str, Sequence[str]]) -> tuple[Identity, str]:
        """Return who logged in, and with which refresh token the client is to go on."""
        token, client = _only(fields, "refresh_token"), _only(fields, "client_id")
        try:
            identity, brought = self._issuer.read_refresh(token)
        except TokenRefusedError as error:
            logger.warning("refresh token from %s refused: %s; %s", request.remote_address, error, facts(token))
            raise self._unauthorized() from error
        if not self._accounts.stands(identity.user, identity.proof, request.before_waiting):
            logger.warning("refresh token from %s refused: the login is void", request.remote_address)
            raise self._unauthorized()
        try:
            self._logins.use(brought, client, request.remote_address)
        except LoginRevokedError as error:
            logger.warning("refresh token of %r from %s refused: %s", identity.user, request.remote_address, error)
            raise self._unauthorized() from error
        if not brought.rotates or keeps_its_token(client):
            return identity, token
        return identity, self._issuer.refresh_token(identity, replace(brought, generation=brought.generation + 1))

    def _granted(self, identity: Identity, fields: Mapping[str, Sequence[str]]) -> list[Scope]:
        try:
            asked = parse_scopes(fields.get("scope", ()))
        except ValueError as error:
            raise TokenRequestError("invalid_scope", str(error)) from error
        granted = (self._limited(identity, scope) for scope in asked)
        return [scope for scope in granted if scope.actions]

    def _limited(self, identity: Identity, scope: Scope) -> Scope:
        if scope.type == "repository":
            wanted = _ASKED if "*" in scope.actions else scope.actions
            actions = [action for action in _ASKED if action in wanted and self._may(identity, scope.name, action)]
            return Scope(scope.type, scope.name, tuple(actions))
        # Everybody may ask for the catalog: it shows each caller what they may pull.
        if (scope.type, scope.name) == ("registry", "catalog") and "*" in scope.actions:
            return Scope(scope.type, scope.name, ("*",))
        if (scope.type, scope.name) == ("registry", MAINTENANCE) and "*" in scope.actions:
            access = Access(scope.type, scope.name, "*")
            maintains = self._policy().maintains(identity.user) and self._permits(identity, access)
            return Scope(scope.type, scope.name, ("*",) if maintains else ())
        return Scope(scope.type, scope.name, ())

    def _may(self, identity: Identity, repository: str, action: str) -> bool:
        allowed = self._policy().decide(identity.user, repository, action).allowed
        return allowed and self._permits(identity, Access("repository", repository, action))

    def _permits(self, identity: Identity, access: Access) -> bool:
        return self._accounts.permits(identity.user, identity.proof, access)

    def _check_service(self, fields: Mapping[str, Sequence[str]]) -> None:
        if _only(fields, "service") not in {"", self.service}:
            raise TokenRequestError("invalid_request", f"this is the token service of {self.service!r}")

    def _unauthorized(self) -> UnauthorizedError:
        return UnauthorizedError(basic_challenge(self.service), ())


def _answer(token: str, issued: int, lifetime: int) -> dict[str, object]:
    moment = datetime.fromtimestamp(issued, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"access_token": token, "expires_in": lifetime, "issued_at": moment}


def _only(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name) or [""]
    if len(values) > 1:
        raise TokenRequestError("invalid_request", f"{name} is given more than once")
    return values[0]
