from __future__ import annotations

import pytest

from registry.upstream.via import goes_round, with_own


@pytest.mark.parametrize(
    "came",
    [
        "1.1 cache.example",
        "1.1 edge, 1.1 cache.example",
        "HTTP/1.1 cache.example (comment), 1.0 edge",
        " 1.1  cache.example ,1.1 edge",
        with_own(with_own("", "cache.example"), "other"),
        ", ".join(["1.1 hidden"] * 17),
        "1.1 " + "x" * 5000,
    ],
)
def test_what_has_come_by_here_before_goes_round(came: str) -> None:
    assert goes_round(came, "cache.example")


@pytest.mark.parametrize("came", ["", " ", "1.1 edge", "1.1 cache.example.net", "cache.example", "1.1 x (y)"])
def test_what_has_not_does_not(came: str) -> None:
    assert not goes_round(came, "cache.example")
