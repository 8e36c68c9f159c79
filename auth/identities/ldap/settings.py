"""What the section ``auth.local.ldap`` says of each directory."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.errors import ParameterError
from registry.foundation.files import read_file
from registry.foundation.parameters import Parameters
from registry.foundation.unreadable import reason_unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
"""How what people log in at is called, in the configuration and in records."""

_SERVER: Final = re.compile(r"(ldaps?://[^/?#@\s]+|ldapi://[^/?#\s]+)/?")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9;-]*")


@dataclass(frozen=True, slots=True)
class Users:
    """Where users are: below `base` those that `filter` finds; their names are in the attribute `name`."""

    base: str
    filter: str
    name: str


@dataclass(frozen=True, slots=True)
class Groups:
    """Where groups are: below `base` those that `filter` finds; their names are in the attribute `name`.

    With `nested`, members of a group are members of the groups that this group is a member of, too.
    """

    base: str
    filter: str
    name: str
    nested: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """A directory. Its `servers` are asked in their order; `cafile` is the path of a bundle.

    `local_groups` leads from the names of its groups, in lower case, to those that the rules speak of.
    """

    name: str
    servers: Sequence[str]
    cafile: str
    binddn: str
    bindpasswordfile: str
    users: Users
    groups: Groups | None
    local_groups: Mapping[str, str]
    cache_seconds: float
    grace_seconds: float
    timeout_seconds: float

    def bind_password(self) -> bytes:
        """Return the password of `binddn` as it is now, b"" if there is none.

        Raises:
            OSError: it cannot be read.
        """
        return read_file(self.bindpasswordfile).rstrip(b"\r\n") if self.bindpasswordfile else b""


def parse_directories(entries: object) -> list[Settings]:
    """Return the directories that ``ldap`` describes.

    Raises:
        ParameterError: the section is malformed.
    """
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ParameterError("ldap: must be a list of directories")
    sections = [Parameters(entry, f"ldap[{index}].") for index, entry in enumerate(entries)]
    found = [_directory(section) for section in sections]
    names = [each.name for each in found]
    for index, section in enumerate(sections):
        if names[index] in names[:index]:
            raise section.error("name", f"{names[index]} is the name of another directory, too")
    return found


def _directory(section: Parameters) -> Settings:
    name = section.matching("name", NAME, "1 to 64 lower-case letters, digits and hyphens")
    binddn, secret = section.string("binddn"), section.string("bindpasswordfile")
    if bool(binddn) != bool(secret):
        missing = "bindpasswordfile" if binddn else "binddn"
        raise section.error(missing, "is missing: binddn and bindpasswordfile go together")
    settings = Settings(
        name,
        _servers(section),
        section.string("cafile"),
        binddn,
        secret,
        _users(section.section("users")),
        _groups(section.section("groups")) if section.value("groups") is not None else None,
        {group.lower(): local for group, local in group_map(section).items()},
        section.seconds("cache", 60, minimum=1),
        section.seconds("grace", 3600),
        section.seconds("timeout", 5, minimum=0.1),
    )
    if settings.local_groups and settings.groups is None:
        raise section.error("map", "leads to nothing without groups")
    _check_files(section, settings)
    return settings


def _servers(section: Parameters) -> list[str]:
    servers = section.strings("servers")
    if not servers:
        raise section.error("servers", "is missing: a list such as [ldaps://ldap1.example, ldaps://ldap2.example]")
    for server in servers:
        if not _SERVER.fullmatch(server):
            raise section.error(
                "servers", f"must be ldaps://HOST[:PORT], ldap://HOST[:PORT] or ldapi://, not {server!r}"
            )
    return servers


def _users(section: Parameters) -> Users:
    users = Users(section.required_string("base"), _filter(section, "{user}"), _attribute(section, "uid"))
    if "{dn}" in users.filter:
        raise section.error("filter", "cannot have {dn}, which is not known before the user is found")
    return users


def _groups(section: Parameters) -> Groups:
    nested = section.truth("nested", default=False)
    found = _filter(section, "{dn}", *(() if nested else ("{user}",)))
    return Groups(section.required_string("base"), found, _attribute(section, "cn"), nested)


def _filter(section: Parameters, *placeholders: str) -> str:
    text = section.required_string("filter")
    if not any(placeholder in text for placeholder in placeholders):
        raise section.error("filter", f"must have {' or '.join(placeholders)} in it, not be {text!r}")
    if not (text.startswith("(") and text.endswith(")") and text.count("(") == text.count(")")):
        raise section.error("filter", f"must be a filter in parentheses (RFC 4515), not {text!r}")
    return text


def _attribute(section: Parameters, default: str) -> str:
    name = section.string("name", default)
    if not _ATTRIBUTE.fullmatch(name):
        raise section.error("name", f"must be the name of an attribute, not {name!r}")
    return name


def group_map(section: Parameters) -> dict[str, str]:
    """Return ``map``, which leads from the names of groups elsewhere to those of groups here.

    Raises:
        ParameterError: it is malformed.
    """
    found = section.mapping("map")
    for group, local in found.items():
        if not isinstance(group, str) or not isinstance(local, str) or not local:
            raise section.error("map", f"must lead from names to names, and {group!r} leads to {local!r}; quote it")
    return {group: str(local) for group, local in found.items()}


def _check_files(section: Parameters, settings: Settings) -> None:
    try:
        settings.bind_password()
    except OSError as error:
        reason = reason_unreadable(error, settings.bindpasswordfile)
        raise section.error("bindpasswordfile", f"{settings.bindpasswordfile}: {reason}") from error
    if settings.cafile:
        try:
            ssl.create_default_context(cafile=settings.cafile)
        except ssl.SSLError:
            raise section.error("cafile", f"{settings.cafile} holds no certificates in PEM") from None
        except OSError as error:
            raise section.error("cafile", f"{settings.cafile}: {reason_unreadable(error, settings.cafile)}") from error
