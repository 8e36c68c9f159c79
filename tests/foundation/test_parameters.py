from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.foundation.errors import ParameterError
from registry.foundation.parameters import Parameters, Section

if TYPE_CHECKING:
    from collections.abc import Callable


def read(value: object) -> Parameters:
    """Give the parameters of a section below another one, with one value."""
    return Parameters({"outer": {"name": value}}).section("outer")


NO_DURATION = "must be a duration like 100ms, 1h30m or 90d"


@pytest.mark.parametrize(
    ("value", "call", "text"),
    [
        (83, lambda p: p.string("name"), "must be a string, not 83; quote it"),
        (True, lambda p: p.string("name"), "must be a string, not True; quote it"),
        (["a-secret"], lambda p: p.string("name"), "must be a string, not a list; quote it"),
        ("", lambda p: p.required_string("name"), "is missing"),
        (None, lambda p: p.required_string("name"), "is missing"),
        ("a", lambda p: p.strings("name"), "must be a list of strings, not 'a'"),
        (["a", 5], lambda p: p.strings("name"), "must be a list of strings, but one is 5; quote it"),
        ("soon", lambda p: p.seconds("name", 1), "must be a duration like 100ms, 1h30m or 90d, not 'soon'"),
        (60, lambda p: p.seconds("name", 1), f"{NO_DURATION}, not 60; a unit is missing, as in 60s"),
        ("-5", lambda p: p.seconds("name", 1), f"{NO_DURATION}, not '-5'; a unit is missing, as in -5s"),
        (True, lambda p: p.seconds("name", 1, bare_unit="s"), "must be a duration like 100ms, 1h30m or 90d, not True"),
        ("-5m", lambda p: p.seconds("name", 1), "must be at least 0s, not -5m"),
        (0, lambda p: p.seconds("name", 1, minimum=1, bare_unit="s"), "must be at least 1s, not 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(value: object, call: Callable[[Parameters], object], text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        call(read(value))
    assert str(caught.value) == f"outer.name: {text}"


@pytest.mark.parametrize("name", ["secretkey", "password", "sessiontoken"])
def test_a_wrong_value_that_is_secret_is_not_shown(name: str) -> None:
    for call in (Parameters.string, Parameters.strings, Parameters.optional_truth):
        with pytest.raises(ParameterError) as caught:
            call(Parameters({name: 83457}), name)
        assert str(caught.value).startswith(f"{name}: must be ")
        assert "83457" not in str(caught.value)


def test_no_error_shows_the_secrets_of_a_url() -> None:
    with pytest.raises(ParameterError, match=r"^endpoint: .*'ftp://\.\.\.@a\.example/\?k=\.\.\.'") as caught:
        Parameters({"endpoint": "ftp://u:hunter2@a.example/?k=hunter2"}).url("endpoint")
    assert "hunter2" not in str(caught.value)


def test_a_value_that_is_not_given_is_the_default() -> None:
    parameters = Parameters({"empty": None})
    for name in ("empty", "absent"):
        assert parameters.string(name, "x") == "x"
        assert parameters.strings(name) == []
        assert parameters.seconds(name, 5) == 5
        assert parameters.value(name) is None


def test_a_bare_number_is_a_duration_only_where_it_has_a_unit() -> None:
    for value in (90, "90", "90s", "1m30s"):
        assert read(value).seconds("name", 1, bare_unit="s") == 90
    assert read("1d").seconds("name", 1) == 86400
    for value in (0, "0"):
        assert read(value).seconds("name", 1) == 0


@pytest.mark.parametrize(
    ("value", "warnings"),
    [
        (90, ["outer.name: 90 means 90s, since it has no unit; write 90s"]),
        ("1.5", ["outer.name: 1.5 means 1.5s, since it has no unit; write 1.5s"]),
        ("90s", []),
        (0, []),
    ],
)
def test_a_number_whose_unit_is_taken_for_granted_is_a_warning(value: object, warnings: list[str]) -> None:
    section = Section({"outer": {"name": value}})
    Parameters(section).section("outer").seconds("name", 1, bare_unit="s")
    assert list(section.warnings()) == warnings


def test_what_nobody_asked_for_is_named_wherever_it_is() -> None:
    section = Section({"a": 1, "b": {"c": 1, "d": 1}, "e": [{"f": 1, "g": 1}, "text", {"h": 1}], "i": {"all": 1}})
    parameters = Parameters(section)
    parameters.value("a")
    parameters.section("b").value("c")
    entries = parameters.value("e")
    assert isinstance(entries, list)
    assert entries[0]["f"] == 1
    assert dict(parameters.mapping("i")) == {"all": 1}

    assert list(section.warnings()) == ["b.d: unknown, ignored", "e[0].g: unknown, ignored", "e[2].h: unknown, ignored"]
