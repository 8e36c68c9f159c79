"""Rules for users and repositories, and the token service that goes with them (``auth: local``)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from auth.base import MAINTENANCE, Access, AccessController, DeniedError, Grant, Records, Request, UnauthorizedError
from auth.controllers.elsewhere import groups_elsewhere
from auth.controllers.local_accounts import everybody
from auth.headers import basic_credentials, bearer_challenge, bearer_token, merged_scope
from auth.identities.sign_in import PasswordSignIn
from auth.rules.policy import policy_source
from auth.rules.ruleset import ANONYMOUS
from auth.tokens.access_claim import covers
from auth.tokens.jws import TokenRefusedError, facts
from auth.tokens.signing import SigningKeys
from auth.tokenservice.issuer import AccessToken, Lifetimes, TokenIssuer
from auth.tokenservice.logins import Logins
from auth.tokenservice.service import LocalTokenService
from registry.foundation.files import FileError
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auth.controllers.local_accounts import Everybody
    from auth.identities.accounts import Identity
    from auth.rules.ruleset import Decision, Policy
    from registry.foundation.shared_set import SharedSet

logger = logging.getLogger(__name__)

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


class LocalController(AccessController):
    """Judges every request by the rules as they are now.

    A token says who the caller is and narrows down what this request may do; it never allows what the rules
    do not. So a changed rule, a changed password and a revoked key hold at once, not when tokens expire.
    """

    name = "local"
    no_pages = ""

    def __init__(
        self,
        people: Everybody,
        policy: Callable[[], Policy],
        issuer: TokenIssuer,
        endpoint: LocalTokenService,
        realm: str = "",
    ) -> None:
        self.token_service = self._endpoint = endpoint
        self._accounts = accounts = people.accounts
        self._policy = policy
        self._issuer = issuer
        self._realm = realm
        self.sign_in: PasswordSignIn | None = None
        if accounts.have_passwords or people.providers:
            takes_passwords = accounts.have_passwords
            self.sign_in = PasswordSignIn(accounts, people.providers, takes_passwords=takes_passwords)
        self.keys = accounts.own_keys

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        return cls._built(parameters, SigningKeys.open, Logins.open)

    @classmethod
    def examined(cls, parameters: Mapping[str, object]) -> Self:
        return cls._built(parameters, SigningKeys.examined, Logins.examined)

    @classmethod
    def _built(
        cls,
        parameters: Mapping[str, object],
        open_keys: Callable[[str], SigningKeys],
        open_logins: Callable[[str], Logins],
    ) -> Self:
        section = Parameters(parameters)
        service, realm = section.string("service", "registry"), section.string("realm")
        path = section.string("tokenpath", "/auth/token")
        if not _PATH.fullmatch(path) or path.startswith("/v2"):
            raise section.error("tokenpath", "must be the path of a URL that begins with a slash and not with /v2")
        lifetimes = Lifetimes(
            access_seconds=_lifetime(section, "tokenlifetime", Lifetimes().access_seconds),
            refresh_seconds=_lifetime(section, "refreshlifetime", Lifetimes().refresh_seconds),
        )
        people = everybody(section)
        policy = policy_source(parameters, groups_elsewhere(parameters, people.accounts.groups_of))
        issuer = TokenIssuer(service, _signing_keys(section, open_keys), lifetimes)
        logins = open_logins(logins_directory(section))
        endpoint = LocalTokenService(path, service, people.accounts, policy, issuer, logins)
        return cls(people, policy, issuer, endpoint, realm)

    def share(self, proven: SharedSet) -> None:
        self._accounts.share(proven)

    def keep(self, records: Records) -> None:
        self._accounts.keep(records)
        if self.sign_in is not None:
            self.sign_in.keep(records)

    def authorize(self, request: Request, accesses: Sequence[Access]) -> Grant:
        if request.authorization is None:
            return self._authorize_stranger(request, accesses)
        token = bearer_token(request.authorization)
        if token is None:
            identity = self._log_in(request, accesses)
            self._check_rules(identity, request, accesses)
            return Grant(identity.user, identity.proof)
        brought = self._read(token, request, accesses)
        self._check_rules(brought.identity, request, accesses)
        grant = Grant(brought.identity.user, brought.identity.proof, by_token=True)
        if not all(covers(set(brought.granted), access) for access in accesses):
            raise self._challenge(request, accesses, "insufficient_scope", grant)
        return grant

    def lists(self, grant: Grant, repository: str) -> bool:
        return not self._refusal(grant, Access("repository", repository, "pull"))

    def judge(self, grant: Grant, accesses: Sequence[Access]) -> None:
        for access in accesses:
            refusal = self._refusal(grant, access)
            if refusal:
                raise DeniedError(refusal, grant.user)

    def explain(self, grant: Grant, access: Access) -> str:
        refusal = self._refusal(grant, access)
        if refusal:
            return refusal
        if access.type == "repository":
            return str(self._decide(grant.user, access))
        if access.name == MAINTENANCE:
            return f"{grant.user} is one of the maintainers of this registry"
        return super().explain(grant, access)

    def _authorize_stranger(self, request: Request, accesses: Sequence[Access]) -> Grant:
        # A client sends its credentials only after a challenge. So without credentials it may do at once only what
        # would be answered alike with them: neither GET /v2/ nor a listing, which depend on who asks.
        if not accesses or any(access.type != "repository" for access in accesses):
            raise self._challenge(request, accesses)
        if not all(self._decide("", access).allowed for access in accesses):
            raise self._challenge(request, accesses)
        return Grant()

    def _log_in(self, request: Request, accesses: Sequence[Access]) -> Identity:
        credentials = basic_credentials(request.authorization)
        identity = credentials and self._accounts.identify(credentials, request)
        if not identity:
            raise self._challenge(request, accesses)
        return identity

    def _read(self, token: str, request: Request, accesses: Sequence[Access]) -> AccessToken:
        try:
            brought = self._issuer.read_access(token)
        except TokenRefusedError as error:
            logger.warning("token from %s refused: %s; %s", request.remote_address, error, facts(token))
            raise self._challenge(request, accesses, "invalid_token") from error
        if not self._accounts.stands(brought.identity.user, brought.identity.proof, request.before_waiting):
            logger.warning("token of %r refused: the login is void", brought.identity.user)
            raise self._challenge(request, accesses, "invalid_token")
        return brought

    def _check_rules(self, identity: Identity, request: Request, accesses: Sequence[Access]) -> None:
        grant = Grant(identity.user, identity.proof)
        if identity.user:
            try:
                self.judge(grant, accesses)
            except DeniedError as error:
                logger.info("denied: %s", error)
                raise
        elif any(self._refusal(grant, access) for access in accesses):
            raise self._challenge(request, accesses, "insufficient_scope", grant)

    def _refusal(self, grant: Grant, access: Access) -> str:
        """Return why `grant` may not do `access`, which names the rule; "" if it may."""
        refusal = self._refusal_of_rules(grant.user, access)
        if refusal or self._accounts.permits(grant.user, grant.proof, access):
            return refusal
        return f"{grant.user} may not {access.action} {access.name} with this API key, which is limited"

    def _refusal_of_rules(self, user: str, access: Access) -> str:
        if access.type == "repository":
            decision = self._decide(user, access)
            return "" if decision.allowed else str(decision)
        # Everybody may ask for the catalog: it shows each caller what they may pull.
        if access.name != MAINTENANCE or self._policy().maintains(user):
            return ""
        return f"{user or ANONYMOUS} is not one of the maintainers of this registry"

    def _decide(self, user: str, access: Access) -> Decision:
        policy = self._policy()
        if access.action == "untag":
            return policy.decide_untag(user, access.name)
        return policy.decide(user, access.name, access.action)

    def _challenge(
        self, request: Request, accesses: Sequence[Access], error: str = "", grant: Grant | None = None
    ) -> UnauthorizedError:
        realm = self._realm or request.base_url + self._endpoint.path
        challenge = bearer_challenge(realm, self._endpoint.service, merged_scope(accesses), error)
        return UnauthorizedError(challenge, accesses, grant)


def _lifetime(section: Parameters, name: str, default: int) -> int:
    return int(section.seconds(name, default, minimum=1, bare_unit="s"))


def logins_directory(section: Parameters) -> str:
    """Return where the logins of ``auth.local`` are recorded.

    Raises:
        ParameterError: neither that nor the signing key beside which it would be is given.
    """
    return section.string("refreshtokens") or str(Path(_key_path(section)).with_name("refresh-tokens"))


def _key_path(section: Parameters) -> str:
    htpasswd = section.string("htpasswd")
    path = section.string("key", str(Path(htpasswd).with_name("token-key.pem")) if htpasswd else "")
    if not path:
        raise section.error("key", "is missing: a file for the signing key, which is created if need be")
    return path


def _signing_keys(section: Parameters, open_keys: Callable[[str], SigningKeys]) -> SigningKeys:
    path = _key_path(section)
    try:
        return open_keys(path)
    except (OSError, FileError) as error:
        reason = reason_unreadable(error, path) if isinstance(error, OSError) else error
        raise section.error("key", f"{path} cannot be used, nor created if missing: {reason}") from error
