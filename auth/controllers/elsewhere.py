"""The groups of ``auth: local`` that directories and identity providers tell the members of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth.identities.ldap.settings import parse_directories
from auth.identities.openid.settings import parse_providers
from auth.rules.ruleset import Elsewhere
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def groups_elsewhere(
    parameters: Mapping[str, object], groups_of: Callable[[str], Collection[str]] = lambda _: ()
) -> Elsewhere:
    """Return the groups that the rules may speak of because a map of ``ldap`` or ``login.oidc`` leads to them.

    Raises:
        ParameterError: a parameter is missing or wrong.
    """
    section = Parameters(parameters)
    directories, providers = parse_directories(section.value("ldap")), parse_providers(section)
    maps = [each.local_groups for each in directories] + [each.local_groups for each in providers]
    names = {name for each in maps for name in each.values()}
    return Elsewhere(frozenset(names), groups_of)
