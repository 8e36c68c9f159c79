from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.config import ConfigurationError
from registry.config.tree import Scalar, dump, parse, plain

PROJECT = Path(__file__).parents[2]


def value(text: str) -> object:
    tree = plain(parse(f"key: {text}", "f"))
    assert isinstance(tree, dict)
    return tree["key"]


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "f.yml")
    return str(caught.value)


@pytest.mark.parametrize("text", ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
def test_the_words_for_true_are_those_of_yaml_1_1(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize("text", ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_the_words_for_false_are_those_of_yaml_1_1(text: str) -> None:
    assert value(text) is False


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null_has_five_spellings(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0123", 83),
        ("-0123", -83),
        ("0o17", 15),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("0", 0),
        ("+5", 5),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("089", 89.0),
        ("-_1", -1),
        (".5_0", 0.5),
        ("+.INF", math.inf),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ("!!float 5", 5.0),
        ("!!int '5'", 5),
    ],
)
def test_numbers_are_those_of_the_go_library(text: str, expected: float) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("12:30", "2024-01-01", "2024-01-01T00:00:00Z", "yEs", "0x_", "1.2.3", "=", "'yes'", '"5"', "a:b"),
        *("._5", "1e400", "0x1FFFFFFFFFFFFFFFF", ".iNf", "0o", "09" * 2500 + "x"),
    ],
)
def test_what_looks_like_another_type_elsewhere_is_a_string(text: str) -> None:
    assert value(text) == text.strip("'\"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!mine 5", "5"),
        ("!<mine> 5", "5"),
        ("!!binary aGVsbG8=", "hello"),
        ("!!timestamp 2024-01-01", "2024-01-01"),
        ("!!python/object:os.system x", "x"),
        ("!mine [5]", [5]),
        ("!mine {a: 5}", {"a": 5}),
    ],
)
def test_a_tag_that_is_no_type_of_numbers_makes_a_string_and_says_nothing_of_lists(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key:\t127.0.0.1:5590", "127.0.0.1:5590"),
        ("key: 10s\t# a comment", "10s"),
        ("key: 10s\t", "10s"),
        ("key:\t# a comment\n  10s", "10s"),
        ("key\t: 10s", "10s"),
        ("key: a\tb", "a\tb"),
        ("key: [a,\tb\t,\tc\t]\t", ["a", "b", "c"]),
        ("key: [a,\n\tb]", ["a", "b"]),
        ("key: 'a\n\tb'", "a b"),
    ],
)
def test_a_tab_within_a_line_is_white_space(text: str, expected: object) -> None:
    assert plain(parse(text, "f")) == {"key": expected}


@pytest.mark.parametrize(
    "text",
    [
        "---\nkey: 1\n---\nkey: 2",
        "key: 1\n...\nkey: 2",
        "key: 1\n---\nkey: [",
        "key: 1\n--- @",
        "%YAML 1.1\n---\nkey: 1\n...\n%FOO",
        "{key: 1}\n}",
        "\ufeffkey: 1",
        "key: 1\r\n...\r\nkey: 2",
    ],
)
def test_the_first_document_counts_whatever_comes_after_it(text: str) -> None:
    assert plain(parse(text, "f")) == {"key": 1}


def test_a_scalar_keeps_the_text_it_was_written_as() -> None:
    assert parse("key: 0123", "f") == {"key": Scalar("0123", 83)}


def test_of_equal_keys_the_last_one_wins() -> None:
    assert value("1\nkey: 2") == 2


def test_a_merged_mapping_gives_way_to_the_keys_beside_it() -> None:
    tree = plain(parse("base: &b {x: 1, y: 2}\nkey: {<<: *b, y: 3}", "f"))
    assert tree == {"base": {"x": 1, "y": 2}, "key": {"x": 1, "y": 3}}


def test_of_several_merged_mappings_the_first_one_wins() -> None:
    assert value("{<<: [{x: 1}, {x: 2, z: 3}]}") == {"x": 1, "z": 3}


def test_what_is_merged_later_than_a_key_is_counts_as_it_does_for_the_go_library() -> None:
    assert value("{x: 1, z: 1, <<: {x: 2, y: 2}}") == {"x": 2, "y": 2, "z": 1}


