"""Configurations as this registry reads them, and as the Go registry's own packages do: random files and variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.clients import require_program, run
from tests.integration.compat.configuration_files import BASES, environments, files
from tests.integration.compat.configurations import SMALLEST, Go, difference, read
from tests.integration.compat.spellings import COLLECTIONS, NEGATIVE_NUMBERS, SCALARS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Go]:
    program = tmp_path_factory.mktemp("go") / "configuration"
    run(require_program("go"), "build", "-o", program, ".", cwd=Path(__file__).with_name("configuration"))
    reader = Go(program)
    with reader.process:
        yield reader
        assert reader.process.stdin
        reader.process.stdin.close()


FIELDS = {
    "string": "http:\n  secret: {}\n",
    "boolean": "http:\n  relativeurls: {}\n",
    "duration": "http:\n  draintimeout: {}\n",
    "integer": "catalog:\n  maxentries: {}\n",
    "word": "log:\n  level: {}\n",
    "section": "http: {}\n",
    "map of lists": "http:\n  headers: {}\n",
    "list": "redis:\n  addrs: {}\n",
    "item": "redis:\n  addrs:\n  - {}\n",
    "item of a flow": "http: {{headers: {{X: [a, {}]}}}}\n",
    "field of any type": "log:\n  fields:\n    f: {}\n",
    "key": "log:\n  fields:\n    {}: v\n",
    "plugin": "auth: {}\n",
    "parameter": "auth:\n  htpasswd:\n    p: {}\n",
}
"""A place for a value of each type that a field of the Go registry's has."""


_FRACTIONS = {"1.5", ".5", "-.5", "+.5", "1e-3", "1_0.5", "1.5_0", "1._5", ".5_0", "-.inf"}
_NEGATIVE = {*NEGATIVE_NUMBERS} - {"-1h-1m"}
DIFFERENT = {
    "duration": {*_FRACTIONS, *_NEGATIVE, "9223372036854775807"},  # cut off; taken; not rounded to the next nanosecond
    "integer": _FRACTIONS,  # cut off
    "word": {"Null", "NULL", "'~'", '"null"', "''", '""', "!!str", "!", "|"},  # an empty one is refused, unless as null
    "key": {"~", "null", "Null", "NULL"},  # the key ""
    "plugin": {"'~'", '"null"'},  # refused
}
"""What this registry does not read as the Go registry does, and in brackets what that one does."""


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_is_the_same_in_a_field_of_each_type(go: Go, field: str) -> None:
    found = {}
    for value in (*SCALARS, *COLLECTIONS):
        file = (SMALLEST + FIELDS[field].format(value)).encode()
        if differing := difference(go.read(file), read(file)):
            found[value] = differing

    assert found == {value: found.get(value, "the same") for value in DIFFERENT.get(field, ())}


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(file=files())
def test_a_file_means_what_it_means_for_the_go_registry(go: Go, file: bytes) -> None:
    here = read(file)

    assert difference(go.read(file), here) is None
    if not any(key in file.replace(b"\0", b"") for key in (b"reportcaller", b"addrs")):  # release 2 has no such keys
        assert difference(go.read(file, release=2), here) is None


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(base=st.sampled_from(BASES), environ=environments())
def test_a_variable_means_what_it_means_for_the_go_registry(go: Go, base: str, environ: dict[str, str]) -> None:
    told, here = go.read(base.encode(), environ), read(base.encode(), environ)

    assert difference(told, here) is None
    for name in environ:
        if f'unrecognized environment variable {name}"' in told.get("warnings", ""):
            assert any(warning.startswith(f"{name}: no such key, ignored") for warning in here["warnings"])


@pytest.mark.parametrize(
    ("text", "is_taken_there"),
    [
        ("log: {fields: {a:}}", True),
        ("log: {fields: {a: [b:, c]}}", True),
        ("http: {draintimeout: 1.5}", True),
        ("log: {fields: {a: " + "[" * 600 + "]" * 600 + "}}", True),
        ("nobody: {a: !!int x}", True),
        ("...\n" + "#\n" * 1000 + "\x00", True),
        ('http: {secret: "\\/"}', False),
        ("log: {fields: {a: [?]}}", False),
        ("log: {fields: {a: !x, b: c}}", False),
        ("log: {fields: {a: !!timestamp x}}", False),
        ("http: {addr: [a], addr: b}", False),
        (
            "a: &a [" + "x, " * 60 + "x]\nlog: {fields: {b: &b [" + "*a, " * 60 + "*a], c: [" + "*b, " * 9 + "*b]}}",
            False,
        ),
    ],
)
def test_what_the_page_on_migrating_says_to_differ_does(go: Go, text: str, *, is_taken_there: bool) -> None:
    file = (SMALLEST + text).encode()

    assert ("values" in go.read(file), "values" in read(file)) == (is_taken_there, not is_taken_there)


def test_a_directive_of_yaml_1_2_is_taken_here_alone(go: Go) -> None:
    file = b"%YAML 1.2\n---\n" + SMALLEST.encode()

    assert ("values" in go.read(file), "values" in read(file)) == (False, True)
