"""YAML as gopkg.in/yaml.v2 reads it: a tree whose scalars keep the text they were written as.

A field of type string takes that text (``secret: 0123`` is ``"0123"``), any other the resolved value. The
dialect is YAML 1.1 with ``y`` and ``n`` as booleans, without base-60 numbers and without dates.
Nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from registry.config.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "tag:yaml.org,2002:"
_MERGE = _PREFIX + "merge"
_TRUE = frozenset({"y", "yes", "true", "on"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf: the text as written and what YAML resolves it to."""

    text: str
    value: str | bool | int | float | None


Tree: TypeAlias = "Scalar | list[Tree] | dict[str, Tree]"

NULL = Scalar("", None)


def parse(text: str, where: str) -> Tree:
    """Return the tree of the one document in `text`; `where` is named in errors.

    Raises:
        ConfigurationError: it is not YAML, holds several documents, or uses a tag of its own.
    """
    try:
        node = _Loader(text).get_single_node()
        return NULL if node is None else _tree(node, where, ())
    except yaml.MarkedYAMLError as error:
        # The snippet, and the name of an unknown anchor, may be parts of a secret: they are not shown.
        composing = isinstance(error, yaml.composer.ComposerError)
        problem = "misused anchor, alias or document" if composing else error.problem
        raise _error(where, error.problem_mark, f"{problem}") from None
    except yaml.YAMLError:
        raise ConfigurationError(where, "not YAML: it holds characters that YAML forbids") from None
    except RecursionError:
        raise ConfigurationError(where, "nested too deeply") from None


def lines(text: str) -> dict[str, int]:
    """Return the line of each key and each item of a list in `text`, by its path; nothing for what is not YAML."""
    found: dict[str, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        if node:
            _add_lines(node, "", found)
    except (yaml.YAMLError, RecursionError):
        pass
    return found


def _add_lines(node: yaml.Node, path: str, found: dict[str, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        children = [(f"{path}[{index}]", item, item) for index, item in enumerate(node.value)]
    elif isinstance(node, yaml.MappingNode):
        for _, merged in _pairs(node, merges=True):
            for source in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
                _add_lines(source, path, found)
        children = [(f"{path}.{key.value}" if path else str(key.value), key, value) for key, value in _pairs(node)]
    else:
        return
    for below, marked, value in children:
        found[below] = marked.start_mark.line + 1
        _add_lines(value, below, found)


def plain(tree: Tree) -> object:
    """Return the tree as dicts, lists and resolved values."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [plain(item) for item in tree]
    return tree.value


def dump(value: object) -> str:
    """Return `value`, made of dicts, lists and scalars, as YAML that `parse` reads back to the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's declaration; filled below


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (
        "bool",
        r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF",
        list("yYtToOnNfF"),
    ),
    (
        "int",
        r"[-+]?(?:0[bB][01_]+|0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0|[1-9][0-9_]*)",
        list("-+0123456789"),
    ),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(rf"(?:{_pattern})\Z"), _first)


def _tree(node: yaml.Node, where: str, outer: tuple[yaml.Node, ...]) -> Tree:
    if any(node is ancestor for ancestor in outer):
        raise _error(where, node.start_mark, "an anchor that contains itself")
    if isinstance(node, yaml.MappingNode):
        own = {_key(key, where): _tree(value, where, (*outer, node)) for key, value in _pairs(node)}
        return _merged(node, where, outer) | own
    if isinstance(node, yaml.SequenceNode):
        return [_tree(item, where, (*outer, node)) for item in node.value]
    return Scalar(node.value, _resolved(node, where))


def _pairs(node: yaml.MappingNode, *, merges: bool = False) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    return ((key, value) for key, value in node.value if (key.tag == _MERGE) is merges)


def _merged(node: yaml.MappingNode, where: str, outer: tuple[yaml.Node, ...]) -> dict[str, Tree]:
    merged: dict[str, Tree] = {}
    for _, value in _pairs(node, merges=True):
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            tree = _tree(source, where, (*outer, node))
            if not isinstance(tree, dict):
                raise _error(where, value.start_mark, "<< takes mappings")
            merged = tree | merged  # of several, the first one wins
    return merged


def _key(node: yaml.Node, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _error(where, node.start_mark, "a key must be a plain word")
    return str(node.value)


def _resolved(node: yaml.Node, where: str) -> str | bool | int | float | None:
    text = str(node.value)
    try:
        match node.tag.removeprefix(_PREFIX):
            case "str" | "merge" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in _TRUE
            case "int":
                return _integer(text.replace("_", ""))
            case "float":
                return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # it looks like a number and is not one: 0x_
        return text
    raise _error(where, node.start_mark, "tags are not supported")


def _integer(text: str) -> int:
    digits = text.lstrip("-+")
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    return int(text, 8) if octal else int(text, 0)


def _error(where: str, mark: yaml.Mark | None, problem: str) -> ConfigurationError:
    if mark is None:
        return ConfigurationError(where, f"not YAML: {problem}")
    line = mark.line + 1
    return ConfigurationError(where, f"not YAML: line {line}, column {mark.column + 1}: {problem}", f"{where}:{line}")
