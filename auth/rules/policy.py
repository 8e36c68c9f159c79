"""Where the rules of ``auth: local`` stand: in the configuration, or in a file that may change."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from auth.rules.ruleset import NOWHERE, Elsewhere, Policy, PolicyError, parse_policy
from registry.foundation.files import FileError, WatchedFile
from registry.foundation.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def policy_source(parameters: Mapping[str, object], elsewhere: Elsewhere = NOWHERE) -> Callable[[], Policy]:
    """Return what gives the policy of the section ``auth.local`` as it is at each call, with groups `elsewhere`.

    Rules that are a path are read again when the file changes; while it is broken, what it last said holds.

    Raises:
        ParameterError: the rules are missing or wrong.
    """
    section = Parameters(parameters)
    rules, groups, maintainers = (section.value(name) for name in ("rules", "groups", "maintainers"))
    if not isinstance(rules, str):
        try:
            policy = parse_policy(rules, groups, maintainers, elsewhere)
        except PolicyError as error:
            raise section.error("rules", f"cannot be used: {error}", error.path) from error
        return lambda: policy
    for name, value in (("groups", groups), ("maintainers", maintainers)):
        if value is not None:
            raise section.error(name, f"must be in {rules}, where the rules are")
    file = WatchedFile(rules, partial(_parse_rules_file, elsewhere=elsewhere))
    try:
        file.require()
    except FileError as error:
        raise section.error("rules", f"cannot be used: {error}") from error
    return file.last_good


class _Loader(yaml.SafeLoader):
    """Refuses a mapping with a key that is given twice, of which PyYAML would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping, before others are merged into it."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(str(key.value))
        return node


def _parse_rules_file(content: bytes, elsewhere: Elsewhere) -> Policy:
    try:
        document = yaml.load(content, _Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(document, dict):
        raise ValueError("must be a YAML mapping with rules, groups and maintainers")  # noqa: TRY004 - the file is wrong
    return parse_policy(document.get("rules"), document.get("groups"), document.get("maintainers"), elsewhere)
