from __future__ import annotations

import pytest

from registry.foundation.patterns import Pattern
from tests.growth import grows_linearly


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("a.c", "xabcx", "ac"),
        ("^a", "ab", "ba"),
        (r"\Aa\z", "a", "a\n"),
        ("a$", "ba", "a\n"),
        ("(?i)EXAMPLE", "example", "exampl"),
        ("(?P<host>a)b", "ab", "b"),
        ("(?<host>a)b", "ab", "b"),
        ("[[:alpha:]][[:digit:]]", "a1", "[:"),
        (r"\Qa.b\E", "a.b", "axb"),
        (r"\pL", "ß", "5"),
        (r"\x{df}", "ß", "s"),
        ("(?s)a.b", "a\nb", "ab"),
        ("a.b", "axb", "a\nb"),
        (r"\d", "5", "\u0665"),
        (r"\w", "a", "ß"),
        ("", "", None),
        ("^.$", "\ud800", ""),
        ("\ufffd", "\udfff", "a"),
    ],
)
def test_a_pattern_means_what_it_means_to_the_go_registry(pattern: str, found: str, not_found: str | None) -> None:
    parsed = Pattern.parse(pattern)

    assert parsed.found_in(found)
    assert not_found is None or not parsed.found_in(not_found)
    assert parsed == Pattern.parse(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *["(", ")", "[a", "*a", "a**", "a++", "a{1001}", "(a{1000}){1000}", "[z-a]", "[[:nothing:]]", r"\pX", "\ud800"],
        *[r"a\Z", r"(a)\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?>a)b", "(?P<n>a)(?P=n)", "(?#c)a", r"\u1234"],
        *["(a" * 100_000, "(" * 100_000, "x" * 1_000_000, r"\pL{1000}"],
    ],
    ids=lambda pattern: ascii(pattern[:16]),
)
def test_what_re2_does_not_take_is_refused_in_words(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Pattern.parse(pattern)

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|b|ab)*c$", "a.*a.*a.*a.*c", "(.*)(.*)(.*)(.*)(.*)c"])
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    assert grows_linearly(Pattern.parse(pattern).found_in, lambda size: "a" * size + "b")
