"""Tags that are versions, as Semantic Versioning 2.0.0 (https://semver.org) has them, with a ``v`` before or without.

``1.2`` and ``latest`` are not versions: such tags move. A tag cannot have the ``+`` before the build, for which Helm
writes ``_``.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"(0|[1-9]\d*)"
_IDENTIFIER: Final = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION: Final = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:_[0-9A-Za-z.-]+)?", re.ASCII
)
_RELEASE: Final = "~"
"""Sorts behind every pre-release."""
_END: Final = " "
"""Sorts before whatever may go on an identifier or a list of them."""


def precedence(tag: str) -> str | None:
    """Return a text that sorts, by bytes, as the version does that `tag` is (section 11); None if it is none."""
    found = _VERSION.fullmatch(tag)
    if not found:
        return None
    *numbers, prerelease = found.groups()
    identifiers = "".join(map(_spelled, prerelease.split("."))) if prerelease else _RELEASE
    return "".join(map(_number, numbers)) + identifiers


def _spelled(identifier: str) -> str:
    """Return an identifier of a pre-release, numbers before words."""
    return f"0{_number(identifier)}" if identifier.isdigit() else f"1{identifier}{_END}"


def _number(digits: str) -> str:
    """Return a number with how many digits it has before it; a tag has at most 128."""
    return f"{len(digits):03}{digits}"
