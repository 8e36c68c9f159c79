"""The shapes as JSON: what the API's extension and commands answer with ``--json``.

Members are called as the fields are, in their order. Sizes are in bytes, times in seconds since 1970; None is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from registry.oci.digest import Digest

_LEFT_OUT: Final = frozenset({"raw", "raw_config"})
"""Fields of Details for people; whoever reads JSON gets the manifest and its config byte for byte elsewhere."""


def spelled(value: object) -> object:
    """Return a value of registry.browsing as what JSON can hold."""
    if isinstance(value, Digest):
        return str(value)
    if is_dataclass(value):
        return {each.name: spelled(getattr(value, each.name)) for each in fields(value) if each.name not in _LEFT_OUT}
    if isinstance(value, Mapping):
        return {str(name): spelled(member) for name, member in value.items()}
    if isinstance(value, (tuple, list)):
        return [spelled(each) for each in value]
    return value
