from __future__ import annotations

import pytest

from registry.config.retention import Keep, Retention, RetentionRule, Untagged
from registry.foundation.patterns import Pattern
from tests.config.forms import configure, refusal

KEY = "storage.maintenance.retention"


def base(retention: str) -> str:
    return f"version: 0.1\nstorage: {{inmemory: {{}}, maintenance: {{retention: {retention}}}}}\n"


def keep(entry: str) -> str:
    return base(f"{{rules: [{{repositories: ['ci/**'], keep: [{{newest: 1}}, {entry}]}}]}}")


def test_rules_are_read() -> None:
    text = r"""{enabled: true, dryrun: false, interval: 1h, maxshare: 5, rules: [{repositories: ["ci/**", app], keep: [
        {tags: ["v*", latest]}, {regex: 'main-\d+', newest: 10}, {newestversions: 5}, {pushedwithin: 1h},
        {pulledwithin: 2d}], untagged: {keepfor: 168h}}]}"""

    configuration = configure(base=base(text))

    entries = (
        Keep(tags=("v*", "latest")),
        Keep(regex=Pattern.parse(r"main-\d+"), newest=10),
        Keep(newestversions=5),
        Keep(pushedwithin_seconds=3600.0),
        Keep(pulledwithin_seconds=48 * 3600.0),
    )
    rule = RetentionRule(("ci/**", "app"), entries, Untagged(168 * 3600.0))
    assert configuration.storage.maintenance.retention == Retention(True, False, 3600.0, 5, (rule,))
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (base("{rules: [{keep: [{newest: 1}]}]}"), "rules[0].repositories: must name repositories, such as ['ci/**']"),
        (base("{rules: [{repositories: ['a/***']}]}"), "rules[0].repositories[0]: 'a/***': ** must stand alone"),
        (base("{rules: [{repositories: ['A b']}]}"), "rules[0].repositories[0]: 'A b' is not a pattern for repo"),
        (
            base("{rules: [{repositories: [a]}, {repositories: [b, a]}]}"),
            "rules[1].repositories[1]: 'a' is in rules[0], too: one rule decides, make them one",
        ),
        (keep("{}"), "rules[0].keep[1]: must have at least one of tags, regex, newest, newestversions, pushedwithin, "),
        (keep("{tags: []}"), "rules[0].keep[1]: must have at least one of tags"),
        (keep("{tags: ['a/b']}"), "rules[0].keep[1].tags[0]: 'a/b' is not a pattern for tags, such as 'v*'"),
        (keep("{tags: v1}"), "rules[0].keep[1].tags: must be a list, not a string"),
        (keep("{regex: '('}"), "rules[0].keep[1].regex: must be a regular expression of RE2, "),
        (keep("{regex: ''}"), "rules[0].keep[1].regex: must not be empty"),
        (keep("{newest: 0}"), "rules[0].keep[1].newest: must be at least 1, not 0"),
        (keep("{newestversions: -1}"), "rules[0].keep[1].newestversions: must be at least 1, not -1"),
        (keep("{pushedwithin: 30}"), "rules[0].keep[1].pushedwithin: must be a duration such as 1h30m, not 30"),
        (keep("{pushedwithin: 0}"), "rules[0].keep[1].pushedwithin: must be longer than 0s"),
        (keep("{pulledwithin: 0s}"), "rules[0].keep[1].pulledwithin: must be longer than 0s"),
        (base("{maxshare: 101}"), "maxshare: must be at most 100, not 101"),
        (base("{maxshare: -1}"), "maxshare: must be at least 0, not -1"),
        (base("{interval: 5}"), "interval: must be a duration such as 1h30m, not 5"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(text: str, said: str) -> None:
    assert refusal(base=text).startswith(f"{KEY}.{said}")


def test_the_same_glob_twice_in_a_rule_is_one() -> None:
    assert configure(base=base("{rules: [{repositories: [a, a]}]}")).warnings == ()


def test_retention_without_rules_is_warned_of() -> None:
    (warning,) = configure(base=base("{enabled: true}")).warnings
    assert warning == f"{KEY}.enabled: has no effect without {KEY}.rules"


@pytest.mark.parametrize("text", ["team/App", "**/-x", "team/*..*", "a/?_", "ci:*", "a.-*"])
def test_pattern_that_no_repository_can_match_is_warned_of(text: str) -> None:
    (warning,) = configure(base=base(f"{{rules: [{{repositories: ['ci/**', '{text}']}}]}}")).warnings
    assert warning == f"{KEY}.rules[0].repositories[1]: {text!r} matches no name that a repository can have"


@pytest.mark.parametrize("text", ["-rc*", ".*", "a" * 129])
def test_pattern_that_no_tag_can_match_is_warned_of(text: str) -> None:
    (warning,) = configure(base=keep(f"{{tags: [v1, '{text}']}}")).warnings
    assert warning == f"{KEY}.rules[0].keep[1].tags[1]: {text!r} matches no name that a tag can have"


def test_pattern_that_something_can_match_is_not_warned_of() -> None:
    rules = "[{repositories: ['**', '*/**/x-*', 'a?b', 'a__*/*-x', 'a--?'], keep: [{tags: ['?', 'V1.*', _x, 'a*..']}]}]"
    assert configure(base=base(f"{{rules: {rules}}}")).warnings == ()


def test_pattern_with_capitals_is_warned_of() -> None:
    """A first component with capitals can be stored, but docker pushes none."""
    (warning,) = configure(base=base("{rules: [{repositories: ['Team/**']}]}")).warnings
    assert warning == f"{KEY}.rules[0].repositories[0]: 'Team/**' has capitals; names of repositories are in lower case"


def test_unknown_condition_is_warned_of_and_keeps_nothing_alone() -> None:
    said = refusal(base=keep("{newset: 3}"))
    assert said.startswith(f"{KEY}.rules[0].keep[1]: must have at least one of")
