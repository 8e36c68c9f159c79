from __future__ import annotations

import pytest

from registry.config import ConfigurationError
from registry.config.quotas import Quota
from tests.config.forms import configure, refusal

SECTION = "storage:\n  inmemory: {}\n  maintenance:\n    quotas: "
BASE = "version: 0.1\n"


def quotas(text: str) -> tuple[Quota, ...]:
    return configure(SECTION + text, base=BASE).storage.maintenance.quotas


def test_there_are_no_quotas_by_default() -> None:
    assert configure().storage.maintenance.quotas == ()


def test_a_limit_may_have_a_unit_and_a_warning_comes_at_nine_tenths() -> None:
    assert quotas("[{repositories: 'team/**', limit: 500GiB}, {repositories: a, limit: 7, warn: 0}]") == (
        Quota("team/**", 500 * 2**30, 90),
        Quota("a", 7, 0),
    )


def test_variables_may_set_a_quota() -> None:
    variables = {
        "REGISTRY_STORAGE_MAINTENANCE_QUOTAS_0_REPOSITORIES": "team/**",
        "REGISTRY_STORAGE_MAINTENANCE_QUOTAS_0_LIMIT": "1MiB",
    }
    assert configure("", variables).storage.maintenance.quotas == (Quota("team/**", 2**20),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[{limit: 1}]", "[0].repositories: missing: write the repositories that share the quota, for example team/**"),
        ("[{repositories: a, limit: 0}]", "[0].limit: must be more than 0: write how much may be stored"),
        ("[{repositories: a}]", "[0].limit: must be more than 0: write how much may be stored, for example 500GiB"),
        ("[{repositories: a, limit: -1}]", "[0].limit: must be at least 0, not -1"),
        ("[{repositories: a, limit: much}]", '[0].limit: must be a number of bytes such as 10GiB, not "much"'),
        ("[{repositories: a, limit: 1, warn: 101}]", "[0].warn: must be at most 100, not 101"),
        ("[{repositories: 'a**', limit: 1}]", "[0].repositories: 'a**': ** must stand alone between slashes"),
        ("[{repositories: 'a b', limit: 1}]", "[0].repositories: 'a b' is not a pattern for repositories"),
        (
            "[{repositories: a, limit: 1}, {repositories: b, limit: 1}, {repositories: a, limit: 2}]",
            "[2].repositories: a has a quota in quotas[0] already; remove one",
        ),
    ],
)
def test_a_quota_that_cannot_be_obeyed_stops_the_start(text: str, expected: str) -> None:
    assert f"storage.maintenance.quotas{expected}" in refusal(SECTION + text, base=BASE)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        quotas("[{limit: 1}, {repositories: a}]")

    keys = [each.key.removeprefix("storage.maintenance.") for each in caught.value.each]
    assert keys == ["quotas[0].repositories", "quotas[1].limit"]


def test_a_pattern_that_no_repository_can_match_is_warned_of() -> None:
    (warning,) = configure(f"{SECTION}[{{repositories: Team, limit: 1}}]", base=BASE).warnings

    assert warning.startswith("storage.maintenance.quotas[0].repositories: does not match any repository")
