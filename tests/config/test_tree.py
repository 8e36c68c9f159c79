from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.config import ConfigurationError
from registry.config.tree import Scalar, dump, parse, plain


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
    ],
)
def test_numbers_are_those_of_the_go_library(text: str, expected: float) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text", ["12:30", "2024-01-01", "2024-01-01T00:00:00Z", "yEs", "0x_", "1.2.3", "=", "'yes'", '"5"', "a:b"]
)
def test_what_looks_like_another_type_elsewhere_is_a_string(text: str) -> None:
    assert value(text) == text.strip("'\"")


def test_a_scalar_keeps_the_text_it_was_written_as() -> None:
    assert parse("key: 0123", "f") == {"key": Scalar("0123", 83)}


def test_of_equal_keys_the_last_one_wins() -> None:
    assert value("1\nkey: 2") == 2


def test_a_merged_mapping_gives_way_to_the_keys_beside_it() -> None:
    tree = plain(parse("base: &b {x: 1, y: 2}\nkey: {<<: *b, y: 3}", "f"))
    assert tree == {"base": {"x": 1, "y": 2}, "key": {"x": 1, "y": 3}}


def test_of_several_merged_mappings_the_first_one_wins() -> None:
    assert value("{<<: [{x: 1}, {x: 2, z: 3}]}") == {"x": 1, "z": 3}


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
        ("a: [1", "f.yml: not YAML: line 1, column 6:"),
        ("a: 1\n\tb: 2", "f.yml: not YAML: line 2, column 1:"),
        ("a: *nobody", "f.yml: not YAML: line 1, column 4: misused anchor, alias or document"),
        ("a: 1\n---\nb: 1", "f.yml: not YAML: line 2, column 1: misused anchor, alias or document"),
        ("a: &x [*x]", "f.yml: not YAML: line 1, column 4: an anchor that contains itself"),
        ("a: !mine 5", "f.yml: not YAML: line 1, column 4: tags are not supported"),
        ("? [a]\n: b", "f.yml: not YAML: line 1, column 3: a key must be a plain word"),
        ("a: {<<: 5}", "f.yml: not YAML: line 1, column 9: << takes mappings"),
        ("a: \x00", "f.yml: not YAML: it holds characters that YAML forbids"),
        ("[" * 5000, "f.yml: nested too deeply"),
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
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
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
