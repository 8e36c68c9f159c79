"""The nodes of the first document of a file, composed as gopkg.in/yaml.v2 does.

That library is a port of libyaml, which reads here as well. Where PyYAML was built without it, PyYAML's own parser
stands in, which refuses tabs after a colon and before a comment.
"""

from __future__ import annotations

from typing import Any

import yaml

from registry.config.scalars import resolve

try:
    from yaml import CSafeLoader as _Parser
except ImportError:
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]  # it has the same methods

PREFIX = "tag:yaml.org,2002:"
"""Of the tags of YAML's own types; a node without a tag is given the one of its type."""


def compose(content: bytes) -> yaml.Node | None:
    """Return the root of the first document, None if there is none.

    Raises:
        yaml.YAMLError: that document is not YAML; what comes after it is not looked at.
    """
    # Events and marks have types of their own where libyaml makes them, which have the same attributes.
    parser: Any = _Parser(content)
    parser.get_event()  # the stream begins
    if isinstance(parser.get_event(), yaml.StreamEndEvent):
        return None
    return _Composer(parser).node()


class _Composer:
    """Unlike PyYAML's it takes an anchor that is given twice: an alias stands for the last one before it."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self._anchors: dict[str, yaml.Node] = {}

    def node(self) -> yaml.Node:
        event: Any = self._parser.get_event()
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        if isinstance(event, yaml.ScalarEvent):
            of_type = resolve(event.value)[0] if event.implicit[0] else "str"
            return self._anchored(event, yaml.ScalarNode(event.tag or PREFIX + of_type, event.value, mark))
        if isinstance(event, yaml.SequenceStartEvent):
            sequence = self._anchored(event, yaml.SequenceNode(PREFIX + "seq", [], mark))
            while not self._parser.check_event(yaml.SequenceEndEvent):
                sequence.value.append(self.node())
            self._parser.get_event()
            return sequence
        mapping = self._anchored(event, yaml.MappingNode(PREFIX + "map", [], mark))
        while not self._parser.check_event(yaml.MappingEndEvent):
            mapping.value.append((self.node(), self.node()))
        self._parser.get_event()
        return mapping

    def _anchored(self, event: Any, node: yaml.Node) -> yaml.Node:
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, event: Any) -> yaml.Node:
        if event.anchor not in self._anchors:
            raise yaml.composer.ComposerError(problem="an alias of an unknown anchor", problem_mark=event.start_mark)
        return self._anchors[event.anchor]
