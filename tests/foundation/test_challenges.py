from __future__ import annotations

import pytest

from registry.foundation.challenges import Challenge, parse_challenges, token_in

BASIC = Challenge("basic", {"realm": "a"})
BEARER = Challenge("bearer", {"realm": "https://auth.example/token", "service": "registry"})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Bearer realm="https://auth.example/token",service="registry"'], [BEARER]),
        (['bearer  Realm = "https://auth.example/token" , SERVICE=registry'], [BEARER]),
        (['Basic realm="a"', 'Bearer realm="a, b"'], [BASIC, Challenge("bearer", {"realm": "a, b"})]),
        (['Basic realm="a", Bearer realm="x"'], [BASIC, Challenge("bearer", {"realm": "x"})]),
        (["Negotiate, Basic"], [Challenge("negotiate", {}), Challenge("basic", {})]),
        ([r'Basic realm="a\"b\\c"'], [Challenge("basic", {"realm": r'a"b\c'})]),
        (['Bearer scope="repository:a:pull,push"'], [Challenge("bearer", {"scope": "repository:a:pull,push"})]),
        (["", "  ,, "], []),
        (['realm="nobody"'], []),
        (['Bearer realm="open'], [Challenge("bearer", {})]),
        (["Bearer " + 'a="b",' * 10_000, "Basic"], [Challenge("basic", {})]),
    ],
)
def test_challenges_are_told_apart_with_their_parameters(headers: list[str], expected: list[Challenge]) -> None:
    assert parse_challenges(headers) == expected


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b"[]", b"x", b'{"token": 1}', '{"token": "ü"}'.encode()])
def test_what_has_no_token_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        token_in(content)
