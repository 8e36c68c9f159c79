"""What is expected was written by Go's ``encoding/json``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.encoding import answer, encode, indented

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"repositories": ["a", "a/b"]}, '{"repositories":["a","a/b"]}'),
        ({"name": "a", "tags": []}, '{"name":"a","tags":[]}'),
        ({"b": 1, "a": None}, '{"b":1,"a":null}'),
        ('<b>&"\\', r'"\u003cb\u003e\u0026\"\\"'),
        ({"<": "\u2028\u2029"}, r'{"\u003c":"\u2028\u2029"}'),
        ("\n\r\t\b\f\0\x1f\x7f", '"\\n\\r\\t\\b\\f\\u0000\\u001f\x7f"'),
        ("\u00fc\u20ac\U0001f600", '"\u00fc\u20ac\U0001f600"'),
        ("a\ud800b\udfff", r'"a\ufffdb\ufffd"'),
    ],
)
def test_json_is_written_as_go_does(value: object, written: str) -> None:
    assert encode(value) == written
    assert answer(value) == written + "\n"


@given(JSON)
def test_what_is_written_is_read_as_what_it_was(value: Any) -> None:
    assert json.loads(encode(value).encode()) == value


@given(JSON)
def test_what_is_indented_is_as_the_library_indents_it_with_the_escapes_of_go(value: Any) -> None:
    written = indented(value, "   ")
    assert json.loads(written) == value
    escaped = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
    assert written == json.dumps(value, ensure_ascii=False, indent=3).translate(escaped)
