"""What a client asks a token service for: ``repository:team/app:pull,push`` (Docker's token scopes)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.oci.errors import NameInvalidError
from registry.oci.reference import MAX_NAME_LENGTH, parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 100
"""Scopes that one token may have: the largest push asks for a handful."""

MOST_ACTIONS = 20
"""Actions that one scope may have: there are four."""

_LONGEST = 16 * 1024
_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?")


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions on one resource."""

    type: str
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


def parse_scopes(texts: Iterable[str]) -> list[Scope]:
    """Return the scopes in `texts`, each of which may hold several with blanks between.

    What is not a scope is left out, as is a repository with a name that the registry refuses: a rule for
    ``team/**`` must never be asked about ``team/../other``. No other resource has a longer name than a repository.

    Raises:
        ValueError: there are more scopes, or more actions in one, than any client asks for.
    """
    joined = " ".join(texts)
    words = joined.split()
    if len(joined) > _LONGEST or len(words) > MOST:
        raise ValueError(f"more than {MOST} scopes")
    return [scope for scope in map(_parse, words) if scope is not None]


def _parse(word: str) -> Scope | None:
    # Actions have no colon. So a name that has one is seen whole, and refused.
    kind, _, rest = word.partition(":")
    name, colon, actions = rest.rpartition(":")
    match = _TYPE.fullmatch(kind)
    if match is None or not colon or len(name) > MAX_NAME_LENGTH:
        return None
    if match[1] == "repository":
        try:
            parse_name(name)
        except NameInvalidError:
            return None
    if actions.count(",") >= MOST_ACTIONS:
        raise ValueError(f"more than {MOST_ACTIONS} actions on {match[1]}:{name}")
    return Scope(match[1], name, tuple(dict.fromkeys(actions.split(","))))
