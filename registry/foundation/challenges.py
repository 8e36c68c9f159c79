"""What a 401 asks for (RFC 9110 section 11.6.1)."""

from __future__ import annotations

import re
from typing import Final

_PARAMETER: Final = re.compile(r'\b(\w+)="([^"]*)"')


def parse_challenge(challenge: str) -> tuple[str, dict[str, str]]:
    """Return scheme, in lower case, and parameters of a WWW-Authenticate header (RFC 9110 section 11.6.1)."""
    scheme, _, rest = challenge.partition(" ")
    return scheme.lower(), dict(_PARAMETER.findall(rest))
