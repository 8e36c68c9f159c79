"""Which keys differ between two configurations, and what each key has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.config.schema import keys, plugin_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.config.values import Configuration


def changed_keys(before: Configuration, after: Configuration) -> Iterator[str]:
    """Yield the keys whose values differ, such as ``log.level``; for what a plugin is given, the key of its section."""
    yield from _changed(before, after, "")


def _changed(before: Any, after: Any, prefix: str) -> Iterator[str]:
    section: type = type(after)
    if any(getattr(before, each) != getattr(after, each) for each in plugin_attributes(section) or ()):
        yield prefix.removesuffix(".")
    for name, key in keys(section).items():
        old, new = getattr(before, key.attribute), getattr(after, key.attribute)
        if old == new:
            continue
        if key.shape.is_section and old is not None and new is not None:
            yield from _changed(old, new, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def values_by_key(configuration: Configuration) -> Iterator[tuple[str, object]]:
    """Yield each key with its value; for what a plugin is given, the key of its section with name and parameters."""
    yield from _values(configuration, "")


def _values(section: Any, prefix: str) -> Iterator[tuple[str, object]]:
    kind: type = type(section)
    plugin = plugin_attributes(kind)
    if plugin:
        yield prefix.removesuffix("."), tuple(getattr(section, each) for each in plugin)
    for name, key in keys(kind).items():
        value = getattr(section, key.attribute)
        if key.shape.is_section and value is not None:
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
