"""Who can log in to a registry with ``auth: local``, as its section of the configuration says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth.base import ControllerError
from auth.identities.accounts import Accounts
from auth.identities.apikeys import ApiKeys
from auth.identities.key_file import KeyFile
from auth.identities.key_records import KEPT_IN_STORAGE, KeyRecords
from auth.identities.ldap.settings import parse_directories
from auth.identities.members import Members
from auth.identities.openid.client import OpenIdClient
from auth.identities.openid.provider import OpenIdProvider
from auth.identities.openid.settings import parse_providers
from auth.identities.own_keys import OwnKeys
from auth.identities.passwords import PasswordFile
from auth.identities.throttle import FailureThrottle
from auth.identities.workload import parse_ci_services
from registry.foundation.extras import installing
from registry.foundation.files import is_something_else

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth.base import Provider
    from auth.identities.apikeys import Place
    from auth.identities.ldap.directory import Directory
    from auth.identities.ldap.passwords import DirectoryPasswords
    from registry.foundation.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Everybody:
    """All who can log in, and where else they can do so."""

    accounts: Accounts
    providers: Sequence[Provider]


def everybody(section: Parameters) -> Everybody:
    """Return who can log in.

    Raises:
        ParameterError: a parameter is missing or wrong.
    """
    throttle = FailureThrottle()
    passwords, place = _passwords(section, throttle), _place(section)
    ci_services = parse_ci_services(section.value("oidc"))
    directories = _directories(section)
    clients = [OpenIdClient(settings) for settings in parse_providers(section)]

    def is_taken(user: str) -> bool:
        return (passwords is not None and passwords.has(user)) or ci_services.may_be(user)

    def has_keys(user: str) -> bool:
        try:
            return place is not None and any(True for _ in place.of(user))
        except (OSError, ValueError) as error:
            raise ControllerError(f"whether {user} has API keys cannot be told: {error}") from error

    members = Members([*directories, *clients], is_taken, has_keys)

    def is_person(user: str) -> bool:
        return (passwords is not None and passwords.has(user)) or members.current(user) is not None

    keys, own_keys = None, None
    if place is not None:
        keys = ApiKeys(place, is_person)
        own_keys = OwnKeys(
            place, is_person, int(section.seconds("apikeylifetime", 0, minimum=1, bare_unit="s")) or None
        )
    if isinstance(place, KeyFile) and keys is not None:
        keys.bind_all()
    in_directories = _directory_passwords(directories, members, throttle) if directories else None
    accounts = Accounts(passwords, keys, ci_services, own_keys, members, in_directories)
    return Everybody(accounts, [OpenIdProvider(client, members) for client in clients])


def _passwords(section: Parameters, throttle: FailureThrottle) -> PasswordFile | None:
    path = section.string("htpasswd")
    if path and not os.path.isfile(path):  # noqa: PTH113  a name that is too long is no error of its own
        reason = f"{path} does not exist or is not a file; create it with `registry htpasswd`"
        raise section.error("htpasswd", reason)
    return PasswordFile(path, throttle) if path else None


def _place(section: Parameters) -> Place | None:
    """Return where API keys are kept; None where there are none."""
    path = section.string("apikeys")
    if path == KEPT_IN_STORAGE:
        return KeyRecords()
    if is_something_else(path):
        raise section.error("apikeys", f"{path} is not a regular file")
    return KeyFile(path) if path else None


def _directories(section: Parameters) -> list[Directory]:
    settings = parse_directories(section.value("ldap"))
    if not settings:
        return []
    try:
        from auth.identities.ldap.directory import Directory  # noqa: PLC0415  only here python-ldap is needed
    except ImportError as error:
        raise section.error("ldap", f"{error}; try: {installing('ldap')}") from error
    return [Directory(each) for each in settings]


def _directory_passwords(
    directories: Sequence[Directory], members: Members, throttle: FailureThrottle
) -> DirectoryPasswords:
    from auth.identities.ldap.passwords import DirectoryPasswords  # noqa: PLC0415  it loads little, but rarely

    return DirectoryPasswords(directories, members, throttle)
