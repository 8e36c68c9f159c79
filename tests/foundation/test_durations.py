from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.foundation import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("60s", 60),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("1m1s1ms1us1ns", 61.001001001),
        ("2µs", 2e-6),
        ("-1s", -1),
        ("+1s", 1),
        ("168h", 604800),
        ("1s1h", 3601),
        ("90d", 90 * 86400),
        ("1d12h", 129_600),
        ("0.5d", 43_200),
    ],
)
def test_a_duration_is_read_as_go_reads_it_and_in_days(text: str, seconds: float) -> None:
    assert durations.parse(text) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "s", "1 s", "1D", "1w", "1h 30m", "1e3s", "one", "--1s", ".s", "1s\n", "\u0661s"),
        *("300000h9999999h", "106752d"),
    ],
)
def test_what_go_would_not_read_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        durations.parse(text)


@pytest.mark.parametrize(("text", "unit"), [("60", "s"), ("1.5", "h"), ("-1", "d"), ("+3", "s"), (".5", "m")])
def test_a_number_without_a_unit_is_no_duration_and_there_is_a_hint(text: str, unit: str) -> None:
    with pytest.raises(ValueError):
        durations.parse(text)
    assert durations.hint(text, unit) == f"; a unit is missing, as in {text}{unit}"
    durations.parse(text + unit)


@pytest.mark.parametrize("text", ["", "s", "1 ", "1e3", "0", "5m", "soon"])
def test_there_is_no_hint_about_what_misses_more_than_a_unit_or_nothing(text: str) -> None:
    assert durations.hint(text) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90.5, "1m30.5s"), (604800, "168h"), (0.000000001, "0.000000001s"), (-60, "-1m")]
)
def test_a_duration_is_spelled_as_go_takes_it(seconds: float, text: str) -> None:
    assert durations.spell(seconds) == text


@given(st.integers(-(2**50), 2**50))
def test_a_duration_survives_being_spelled_and_read(nanoseconds: int) -> None:
    seconds = nanoseconds / durations.NANOSECONDS
    assert durations.parse(durations.spell(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.text(alphabet="0123456789.dhmsnuµ-+ ", max_size=12))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        seconds = durations.parse(text)
    except ValueError:
        return
    assert durations.parse(durations.spell(seconds)) == pytest.approx(seconds, rel=1e-9, abs=1e-9)
