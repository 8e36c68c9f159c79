from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.actions import ACTIONS
from auth.rules.ruleset import Policy, PolicyError, parse_policy
from registry.foundation.globs import Glob
from tests.growth import grows_linearly

RULES = [
    {"repositories": "public/**", "anonymous": ["pull"], "group:dev": ["pull", "push"]},
    {"repositories": "team/**", "user:ci": ["pull", "push", "delete"], "authenticated": ["pull"]},
    {"repositories": ["team/secret", "team/hidden/*"], "user:alice": ["*"]},
]
GROUPS = {"dev": ["alice", "bob"]}


def may(user: str, repository: str, action: str) -> bool:
    return parse_policy(RULES, GROUPS).decide(user, repository, action).allowed


class TestGlobs:
    @pytest.mark.parametrize(
        ("glob", "matching", "others"),
        [
            ("team/app", ["team/app"], ["team/app2", "team", "team/app/x", "xteam/app"]),
            ("team/*", ["team/app", "team/a.b-c"], ["team", "team/a/b", "teams/a"]),
            ("team/**", ["team/app", "team/a/b/c"], ["team", "teams/a"]),
            ("**", ["a", "a/b", "host.example:5000/a/b"], []),
            ("*", ["a", "a-b"], ["a/b"]),
            ("**/cache", ["cache", "a/cache", "a/b/cache"], ["cache/a", "a/mycache"]),
            ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a", "z", "ab/z", "a/bz"]),
            ("*-dev", ["app-dev"], ["a/app-dev", "app-devs"]),
            ("v?", ["v1"], ["v", "v12", "v/"]),
            ("a.b", ["a.b"], ["axb"]),
        ],
    )
    def test_a_star_stays_in_its_component_and_two_do_not(
        self, glob: str, matching: list[str], others: list[str]
    ) -> None:
        parsed = Glob.parse(glob)
        assert all(parsed.matches(name) for name in matching)
        assert not any(parsed.matches(name) for name in others)

    @pytest.mark.parametrize(
        "text", ["", "/", "/a", "a/", "a//b", "a**", "**b", "a/***", "[ab]", "a b", "a\n", "ü", "{a,b}"]
    )
    def test_what_spells_no_glob_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"pattern|\*\*"):
            Glob.parse(text)

    @given(
        st.lists(st.sampled_from(["a", "b", "*", "?", "**", "*a", "a*b", "*a*b*", "?b"]), min_size=1, max_size=5),
        st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6),
    )
    def test_it_matches_what_trying_every_way_matches(self, glob: list[str], name: list[str]) -> None:
        assert Glob.parse("/".join(glob)).matches("/".join(name)) == matches_in_some_way(glob, name)

    @pytest.mark.parametrize(
        ("glob", "repeated"),
        [
            ("*a*a*a*a*a*b", "a"),
            ("*a?a*a?a*b", "a"),
            ("**/a/**/a/**/a/**/a/b", "a/"),
            ("**/*a*a/**/*a*a/**/b", "aa/"),
            ("**/*/**/*/**/*/**/*/**/b", "a/"),
        ],
    )
    def test_time_is_linear_however_many_stars_there_are(self, glob: str, repeated: str) -> None:
        assert grows_linearly(Glob.parse(glob).matches, lambda size: repeated * size + "c")


def matches_in_some_way(glob: list[str], name: list[str]) -> bool:
    if not glob or not name:
        return not glob and not name
    first, *rest = glob
    if first == "**":
        skipped = range(1, len(name) + 1) if not rest else range(len(name) + 1)
        return any(matches_in_some_way(rest, name[count:]) for count in skipped)
    return fnmatchcase(name[0], first) and matches_in_some_way(rest, name[1:])


