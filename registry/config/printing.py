"""The effective configuration as YAML that can be read back, without its secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.config import tree
from registry.config.schema import ANYTHING, Mark, keys, plugin_attributes, shape_of
from registry.foundation import durations
from registry.foundation.patterns import Pattern
from registry.foundation.redaction import is_secret_name, redacted_setting

if TYPE_CHECKING:
    from registry.config.schema import Shape
    from registry.config.values import Configuration

_REDACTED = "<redacted>"


def effective(configuration: Configuration) -> str:
    """Return all keys with the values in force, defaults included, as YAML; secrets as ``<redacted>``.

    The parameters of plugins have no schema here: a value is taken for a secret if a key on its way is
    called like one. Within URLs the user, the password and the values of the query are secrets anywhere.
    """
    return tree.dump(_plain(shape_of(type(configuration)), configuration))


def effective_json(configuration: Configuration) -> str:
    """Return the same as JSON; durations are as in the YAML."""
    return json.dumps(_plain(shape_of(type(configuration)), configuration), indent=2, ensure_ascii=False)


def _plain(shape: Shape, value: Any) -> object:
    if Mark.SECRET in shape.marks:
        return _redacted(value)
    if shape.is_section:
        return None if value is None else _section(shape, value)
    if shape.item == ANYTHING:
        return _untyped(value)
    if shape.item and isinstance(value, Mapping):
        return {name: _plain(shape.item, item) for name, item in value.items()}
    if shape.item:
        return [_plain(shape.item, item) for item in value]
    return _leaf(shape, value)


def _leaf(shape: Shape, value: Any) -> object:
    if value is None:
        return None
    if shape.base is float:
        return durations.spell(value)
    if shape.base is Pattern:
        return value.text
    return _untyped(value)


def _section(shape: Shape, value: Any) -> dict[str, object]:
    found: dict[str, object] = {}
    if attributes := plugin_attributes(shape.base):
        name, parameters = (getattr(value, attribute) for attribute in attributes)
        found[name] = _untyped(parameters)
    for name, key in keys(shape.base).items():
        child = _plain(key.shape, getattr(value, key.attribute))
        if child is not None:
            found[name] = child
    return found


def _untyped(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _redacted(v) if is_secret_name(str(k)) else _untyped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_untyped(item) for item in value]
    return redacted_setting(value, _REDACTED) if isinstance(value, str) else value


def _redacted(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item) for item in value]
    return value if value in {"", None} or isinstance(value, bool) else _REDACTED
