"""Platforms of images as clients spell them, ``linux/arm64/v8``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN: Final = "unknown"
_LONGEST: Final = 100
"""Characters of the longest part of a platform that is taken for one."""


def spelled(platform: Mapping[str, object]) -> str:
    """Return a platform, "" if it is none. Build tools call what is for no platform (attestations) unknown."""
    parts = [platform.get(name) for name in ("os", "architecture", "variant")]
    texts = [part for part in parts if isinstance(part, str) and part and part.isprintable() and len(part) <= _LONGEST]
    return "/".join(texts) if len(texts) > 1 and _UNKNOWN not in texts else ""