class TestDecisions:
    def test_anonymous_callers_get_what_anonymous_is_granted(self) -> None:
        assert may("", "public/app", "pull")
        assert not may("", "public/app", "push")
        assert not may("", "team/app", "pull")

    def test_whoever_logged_in_gets_what_anonymous_is_granted_too(self) -> None:
        assert may("carol", "public/app", "pull")
        assert may("carol", "team/app", "pull")

    def test_members_get_what_their_group_is_granted(self) -> None:
        assert may("alice", "public/app", "push")
        assert not may("carol", "public/app", "push")

    def test_the_longest_glob_decides_alone(self) -> None:
        assert may("alice", "team/secret", "overwrite")
        assert not may("ci", "team/secret", "pull")
        assert not may("alice", "team/app", "push")

    def test_without_overwrite_tags_cannot_be_moved(self) -> None:
        assert may("ci", "team/app", "push")
        assert not may("ci", "team/app", "overwrite")

    def test_without_a_rule_nothing_is_granted(self) -> None:
        assert not any(may(user, "other", action) for user in ("", "alice", "ci") for action in ACTIONS)

    def test_a_user_called_like_a_group_or_a_keyword_is_neither(self) -> None:
        for name in ("dev", "group:dev", "anonymous", "authenticated", "user:ci"):
            assert not may(name, "public/app", "push")
            assert not may(name, "team/app", "push")

    def test_a_wider_pattern_of_the_same_length_comes_second(self) -> None:
        policy = parse_policy(
            [{"repositories": "**", "user:a": ["pull"]}, {"repositories": "*", "user:b": ["pull"]}], None
        )
        assert policy.decide("b", "x", "pull").allowed
        assert not policy.decide("a", "x", "pull").allowed
        assert policy.decide("a", "x/y", "pull").allowed

    def test_of_two_equal_ones_the_first_decides(self) -> None:
        policy = parse_policy(
            [{"repositories": "a/*", "user:a": ["pull"]}, {"repositories": "*/b", "user:b": ["pull"]}], None
        )
        assert policy.decide("a", "a/b", "pull").allowed
        assert not policy.decide("b", "a/b", "pull").allowed

    @pytest.mark.parametrize(
        ("user", "repository", "action", "text"),
        [
            ("alice", "public/x", "push", "alice may push public/x: rule 1 (public/**) grants it to group:dev"),
            ("", "public/x", "push", "anonymous may not push public/x: rule 1 (public/**) does not grant it"),
            ("ci", "team/x", "pull", "ci may pull team/x: rule 2 (team/**) grants it to user:ci and authenticated"),
            ("ci", "else", "pull", "ci may not pull else: no rule is for this repository"),
        ],
    )
    def test_a_decision_names_its_rule(self, user: str, repository: str, action: str, text: str) -> None:
        assert str(parse_policy(RULES, GROUPS).decide(user, repository, action)) == text


class TestWrongRules:
    @pytest.mark.parametrize(
        ("rules", "groups", "text"),
        [
            (None, None, "rules must be a list"),
            ({}, None, "rules must be a list"),
            (["a"], None, "rule 1 must map"),
            ([{"anonymous": ["pull"]}], None, "rule 1: repositories must be a glob"),
            ([{"repositories": []}], None, "rule 1: repositories must be"),
            ([{"repositories": "a**"}], None, r"rule 1: .*\*\* must stand alone"),
            ([{"repositories": "a", "anonymous": "pull"}], None, "rule 1: anonymous must be a list"),
            ([{"repositories": "a", "anonymous": ["read"]}], None, "'read' is not an action; there are pull"),
            ([{"repositories": "a", "anonymous": ["push"]}], None, "push is of no use without pull"),
            ([{"repositories": "a", "user:x": ["pull", "overwrite"]}], None, "overwrite is of no use without push"),
            ([{"repositories": "a", "everybody": ["pull"]}], None, "rule 1: everybody: must be anonymous"),
            ([{"repositories": "a", "user:": ["pull"]}], None, "must be anonymous, authenticated"),
            ([{"repositories": "a", "group:x": ["pull"]}], {"y": ["a"]}, "rule 1: group:x: there is no such group"),
            ([{"repositories": "a"}, {"repositories": ["b", "a"]}], None, "rules 1 and 2 are both for 'a'"),
            ([], ["dev"], "groups must map"),
            ([], {"dev": "alice"}, "groups.dev must be a list"),
            ([], {"dev": [7]}, "groups.dev must be a list"),
        ],
    )
    def test_the_error_says_where_and_what_to_change(self, rules: Any, groups: Any, text: str) -> None:
        with pytest.raises(ValueError, match=text):
            parse_policy(rules, groups)


