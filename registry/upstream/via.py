"""The header ``Via`` (RFC 9110 section 7.6.3), by which registries that cache one another notice that they go round."""

from __future__ import annotations

import re
from typing import Final

_ENTRY: Final = re.compile(r"\s*(?:[!#$%&'*+.^_`|~0-9A-Za-z/-]+\s+)([^\s,()]+)")
_MOST: Final = 16
"""Registries behind one another; more are a loop whose members hide their names."""
_LONGEST: Final = 4096
"""Characters of the header; what is longer was made by nobody who means well."""


def with_own(came: str, own: str) -> str:
    """Return the header for a request that is made for one which came with the header `came`, by the registry `own`."""
    entry = f"1.1 {own}"
    return f"{came}, {entry}" if came.strip() else entry


def goes_round(came: str, own: str) -> bool:
    """Tell whether a request with the header `came` has passed the registry `own` before, or too many others."""
    if not came:
        return False
    entries = came.split(",") if came.strip() else []
    received_by = [found[1] for entry in entries if (found := _ENTRY.match(entry))]
    return own in received_by or len(entries) > _MOST or len(came) > _LONGEST
