"""What a 401 asks for (RFC 9110 section 11.6.1), and what is sent for it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PARAMETER: Final = re.compile(r'\b(\w+)="([^"]*)"')
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NEXT: Final = re.compile(
    rf"""[\s,]*(?P<name>{_WORD})(?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))|(?=[\s,]|$))"""
)
"""The next parameter, or the scheme of the next challenge."""
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True)
class Challenge:
    """A way to log in: its `scheme`, in lower case, and its parameters, whose names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return what WWW-Authenticate headers ask for; each may have several challenges, with values quoted or not.

    What is malformed ends a header; one of more than 8 KiB has none.
    """
    found: list[Challenge] = []
    for header in headers:
        at = 0
        parameters: dict[str, str] | None = None
        while len(header) <= _LONGEST and (match := _NEXT.match(header, at)):
            at = match.end()
            name, quoted, plain = match["name"].lower(), match["quoted"], match["plain"]
            if quoted is None and plain is None:
                parameters = {}
                found.append(Challenge(name, parameters))
            elif parameters is not None:
                parameters[name] = plain if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
    return found


def parse_challenge(challenge: str) -> tuple[str, dict[str, str]]:
    """Return scheme, in lower case, and parameters of a WWW-Authenticate header (RFC 9110 section 11.6.1)."""
    scheme, _, rest = challenge.partition(" ")
    return scheme.lower(), dict(_PARAMETER.findall(rest))


def basic_authorization(user: str, password: str) -> str:
    """Return the value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def token_in(content: bytes) -> str:
    """Return the token in what a token service answers, which has it as ``token`` or ``access_token``.

    Raises:
        ValueError: there is none that could be sent in a header.
    """
    try:
        document: Any = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    try:
        token = document.get("token") or document["access_token"]
    except (LookupError, AttributeError) as error:
        raise ValueError("there is no token") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ValueError("the token is not printable ASCII")
    return token
