"""What a client asks a token service for: ``repository:team/app:pull,push`` (Docker's token scopes)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 100
"""Scopes that one token may have: the largest push asks for a handful."""

_LONGEST = 16 * 1024
_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*")
_NAME_LENGTH = 512


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

    What is no scope is left out, as is a repository whose name no registry would accept: a rule for
    ``team/**`` must never be asked about ``team/../other``.

    Raises:
        ValueError: there are more than any client asks for.
    """
    joined = " ".join(texts)
    words = joined.split()
    if len(joined) > _LONGEST or len(words) > MOST:
        raise ValueError(f"more than {MOST} scopes")
    return [scope for scope in map(_parse, words) if scope is not None]


def _parse(word: str) -> Scope | None:
    # A name may have a colon of its own, before a port.
    kind, _, rest = word.partition(":")
    name, colon, actions = rest.rpartition(":")
    match = _TYPE.fullmatch(kind)
    if match is None or not colon:
        return None
    if match[1] == "repository" and not valid_name(name):
        return None
    return Scope(match[1], name, tuple(dict.fromkeys(actions.split(","))))


def valid_name(name: str) -> bool:
    """Tell whether `name` can be that of a repository."""
    return len(name) <= _NAME_LENGTH and _NAME.fullmatch(name) is not None
