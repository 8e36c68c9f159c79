"""This registry as a client of an identity provider: from a code to a user (OpenID Connect Core 1.0, section 3.1)."""

from __future__ import annotations

import base64
import logging
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from auth.base import ControllerError
from auth.identities.members import Member
from auth.identities.openid.discovery import ProviderConnection, json_object
from auth.identities.openid.settings import EMAIL
from auth.tokens.jws import Expectations, TokenRefusedError, TokenVerifier, facts, shown
from auth.tokens.keysets import RemoteKeys
from auth.tokens.trusted import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from auth.identities.openid.discovery import Metadata
    from auth.identities.openid.settings import Settings

logger = logging.getLogger(__name__)

_ALGORITHMS: Final = frozenset(name for name in ALGORITHMS if not name.startswith("HS"))
_VERIFIED: Final = "email_verified"
_OK: Final = 200
_BAD_REQUEST: Final = 400
_SEEN_SECONDS: Final = 10.0


class LoginRefusedError(Exception):
    """The provider does not say who has come back; the text says why."""


class OpenIdClient:
    """A source of users; see auth.identities.members.Source. It is not asked again: users tell by logging in again."""

    cache_seconds = _SEEN_SECONDS
    record_seconds = 0.0
    is_asked = False

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.grace_seconds = settings.keys_seconds
        self._clock = clock
        self._connection = ProviderConnection(settings)
        keys = RemoteKeys(lambda: self._connection.discovered().jwks_uri, self._connection.get)
        expected = Expectations(settings.issuer, settings.client_id, _ALGORITHMS)
        self._verifier = TokenVerifier(expected, [keys], clock=clock)

    def metadata(self) -> Metadata:
        """Return what the provider says of itself; raises a ControllerError if it does not."""
        return self._connection.metadata()

    def owns(self, member: Member) -> bool:
        """Tell whether `member` is one of its users."""
        return member.owner.startswith(f"{self._owner} ")

    def renewed(self, member: Member, before_waiting: Callable[[], None]) -> Member | None:
        """Return `member`, unless they have not logged in for too long."""
        del before_waiting
        return member if self._clock() - member.told < self.settings.keys_seconds else None

    def redeemed(self, code: str, verifier: str, nonce: str, callback: str) -> Member:
        """Return who has been given `code`, if `verifier` and `nonce` are those of the request that it answers.

        Raises:
            LoginRefusedError: it is not good, or leads to nobody.
            ControllerError: the provider does not answer, or not as it has to.
        """
        answer = self._answer(code, verifier, callback)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ControllerError(f"identity provider {self.settings.name} gives no id_token; ask for the scope openid")
        try:
            claims = self._verifier.verify(token)
        except TokenRefusedError as error:
            raise LoginRefusedError(f"its token is refused: {error}; it says {facts(token)}") from error
        if claims.get("nonce") != nonce:
            raise LoginRefusedError("its token answers another request")
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise LoginRefusedError("its token was given to another client")
        told = self._userinfo(claims, answer.get("access_token"))
        if EMAIL in claims and told.get(EMAIL) != claims[EMAIL]:  # it is another one that is verified, or not
            told = {name: value for name, value in told.items() if name != _VERIFIED}
        return self._member({**told, **claims})

    def _answer(self, code: str, verifier: str, callback: str) -> Mapping[str, object]:
        settings, metadata = self.settings, self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            secret = settings.client_secret()
            if secret and not metadata.takes_secret_in_form:
                headers["Authorization"] = _basic(settings.client_id, secret)
            else:
                form |= {"client_id": settings.client_id} | ({"client_secret": secret} if secret else {})
            answer = self._connection.exchange("POST", metadata.token_endpoint, headers, urlencode(form).encode())
            document = json_object(answer.content)
        except (OSError, ValueError) as error:
            raise ControllerError(f"identity provider {settings.name}: {error}") from error
        if answer.status == _OK:
            return document
        told = f"{metadata.token_endpoint} answers {answer.status}: {_error(document)}"
        # What the browser has brought is wrong, used up or too old; all else is between the two servers.
        if answer.status == _BAD_REQUEST and document.get("error") == "invalid_grant":
            raise LoginRefusedError(told)
        raise ControllerError(f"identity provider {settings.name}: {told}")

    def _userinfo(self, claims: Mapping[str, object], access_token: object) -> Mapping[str, object]:
        """Return what the provider tells of the user where its token does not say all that is to be known."""
        settings, url = self.settings, self.metadata().userinfo_endpoint
        wanted = {settings.user_claim, *((settings.groups_claim,) if settings.local_groups else ())}
        if settings.wants_verified_email:
            wanted.add(_VERIFIED)
        if wanted <= claims.keys() or not url or not isinstance(access_token, str):
            return {}
        try:
            document = json_object(self._connection.get(url, {"Authorization": f"Bearer {access_token}"}))
        except (OSError, ValueError) as error:
            raise ControllerError(f"identity provider {settings.name}: {error}") from error
        if document.get("sub") != claims.get("sub"):
            raise LoginRefusedError(f"{url} speaks of somebody else than its token does")
        return document

    def _member(self, claims: Mapping[str, object]) -> Member:
        settings = self.settings
        subject, user = claims.get("sub"), claims.get(settings.user_claim)
        if not isinstance(subject, str) or not subject:
            raise LoginRefusedError("it does not say whose its token is")
        if not isinstance(user, str) or not user:
            raise LoginRefusedError(f"it tells no {settings.user_claim} of {shown(subject)}; it tells {sorted(claims)}")
        if settings.user_claim == EMAIL:
            self._check_email(user, claims.get(_VERIFIED))
        groups = claims.get(settings.groups_claim)
        if settings.local_groups and not isinstance(groups, list):
            logger.warning("identity provider %s tells no %s of %r", settings.name, settings.groups_claim, user)
        told = groups if isinstance(groups, list) else []
        local = {
            settings.local_groups[each] for each in told if isinstance(each, str) and each in settings.local_groups
        }
        return Member(user, f"{self._owner} {subject}", "", frozenset(local), self._clock())

    def _check_email(self, email: str, verified: object) -> None:
        said = str(verified).lower()  # some providers say it as text
        if said == "true" or (verified is None and not self.settings.wants_verified_email):
            return
        if verified is None:
            told = f"whether the email {shown(email)} is verified is not told; see claims.user and unverifiedemail"
            raise LoginRefusedError(told)
        raise LoginRefusedError(f"the email {shown(email)} is not verified there")

    @property
    def _owner(self) -> str:
        return f"oidc:{self.settings.name} {self.settings.issuer}"


def _basic(client_id: str, secret: str) -> str:
    # RFC 6749 section 2.3.1: both are encoded as in a form first.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _error(document: Mapping[str, object]) -> str:
    return " ".join(shown(document[name]) for name in ("error", "error_description") if name in document)
