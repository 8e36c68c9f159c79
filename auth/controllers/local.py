"""Rules for users and repositories, and the token service that goes with them (``auth: local``)."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from auth.base import MAINTENANCE, Access, AccessController, DeniedError, Grant, Records, Request, UnauthorizedError
from auth.headers import basic_credentials, bearer_challenge, bearer_token, merged_scope
from auth.identities.accounts import Accounts, Identity
from auth.identities.apikeys import ApiKeys
from auth.identities.key_file import KeyFile
from auth.identities.key_records import KEPT_IN_STORAGE, KeyRecords
from auth.identities.logouts import Logouts
from auth.identities.own_keys import OwnKeys
from auth.identities.passwords import PasswordFile
from auth.identities.sign_in import PasswordSignIn
from auth.identities.throttle import FailureThrottle
from auth.identities.workload import parse_ci_services
from auth.rules.policy import policy_source
from auth.rules.ruleset import ANONYMOUS
from auth.tokens.access_claim import covers
from auth.tokens.jws import TokenRefusedError, facts
from auth.tokens.signing import SigningKeys
from auth.tokenservice.issuer import AccessToken, Lifetimes, TokenIssuer
from auth.tokenservice.logins import Logins
from auth.tokenservice.service import LocalTokenService
from registry.foundation.files import FileError, is_something_else
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auth.identities.apikeys import Place
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
        accounts: Accounts,
        policy: Callable[[], Policy],
        issuer: TokenIssuer,
        endpoint: LocalTokenService,
        realm: str = "",
    ) -> None:
        self.token_service = self._endpoint = endpoint
        self._accounts = accounts
        self._policy = policy
        self._issuer = issuer
        self._realm = realm
        self._logouts = Logouts()
        self.sign_in = PasswordSignIn(accounts, self._logouts) if accounts.have_passwords else None
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
        accounts, policy = _accounts(section), policy_source(parameters)
        issuer = TokenIssuer(service, _signing_keys(section, open_keys), lifetimes)
        logins = open_logins(logins_directory(section))
        endpoint = LocalTokenService(path, service, accounts, policy, issuer, logins)
        return cls(accounts, policy, issuer, endpoint, realm)

    def share(self, proven: SharedSet) -> None:
        self._accounts.share(proven)

    def keep(self, records: Records) -> None:
        self._accounts.keep(records)
        self._logouts.keep(records)

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
        grant = Grant(brought.identity.user, brought.identity.proof)
        if not all(covers(set(brought.granted), access) for access in accesses):
            raise self._challenge(request, accesses, "insufficient_scope", grant)
        return grant

    def lists(self, grant: Grant, repository: str) -> bool:
        return not self._refusal(grant, Access("repository", repository, "pull"))

    def judge(self, grant: Grant, accesses: Sequence[Access]) -> None:
        for access in accesses:
            refusal = self._refusal(grant, access)
            if refusal:
                logger.info("denied: %s", refusal)
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
        if not self._accounts.stands(brought.identity.user, brought.identity.proof):
            logger.warning("token of %r refused: the login is void", brought.identity.user)
            raise self._challenge(request, accesses, "invalid_token")
        return brought

    def _check_rules(self, identity: Identity, request: Request, accesses: Sequence[Access]) -> None:
        grant = Grant(identity.user, identity.proof)
        if identity.user:
            self.judge(grant, accesses)
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


def _accounts(section: Parameters) -> Accounts:
    htpasswd = section.string("htpasswd")
    if htpasswd and not os.path.isfile(htpasswd):  # noqa: PTH113  a name that is too long is no error of its own
        reason = f"{htpasswd} does not exist or is not a file; create it with `registry htpasswd`"
        raise section.error("htpasswd", reason)
    passwords = PasswordFile(htpasswd, FailureThrottle()) if htpasswd else None
    has_password = passwords.has if passwords else lambda _: False
    ci_services = parse_ci_services(section.value("oidc"))
    place = _place(section)
    if place is None:
        return Accounts(passwords, None, ci_services)
    keys = ApiKeys(place, has_password)
    if isinstance(place, KeyFile):
        keys.bind_all()
    own_keys = OwnKeys(place, has_password, _lifetime(section, "apikeylifetime", 0) or None)
    return Accounts(passwords, keys, ci_services, own_keys)


def _place(section: Parameters) -> Place | None:
    """Return where API keys are kept; None where there are none."""
    path = section.string("apikeys")
    if path == KEPT_IN_STORAGE:
        return KeyRecords()
    if is_something_else(path):
        raise section.error("apikeys", f"{path} is not a regular file")
    return KeyFile(path) if path else None


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
