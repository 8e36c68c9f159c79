"""Keys of older formats, brought to their place in the tree before it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.config.errors import ConfigurationError
from registry.config.tree import Scalar

if TYPE_CHECKING:
    from registry.config.tree import Tree

_MOVED = {
    "loglevel": "log.level",
    "storage.cache.layerinfo": "storage.cache.blobdescriptor",
    "redis.addr": "redis.addrs",
    "redis.pool.maxidle": "redis.maxidleconns",
    "redis.pool.maxactive": "redis.poolsize",
    "redis.pool.idletimeout": "redis.connmaxidletime",
}
_INTO_LIST = {"redis.addr"}
_GONE = ("reporting", "compatibility")
_SWITCH, _SWITCHED = "validation.enabled", "validation.disabled"

_PATHS = tuple(path.split(".") for path in (*_MOVED, *_GONE, _SWITCH))


def names(path: str) -> frozenset[str]:
    """Return the keys that older formats have in the section at `path` and the present one has not."""
    above = path.split(".") if path else []
    return frozenset(old[len(above)] for old in _PATHS if len(old) > len(above) and old[: len(above)] == above)


def modernize(tree: dict[str, Tree], warnings: list[str], sources: dict[str, str]) -> None:
    """Move what has a new name, drop what has no meaning any more, and say so in `warnings`.

    Where a key came from is added to `sources`, for errors about its value.

    Raises:
        ConfigurationError: ``validation.enabled`` is not a boolean.
    """
    for old, new in _MOVED.items():
        value = _taken(tree, old)
        if value is None:
            continue
        if _placed(tree, new, [value] if old in _INTO_LIST else value):
            warnings.append(f"{old}: old name of {new}")
            sources[new] = sources.get(old, old)
        else:
            warnings.append(f"{old}: old name of {new}, which is given as well: ignored")
    warnings.extend(f"{old}: has no meaning any more, ignored" for old in _GONE if _taken(tree, old) is not None)
    _switch_validation(tree, warnings)


def _switch_validation(tree: dict[str, Tree], warnings: list[str]) -> None:
    """Turn the deprecated ``enabled``, which wins if true and means nothing if false, into ``disabled``."""
    value = _taken(tree, _SWITCH)
    if value is None:
        return
    if not isinstance(value, Scalar) or not isinstance(value.value, bool | None):
        raise ConfigurationError(_SWITCH, "must be true or false")
    if value.value:
        _taken(tree, _SWITCHED)
        _placed(tree, _SWITCHED, Scalar("false", value=False))
    warnings.append(f"{_SWITCH}: deprecated, validation is on unless validation.disabled is true")


def _taken(tree: dict[str, Tree], path: str) -> Tree | None:
    """Take the value at `path`, and sections that this empties, out of the tree; None if there is none."""
    name, _, rest = path.partition(".")
    if not rest:
        return tree.pop(name, None)
    section = tree.get(name)
    if not isinstance(section, dict):
        return None
    value = _taken(section, rest)
    if value is not None and not section:
        del tree[name]
    return value


def _placed(tree: dict[str, Tree], path: str, value: Tree) -> bool:
    """Put `value` at `path` and return True, unless something else than null or "" is there."""
    name, _, rest = path.partition(".")
    there = tree.get(name)
    empty = there is None or (isinstance(there, Scalar) and there.value in {None, ""}) or there == []
    if not rest:
        if empty:
            tree[name] = value
        return empty
    if empty:
        there = tree[name] = {}
    return isinstance(there, dict) and _placed(there, rest, value)
