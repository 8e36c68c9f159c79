"""CI identity: the token that a CI service gives its job (OpenID Connect) is taken for a password.

So no secret needs to be stored at the CI service.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.tokens.jws import Expectations, TokenRefusedError, TokenVerifier, facts, shown, unverified
from auth.tokens.keysets import FileKeys, KeySource, RemoteKeys, fetched
from auth.tokens.trusted import ALGORITHMS, parse_jwks
from registry.foundation.errors import ParameterError
from registry.foundation.files import FileError, WatchedFile
from registry.foundation.parameters import Parameters
from registry.foundation.wildcards import wildcards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_ALGORITHMS = frozenset(name for name in ALGORITHMS if not name.startswith("HS"))


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """A job whose claims match all of `claims` logs in as `user`; a ``*`` stands for any text."""

    user: str
    claims: Mapping[str, str]

    def matches(self, claims: Mapping[str, object]) -> bool:
        """Tell whether `claims` of a verified token are those of the rule."""
        return all(_matches(pattern, claims.get(name)) for name, pattern in self.claims.items())


class CIService:
    """A CI service, and the users that the tokens of its jobs log in."""

    def __init__(self, verifier: TokenVerifier, rules: Sequence[ClaimRule]) -> None:
        self._verifier = verifier
        self._rules = rules
        self.users = frozenset(rule.user for rule in rules)
        """Whom its jobs may be."""

    @property
    def issuer(self) -> str:
        """The issuer, as its tokens spell it."""
        return self._verifier.expected.issuer

    def user_of(self, token: str) -> str | None:
        """Return whom `token` logs in, or None, with a line in the log that says why not."""
        try:
            claims = self._verifier.verify(token)
        except TokenRefusedError as error:
            expected, ids = self._verifier.expected, self._verifier.known_ids()
            accepted = f"iss={expected.issuer!r} aud={expected.audience!r} kid={ids}"
            logger.warning("CI token refused: %s; it says %s; accepted are %s", error, facts(token), accepted)
            return None
        for rule in self._rules:
            if rule.matches(claims):
                return rule.user
        names = sorted({name for rule in self._rules for name in rule.claims})
        considered = {name: shown(claims.get(name)) for name in names}
        logger.warning("CI token of %s refused: no rule matches its claims %s", self.issuer, considered)
        return None


class CIServices:
    """The CI services whose tokens are taken for a password."""

    def __init__(self, services: Sequence[CIService]) -> None:
        self._by_issuer = {service.issuer: service for service in services}

    def of(self, token: str) -> CIService | None:
        """Return the CI service that `token` claims to be from, None if it is not a token or from elsewhere."""
        try:
            _, claims = unverified(token)
        except TokenRefusedError:
            return None
        issuer = claims.get("iss")
        return self._by_issuer.get(issuer) if isinstance(issuer, str) else None

    def may_be(self, user: str) -> bool:
        """Tell whether tokens of any of them may log in `user`."""
        return any(user in service.users for service in self._by_issuer.values())

    def logs_in(self, issuer: str, user: str) -> bool:
        """Tell whether tokens of `issuer` are accepted and may log in `user`."""
        service = self._by_issuer.get(issuer)
        return service is not None and user in service.users


def parse_ci_services(
    entries: object,
    fetch: Callable[[str], bytes] = fetched,
    clock: Callable[[], float] = time.time,
) -> CIServices:
    """Return the CI services that the ``oidc`` section describes.

    Raises:
        ParameterError: the section is malformed.
    """
    if entries is None:
        return CIServices(())
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ParameterError("oidc: must be a list of CI services")
    sections = [Parameters(entry, f"oidc[{index}].") for index, entry in enumerate(entries)]
    return CIServices([_ci_service(section, fetch, clock) for section in sections])


def _ci_service(section: Parameters, fetch: Callable[[str], bytes], clock: Callable[[], float]) -> CIService:
    issuer, audience = section.required_string("issuer"), section.required_string("audience")
    jwks = section.string("jwks")
    keys: KeySource
    if not jwks or jwks.startswith(("https://", "http://")):
        keys = RemoteKeys(lambda: jwks or _discovered(issuer, fetch), fetch)
    else:
        file = WatchedFile(jwks, parse_jwks)
        try:
            file.require()
        except FileError as error:
            raise section.error("jwks", f"cannot be used: {error}") from error
        keys = FileKeys(file)
    rules = section.value("rules")
    if not isinstance(rules, list) or not rules:
        raise section.error("rules", "must be a list of rules, each with user and claims")
    verifier = TokenVerifier(Expectations(issuer, audience, _ALGORITHMS), [keys], clock=clock)
    return CIService(verifier, [_claim_rule(section, rule) for rule in rules])


def _claim_rule(section: Parameters, entry: object) -> ClaimRule:
    user = entry.get("user") if isinstance(entry, Mapping) else None
    claims = entry.get("claims") if isinstance(entry, Mapping) else None
    # An issuer such as GitHub signs for everybody: a rule without claims would let in all of its customers.
    if not isinstance(user, str) or not user or not isinstance(claims, Mapping) or not claims:
        raise section.error("rules", "must each have a user, and the claims that a token must have")
    if not all(isinstance(pattern, str) for pattern in claims.values()):
        raise section.error("rules", "must give each claim as a string; quote numbers and booleans")
    return ClaimRule(user, {str(name): pattern for name, pattern in claims.items()})


def _discovered(issuer: str, fetch: Callable[[str], bytes]) -> str:
    document = json.loads(fetch(issuer.rstrip("/") + _DISCOVERY))
    address = document.get("jwks_uri") if isinstance(document, dict) else None
    if not isinstance(address, str) or document.get("issuer") != issuer:
        raise ValueError(f"{issuer}: its discovery document is that of another issuer or has no jwks_uri")
    if issuer.startswith("https://") and not address.startswith("https://"):
        raise ValueError(f"{issuer}: its keys are not on https")
    return address


def _matches(pattern: str, value: object) -> bool:
    if isinstance(value, list):
        return any(_matches(pattern, item) for item in value if not isinstance(item, list))
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int):
        return False
    regex = wildcards([re.escape(part) for part in pattern.split("*")], ".")
    return re.fullmatch(regex, str(value), re.DOTALL) is not None
