"""What the section ``auth.local.login.oidc`` says of each identity provider."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from auth.identities.ldap.settings import NAME, group_map
from registry.foundation.files import read_file
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

EMAIL: Final = "email"
"""The claim with the email of a user."""
_DAY_SECONDS: Final = 86400
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Settings:
    """An identity provider: `issuer` is its URL, `client_id` how it knows this registry.

    `user_claim` and `groups_claim` are what it calls names and groups; `local_groups` leads from its groups to those
    that the rules speak of. What a user has, API keys and rights of groups, lapses `keys_seconds` after a login.
    `takes_unverified_email` is whether an email is a name of which the provider does not say that it is verified.
    """

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret_file: str
    scopes: Sequence[str]
    user_claim: str
    groups_claim: str
    local_groups: Mapping[str, str]
    keys_seconds: float
    cafile: str
    takes_unverified_email: bool

    @property
    def wants_verified_email(self) -> bool:
        """Whether the provider has to say that the name of a user is an email of theirs."""
        return self.user_claim == EMAIL and not self.takes_unverified_email

    def client_secret(self) -> str:
        """Return the secret as it is now, "" if there is none.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not text.
        """
        return read_file(self.client_secret_file).decode().strip() if self.client_secret_file else ""


def parse_providers(section: Parameters) -> list[Settings]:
    """Return the providers that ``login.oidc`` of the section ``auth.local`` describes.

    Raises:
        ParameterError: the section is malformed.
    """
    below = section.section("login")
    entries = below.value("oidc")
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise below.error("oidc", "must be a list of identity providers")
    sections = [Parameters(entry, f"login.oidc[{index}].") for index, entry in enumerate(entries)]
    found = [_provider(each) for each in sections]
    names = [each.name for each in found]
    for index, each in enumerate(sections):
        if names[index] in names[:index]:
            raise each.error("name", f"{names[index]} is the name of another provider, too")
    return found


def _provider(section: Parameters) -> Settings:
    name = section.matching("name", NAME, "1 to 64 lower-case letters, digits and hyphens")
    claims = section.section("claims")
    settings = Settings(
        name,
        section.string("label", name),
        _issuer(section),
        section.required_string("clientid"),
        section.string("clientsecretfile"),
        _scopes(section),
        claims.string("user", EMAIL),
        claims.string("groups", "groups"),
        group_map(section),
        section.seconds("keys", 90 * _DAY_SECONDS, minimum=60),
        section.string("cafile"),
        section.truth("unverifiedemail", default=False),
    )
    _check_files(section, settings)
    return settings


def _issuer(section: Parameters) -> str:
    issuer = section.required_string("issuer")
    section.url("issuer")
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in _HERE:
        raise section.error("issuer", f"must be https://HOST[:PORT][/PATH], not {issuer!r}")
    return issuer


def _scopes(section: Parameters) -> list[str]:
    scopes = section.strings("scopes") or ["openid", "profile", "email"]
    if "openid" not in scopes:
        raise section.error("scopes", "must have openid among them")
    return scopes


def _check_files(section: Parameters, settings: Settings) -> None:
    try:
        settings.client_secret()
    except (OSError, ValueError) as error:
        path = settings.client_secret_file
        reason = reason_unreadable(error, path) if isinstance(error, OSError) else "not text"
        raise section.error("clientsecretfile", f"{path}: {reason}") from error
    if settings.cafile:
        try:
            ssl.create_default_context(cafile=settings.cafile)
        except ssl.SSLError:
            raise section.error("cafile", f"{settings.cafile} holds no certificates in PEM") from None
        except OSError as error:
            raise section.error("cafile", f"{settings.cafile}: {reason_unreadable(error, settings.cafile)}") from error
