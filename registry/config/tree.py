"""YAML as gopkg.in/yaml.v2 reads it: a tree whose scalars keep the text they were written as.

A field of type string takes that text (``secret: 0123`` is ``"0123"``), any other the resolved value. The
dialect is YAML 1.1 with ``y`` and ``n`` as booleans, without base-60 numbers and without dates.
Nothing is ever constructed from a tag.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from registry.config.errors import ConfigurationError
from registry.config.nodes import PREFIX, compose
from registry.config.scalars import Value, resolve
from registry.config.schema import ANYTHING, keys, plugin_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from registry.config.schema import Shape

_MERGE = PREFIX + "merge"
_MOST_COPIES = 100_000  # nodes that aliases may add: a few lines of them could stand for billions


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf: the text as written and what YAML resolves it to."""

    text: str
    value: Value


Tree: TypeAlias = "Scalar | list[Tree] | dict[str, Tree]"

NULL = Scalar("", None)


def parse(
    content: bytes | str,
    where: str,
    shape: Shape = ANYTHING,
    warnings: list[str] | None = None,
    lines: dict[str, int] | None = None,
) -> Tree:
    """Return the tree of the first document in `content`, of the given shape; `where` is named in errors.

    Of equal keys the last one counts, with one of the `warnings`, but where a section is given twice, what the second
    one leaves out stays. The line of each key, and of each item of a list, is put into `lines`, by its path.

    Raises:
        ConfigurationError: it is not YAML.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    try:
        node = compose(content)
        reading = _Reading(where, [] if warnings is None else warnings, {} if lines is None else lines)
        return NULL if node is None else reading.tree(node, shape)
    except yaml.MarkedYAMLError as error:
        # The snippet may be part of a secret: it is not shown.
        problem = "a tab where only spaces may be" if _is_tab(content, error.problem_mark) else error.problem
        raise _error(where, error.problem_mark, f"{problem}") from None
    except yaml.reader.ReaderError as error:
        line = content[: error.position].count(b"\n") + 1
        raise ConfigurationError(where, f"not YAML: line {line}: {error.reason}", f"{where}:{line}") from None
    except RecursionError:
        raise ConfigurationError(where, "nested too deeply") from None
    except ValueError:  # of PyYAML's own parser
        raise ConfigurationError(where, "not YAML: an escaped character does not exist") from None


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


class _Dumper(yaml.SafeDumper):
    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        """Return the tag that the Go library gives a plain scalar, so that PyYAML quotes what is not one."""
        if kind is yaml.ScalarNode:
            return PREFIX + (resolve(value)[0] if implicit[0] else "str")
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


class _Reading:
    """One document on its way from PyYAML's nodes to a tree."""

    def __init__(self, where: str, warnings: list[str], lines: dict[str, int]) -> None:
        self._where = where
        self._warnings = warnings
        self._lines = lines
        self._path = ""
        self._open: list[yaml.Node] = []
        self._seen: set[yaml.Node] = set()
        self._copies = 0

    def tree(self, node: yaml.Node, shape: Shape, current: Tree | None = None) -> Tree:
        """Return the tree of `node`. If both are mappings, what `current` has and `node` has not stays."""
        if isinstance(node, yaml.MappingNode):
            filled = dict(current) if isinstance(current, dict) else {}
            self._fill(filled, node, shape)
            return filled
        with self._entered(node):
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node)
            return [self._item(index, item, shape.item or ANYTHING) for index, item in enumerate(node.value)]

    def _item(self, index: int, node: yaml.Node, shape: Shape) -> Tree:
        with self._below(f"[{index}]", node):
            return self.tree(node, shape)

    @contextmanager
    def _below(self, step: str, marked: yaml.Node) -> Iterator[None]:
        before = self._path
        self._path += step
        self._lines[self._path] = marked.start_mark.line + 1
        yield
        self._path = before

    @contextmanager
    def _entered(self, node: yaml.Node) -> Iterator[None]:
        if node in self._open:
            raise self._error(node, "an anchor that contains itself")
        self._copies += node in self._seen
        if self._copies > _MOST_COPIES:
            raise self._error(node, f"aliases stand for more than {_MOST_COPIES} values")
        self._seen.add(node)
        self._open.append(node)
        yield
        self._open.pop()

    def _fill(self, filled: dict[str, Tree], node: yaml.MappingNode, shape: Shape) -> None:
        """Add the pairs of `node` in their order: what comes later counts, also where one of them is a merge."""
        given: set[str] = set()
        with self._entered(node):
            for key, value in node.value:
                if key.tag == _MERGE:
                    for source in self._sources(value):
                        self._fill(filled, source, shape)
                else:
                    name = self._key(key)
                    child = _child(shape, name)
                    stays = _stays(shape, child)
                    with self._below(f".{name}" if self._path else name, key):
                        if name in given and not stays:
                            self._warnings.append(f"{self._path}: given more than once, the last one counts")
                        filled[name] = self.tree(value, child, filled.get(name) if stays else None)
                    given.add(name)

    def _sources(self, value: yaml.Node) -> Iterable[yaml.MappingNode]:
        """Return what a merge takes its pairs from: of several the first one counts, so it is the last."""
        sources: list[yaml.Node] = value.value if isinstance(value, yaml.SequenceNode) else [value]
        mappings = [source for source in sources if isinstance(source, yaml.MappingNode)]
        if mappings != sources:
            raise self._error(value, "<< takes mappings")
        return reversed(mappings)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be a plain word")
        return self._scalar(node).text

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        tag, text = node.tag.removeprefix(PREFIX), node.value
        if tag == "binary":
            return self._binary(node)
        if tag not in {"null", "bool", "int", "float"}:
            return Scalar(text, text)
        kind, value = resolve(text)
        if (tag, kind) == ("float", "int") and isinstance(value, int):
            return Scalar(text, float(value))
        if tag != kind:
            raise self._error(node, f"it is not of the type that !!{tag} says")
        return Scalar(text, value)

    def _binary(self, node: yaml.ScalarNode) -> Scalar:
        try:
            text = base64.b64decode(node.value.replace("\n", ""), validate=True).decode()
        except ValueError:
            raise self._error(node, "!!binary is not the base64 of a text") from None
        return Scalar(text, text)

    def _error(self, node: yaml.Node, problem: str) -> ConfigurationError:
        return _error(self._where, node.start_mark, problem)


def _child(shape: Shape, name: str) -> Shape:
    """Return the shape of what the key `name` has in a mapping of the given shape."""
    if not shape.is_section:
        return shape.item or ANYTHING
    key = keys(shape.base).get(name)
    return key.shape if key and not plugin_attributes(shape.base) else ANYTHING


def _stays(shape: Shape, child: Shape) -> bool:
    """Whether a mapping that is given twice is one: where Go has a structure, or a map, in a structure."""
    return shape.is_section and (child.base is Mapping or (child.is_section and not plugin_attributes(child.base)))


def _is_tab(content: bytes, mark: yaml.Mark | None) -> bool:
    lines = content.decode("utf-8", "replace").splitlines()
    return mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"


def _error(where: str, mark: yaml.Mark | None, problem: str) -> ConfigurationError:
    if mark is None:
        return ConfigurationError(where, f"not YAML: {problem}")
    line = mark.line + 1
    return ConfigurationError(where, f"not YAML: line {line}, column {mark.column + 1}: {problem}", f"{where}:{line}")
