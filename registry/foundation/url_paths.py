"""Paths of URLs, which have no slash at their ends."""

from __future__ import annotations


def lies_at(path: str, place: str) -> bool:
    """Tell whether `path` is `place`, or below it."""
    return path == place or path.startswith(f"{place}/")