COMPONENTS = st.sampled_from(["a", "b", "ab", "a-b", "c.d"])
NAMES = st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join)
GLOB_COMPONENTS = st.sampled_from(["a", "b", "ab", "a*", "*b", "?", "a?", "*", "**", "c.d"])
GLOBS = st.lists(GLOB_COMPONENTS, min_size=1, max_size=4).map("/".join)
USERS = st.sampled_from(["", "alice", "bob", "ci", "dev"])
MEMBERS = {"dev": ["alice", "bob"], "ops": ["ci", "bob"]}
GRANTS = st.sampled_from([["pull"], ["pull", "push"], ["pull", "push", "overwrite"], ["delete"], ["*"], []])
PRINCIPALS = st.sampled_from(["anonymous", "authenticated", "group:dev", "group:ops", "user:alice", "user:ci"])
ENTRIES = st.dictionaries(PRINCIPALS, GRANTS, max_size=4)


@st.composite
def rule_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    globs = draw(st.lists(GLOBS, max_size=6, unique=True))
    return [{"repositories": glob, **draw(ENTRIES)} for glob in globs]


def naive_component(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob[0] == "*":
        return any(naive_component(glob[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and glob[0] in {"?", text[0]} and naive_component(glob[1:], text[1:])


def naive_match(glob: list[str], name: list[str]) -> bool:
    if not glob:
        return not name
    if glob == ["**"]:
        return bool(name)
    if glob[0] == "**":
        return any(naive_match(glob[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and naive_component(glob[0], name[0]) and naive_match(glob[1:], name[1:])


def naive_decision(rules: list[dict[str, Any]], user: str, repository: str, action: str) -> bool:
    best: dict[str, Any] = {}
    best_length = (-1, 0)
    for entry in rules:
        parts = entry["repositories"].split("/")
        length = (len(entry["repositories"].replace("*", "").replace("?", "")), -parts.count("**"))
        if length > best_length and naive_match(parts, repository.split("/")):
            best, best_length = entry, length
    granted: list[str] = list(best.get("anonymous", []))
    if user:
        granted += best.get("authenticated", []) + best.get(f"user:{user}", [])
        for group, members in MEMBERS.items():
            granted += best.get(f"group:{group}", []) if user in members else []
    return action in granted or "*" in granted


@given(GLOBS, NAMES)
def test_globs_match_what_a_naive_model_matches(glob: str, name: str) -> None:
    assert Glob.parse(glob).matches(name) == naive_match(glob.split("/"), name.split("/"))


@given(rule_lists(), USERS, NAMES, st.sampled_from(ACTIONS))
def test_decisions_are_those_of_a_naive_model(
    rules: list[dict[str, Any]], user: str, repository: str, action: str
) -> None:
    policy = parse_policy(rules, MEMBERS)
    assert policy.decide(user, repository, action).allowed == naive_decision(rules, user, repository, action)


@given(rule_lists(), NAMES, st.sampled_from(ACTIONS))
def test_logging_in_never_takes_anything_away(rules: list[dict[str, Any]], repository: str, action: str) -> None:
    policy = parse_policy(rules, MEMBERS)
    assert policy.decide("alice", repository, action).allowed >= policy.decide("", repository, action).allowed


def test_a_thousand_rules_are_searched_once_per_repository() -> None:
    policy = parse_policy([{"repositories": f"team{i}/**", "anonymous": ["pull"]} for i in range(1000)], None)
    assert isinstance(policy, Policy)
    for _ in range(3):
        assert policy.decide("", "team999/app", "pull").allowed
    assert policy._rule_for.cache_info().hits == 2


class TestMaintainers:
    def test_they_are_those_who_are_named_and_the_members_of_groups(self) -> None:
        policy = parse_policy(RULES, GROUPS, ["user:carol", "group:dev"])
        assert [user for user in ("alice", "bob", "carol", "ci", "") if policy.maintains(user)] == [
            "alice",
            "bob",
            "carol",
        ]

    def test_without_any_nobody_is_one(self) -> None:
        assert not parse_policy(RULES, GROUPS).maintains("alice")

    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ("user:alice", "maintainers"),
            ([1], "maintainers"),
            (["alice"], "maintainers[0]"),
            (["user:alice", "anonymous"], "maintainers[1]"),
            (["user:"], "maintainers[0]"),
            (["group:nobody"], "maintainers[0]"),
        ],
    )
    def test_what_names_nobody_is_refused(self, value: Any, path: str) -> None:
        with pytest.raises(PolicyError, match="maintainers") as refused:
            parse_policy(RULES, GROUPS, value)
        assert refused.value.path == path
