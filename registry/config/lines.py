"""The lines that the keys of a file are in."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import yaml

from registry.config.nodes import PREFIX, compose

if TYPE_CHECKING:
    from collections.abc import Iterator

_MERGE = PREFIX + "merge"


def lines(content: bytes) -> dict[str, int]:
    """Return the line of each key and each item of a list in `content`, by its path; nothing for what is not YAML."""
    found: dict[str, int] = {}
    with suppress(yaml.YAMLError, RecursionError, ValueError):
        node = compose(content)
        if node:
            _add(node, "", found)
    return found


def _add(node: yaml.Node, path: str, found: dict[str, int]) -> None:
    for below, marked, value in _children(node, path):
        if marked:
            found[below] = marked.start_mark.line + 1
        _add(value, below, found)


def _children(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node | None, yaml.Node]]:
    """Yield path, the node that its line is of, and value; a merge has the path of the mapping, and no line."""
    if isinstance(node, yaml.SequenceNode):
        yield from ((f"{path}[{index}]", item, item) for index, item in enumerate(node.value))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == _MERGE:
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                yield from ((path, None, source) for source in reversed(sources))
            else:
                yield f"{path}.{key.value}" if path else str(key.value), key, value
