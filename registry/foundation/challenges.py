"""What a 401 asks for (RFC 9110 section 11.6.1), and what is sent for it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

_PARAMETER: Final = re.compile(r'\b(\w+)="([^"]*)"')


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
    document: Any = json.loads(content)
    try:
        token = document.get("token") or document["access_token"]
    except (LookupError, AttributeError) as error:
        raise ValueError("there is no token") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ValueError("the token is not printable ASCII")
    return token