def test_of_equal_anchors_an_alias_means_the_last_one_before_it() -> None:
    assert value("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]


def bomb(levels: int) -> str:
    """Return a few lines that stand for ten to the power of `levels`."""
    lines = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(["l0: &l0 [x, x, x, x, x, x, x, x, x, x]", *lines])


def test_aliases_may_stand_for_some_thousand_values_and_not_for_billions() -> None:
    parse(bomb(4), "f")
    assert "aliases stand for more than 100000 values" in refused(bomb(10))
    merging = bomb(10).replace("[", "{<<: {k: [").replace("]", "]}}")
    assert "aliases stand for more than 100000 values" in refused(merging)


def test_an_alias_is_a_copy_of_its_anchor() -> None:
    tree = parse("a: &x {k: 1}\nb: *x", "f")
    assert isinstance(tree, dict)
    assert tree["a"] == tree["b"]
    assert tree["a"] is not tree["b"]


def test_a_key_is_the_text_that_was_written() -> None:
    assert plain(parse("1: a\nyes: b\n~: c", "f")) == {"1": "a", "yes": "b", "~": "c"}


def test_an_empty_document_is_null() -> None:
    assert plain(parse("# nothing\n", "f")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "f.yml: not YAML: line 2, column 1: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2", "f.yml: not YAML: line 2, column 1: a tab where only spaces may be"),
        ("a:\n\tb: 2", "f.yml: not YAML: line 2, column 1: a tab where only spaces may be"),
        ("a:\r\n  -\tb", "f.yml: not YAML: line 2, column 4: a tab where only spaces may be"),
        ("\ufeffé: [\n@", "f.yml: not YAML: line 2, column 1: found character that cannot start any token"),
        ("a: 1\n \tb: 2", "f.yml: not YAML: line 2, column 4: mapping values are not allowed in this context"),
        ("a: *nobody", "f.yml: not YAML: line 1, column 4: an alias of an unknown anchor"),
        ("a: &x [*x]", "f.yml: not YAML: line 1, column 4: an anchor that contains itself"),
        ("a: {<<: *x, b: &x {}}", "f.yml: not YAML: line 1, column 9: an alias of an unknown anchor"),
        ("a: &x {<<: *x}", "f.yml: not YAML: line 1, column 4: an anchor that contains itself"),
        ("a: !!int x", "f.yml: not YAML: line 1, column 4: it is not of the type that !!int says"),
        ("a: !!float yes", "f.yml: not YAML: line 1, column 4: it is not of the type that !!float says"),
        ("a: !!bool 1", "f.yml: not YAML: line 1, column 4: it is not of the type that !!bool says"),
        ("a: !!binary xx", "f.yml: not YAML: line 1, column 4: !!binary is not the base64 of a text"),
        ("a: !!binary /w==", "f.yml: not YAML: line 1, column 4: !!binary is not the base64 of a text"),
        ('a: "\\U00110000"', "f.yml: not YAML: line 1, column 7: found invalid Unicode character escape code"),
        ("? [a]\n: b", "f.yml: not YAML: line 1, column 3: a key must be a plain word"),
        ("a: {<<: 5}", "f.yml: not YAML: line 1, column 9: << takes mappings"),
        ("a:\n  \x00", "f.yml: not YAML: line 2: control characters are not allowed"),
        ("a: \udce9", "f.yml: not YAML: line 1: incomplete UTF-8 octet sequence"),
        ("[" * 5000, "f.yml: not YAML: line 1, column 1001: exceeded maximum nesting depth"),
        ("[" * 900 + "]" * 900, "f.yml: nested too deeply"),
    ],
)
def test_what_is_not_yaml_is_refused_in_one_line_with_its_place(text: str, expected: str) -> None:
    message = refused(text)
    assert message.startswith(expected)
    assert "\n" not in message


def test_a_tag_constructs_nothing() -> None:
    assert plain(parse("a: !!python/object/apply:os.system [ls]", "f")) == {"a": ["ls"]}


def test_an_error_does_not_repeat_the_line_it_is_about() -> None:
    assert "hunter2" not in refused("secret: [hunter2")
    assert "hunter2" not in refused("secret: *hunter2")


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")))  # PyYAML folds at those it knows as breaks
_INTEGERS = st.integers(-(2**63), 2**64 - 1)  # what is beyond is read as a float
_LEAVES = st.none() | st.booleans() | _INTEGERS | st.floats(allow_nan=False) | _TEXT
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=8)


@settings(deadline=None)
@given(st.dictionaries(_TEXT, _TREES, max_size=4))
def test_what_is_printed_reads_back_to_the_same(data: dict[str, object]) -> None:
    assert plain(parse(dump(data), "f")) == data


@settings(deadline=None)
@given(st.text())
def test_no_text_does_more_than_parse_or_be_refused(text: str) -> None:
    try:
        parse(text, "f")
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017


WITHOUT_LIBYAML = """
import sys
sys.modules["yaml._yaml"] = None
from registry.config import ConfigurationError
from registry.config.tree import parse, plain
assert plain(parse("a: [&x 1, *x, !mine {b: x}]\\n---\\nb: [", "f")) == {"a": [1, 1, {"b": "x"}]}
for refused in ["a:\\t1", "a: '", "\\0", '"\\\\U00110000"', "[" * 5000]:
    try:
        parse(refused, "f")
    except ConfigurationError as error:
        print(error)
"""


def test_where_pyyaml_has_no_libyaml_its_own_parser_reads() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBYAML], check=False, capture_output=True, text=True, cwd=PROJECT
    )
    assert finished.stderr == ""
    assert finished.stdout.splitlines() == [
        "f: not YAML: line 1, column 3: a tab where only spaces may be",
        "f: not YAML: line 1, column 5: found unexpected end of stream",
        "f: not YAML: line 1: special characters are not allowed",
        "f: not YAML: an escaped character does not exist",
        "f: nested too deeply",
    ]
