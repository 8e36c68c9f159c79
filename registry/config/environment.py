"""REGISTRY_* variables: each replaces one value, or one section, of the tree that the file gave.

A name is split at ``_``; each part is a key in upper case, as the file or as the Go registry's source spells
it, or the index of a list (the index one past its end appends). The value is YAML, and is not looked at if no key
is called so. A section's variable is applied before those of its parts, so REGISTRY_STORAGE=s3 with
REGISTRY_STORAGE_S3_BUCKET=b changes driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.config import legacy, tree
from registry.config.errors import ConfigurationError
from registry.config.reading import join, section_mapping
from registry.config.schema import ANYTHING, keys, plugin_attributes
from registry.config.tree import NULL
from registry.foundation import guessing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry.config.schema import Shape
    from registry.config.tree import Tree

PATH_VARIABLE = "REGISTRY_CONFIGURATION_PATH"
"""Names the file; says nothing about what is in it."""

CREDENTIALS_VARIABLE = "REGISTRY_AUTH_FILE"
"""Names the credentials of podman, buildah and skopeo, and not a key of the configuration."""

_PREFIX = "REGISTRY_"
_VERSION_VARIABLE = "REGISTRY_VERSION"
_FREE_MAPPING = (Mapping, object)


class _UnknownNameError(Exception):
    """No key is called so; `known` are the parts that there are, `rest` what follows the one that is wrong."""

    def __init__(self, part: str = "", rest: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        super().__init__()
        self.part = part
        self.rest = tuple(rest)
        self.known = tuple(known)

    def meant(self, variable: str) -> str:
        """Return the variable that may have been meant, in a question to be put behind what is said of this one."""
        close = guessing.meant(self.part, self.known)
        wrong = "_".join((self.part, *self.rest))
        right = "_".join((variable.removesuffix(wrong) + close, *self.rest)).upper()
        return f" (is {right} meant?)" if close else ""


def override(
    root: Shape, current: Tree, environ: Mapping[str, str], warnings: list[str], sources: dict[str, str]
) -> Tree:
    """Return `current`, a tree of shape `root`, with what the variables say.

    Which variable gave the value at a path is added to `sources`; variables that name nothing to `warnings`.

    Raises:
        ConfigurationError: a value is not YAML, or the index of a list is not a number or too large.
    """
    variables = {name: name.removeprefix(_PREFIX).split("_") for name in environ if name.startswith(_PREFIX)}
    for name, parts in sorted(variables.items(), key=lambda variable: _order(variable[1])):
        if name in {PATH_VARIABLE, CREDENTIALS_VARIABLE}:
            continue
        if name == _VERSION_VARIABLE:
            warnings.append(f"{name}: the version is that of the file, ignored")
            continue
        try:
            change = _Change(name, environ[name])
            current = change.apply(root, current, parts, "")
        except _UnknownNameError as error:
            warnings.append(f"{name}: no such key, ignored{error.meant(name)}")
        else:
            sources[change.path] = name
    return current


def _order(parts: Iterable[str]) -> list[tuple[int, str]]:
    """Order sections before what is in them, and indices by number."""
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


class _Change:
    """One variable on its way down the tree."""

    def __init__(self, variable: str, value: str) -> None:
        self._variable = variable
        self._value = value
        self.path = ""
        """Path of the key that was changed, once it is."""

    def apply(self, shape: Shape, current: Tree, parts: list[str], path: str) -> Tree:
        """Return `current`, which lies at `path`, with the value put where `parts` lead from there."""
        if not parts:
            self.path = path
            return tree.parse(self._value, self._variable, shape)
        if shape.is_section:
            return self._in_section(shape, current, parts, path)
        if shape.base is tuple or (shape.base is object and isinstance(current, list)):
            return self._in_list(shape.item or ANYTHING, current, parts, path)
        if shape.base in _FREE_MAPPING:
            return self._in_mapping(shape.item or ANYTHING, current, parts, path)
        raise _UnknownNameError

    def _in_section(self, shape: Shape, current: Tree, parts: list[str], path: str) -> Tree:
        mapping = section_mapping(shape, current, path)
        part, *rest = parts
        if part == getattr(shape.base, "inlined", None):
            return self._in_section(shape, current, rest, path) if rest else self._inlined(shape, mapping, path)
        for key in keys(shape.base).values():
            if part in key.variable_parts:
                return self._replaced(key.shape, mapping, key.name, rest, path)
        if part.lower() in legacy.names(path):
            return self._replaced(ANYTHING, mapping, part.lower(), rest, path)
        if plugin_attributes(shape.base):
            return self._in_mapping(ANYTHING, dict(mapping), parts, path)
        raise _UnknownNameError(part, rest, [name.upper() for name in keys(shape.base)])

    def _inlined(self, shape: Shape, mapping: Mapping[str, Tree], path: str) -> Tree:
        """Return the section with all keys replaced but those that are sections of their own."""
        value = self.apply(shape, NULL, [], path)
        stay = {key.name for key in keys(shape.base).values() if key.shape.is_section} & mapping.keys()
        return {**section_mapping(shape, value, path), **{name: mapping[name] for name in stay}}

    def _in_mapping(self, item: Shape, current: Tree, parts: list[str], path: str) -> Tree:
        mapping = current if isinstance(current, dict) else {}
        for length in range(len(parts), 0, -1):  # a key that the file has may itself contain "_"
            spelled = "_".join(parts[:length])
            for name in mapping:
                if name.upper() == spelled.upper():
                    return self._replaced(item, mapping, name, parts[length:], path)
        return self._replaced(item, mapping, parts[0].lower(), parts[1:], path)

    def _replaced(
        self, shape: Shape, mapping: Mapping[str, Tree], name: str, parts: list[str], path: str
    ) -> dict[str, Tree]:
        child = self.apply(shape, mapping.get(name, NULL), parts, join(path, name))
        return {**mapping, name: child}

    def _in_list(self, item: Shape, current: Tree, parts: list[str], path: str) -> Tree:
        items = current if isinstance(current, list) else []
        part, *rest = parts
        if not (part.isascii() and part.isdecimal()):
            raise ConfigurationError(path, f"{part} in {self._variable} is not an index of a list")
        index = int(part)
        if index > len(items):
            raise ConfigurationError(
                path, f"{self._variable} names element {index}, but there are {len(items)} before it"
            )
        child = self.apply(item, items[index] if index < len(items) else NULL, rest, f"{path}[{index}]")
        return [*items[:index], child, *items[index + 1 :]]
