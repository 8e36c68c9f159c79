from __future__ import annotations

import pytest

from registry.config import ConfigurationError
from registry.config.collection import GarbageCollection, Untagged, Window, window_of
from registry.config.loading import parse
from tests.config.forms import configure

BASE = "version: 0.1\nstorage: {inmemory: , maintenance: {garbagecollection: {%s}, readonly: {enabled: %s}}}\n"


def section(text: str, *, read_only: str = "false") -> tuple[GarbageCollection, tuple[str, ...]]:
    configuration = configure(base=BASE % (text, read_only))
    return configuration.storage.maintenance.garbagecollection, configuration.warnings


def test_nothing_is_collected_by_default_and_then_daily_with_a_grace_of_half_a_day() -> None:
    expected = GarbageCollection(
        enabled=False,
        interval_seconds=86400,
        window="",
        grace_seconds=43200,
        untagged=Untagged(enabled=False, age_seconds=7 * 86400),
        maxshare=50,
        dryrun=False,
        statedirectory="",
    )
    assert section("") == (expected, ())


def test_all_of_it_can_be_set() -> None:
    text = (
        "enabled: true, interval: 6h, window: 22:00-05:00, grace: 1h, untagged: {enabled: true, age: 30d},"
        " maxshare: 100, dryrun: true, statedirectory: /var/cache/registry"
    )
    expected = GarbageCollection(
        enabled=True,
        interval_seconds=6 * 3600,
        window="22:00-05:00",
        grace_seconds=3600,
        untagged=Untagged(enabled=True, age_seconds=30 * 86400),
        maxshare=100,
        dryrun=True,
        statedirectory="/var/cache/registry",
    )
    assert section(text) == (expected, ())


@pytest.mark.parametrize(
    "window", ["22:00", "22-05", "24:00-05:00", "22:60-05:00", "22:00-05:00 UTC", "nightly", "22:00 - 05:00", "22:00-"]
)
def test_a_window_that_is_not_two_times_stops_the_start_and_names_its_key(window: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        section(f"window: '{window}'")
    assert str(caught.value) == (
        "storage.maintenance.garbagecollection.window: must be two times of a day such as 22:00-05:00"
    )


def test_a_window_that_is_never_open_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="begins and ends at the same time"):
        section("window: 05:00-05:00")


def test_a_wrong_window_is_told_with_the_line_that_it_is_in() -> None:
    text = "version: 0.1\nstorage:\n  inmemory:\n  maintenance:\n    garbagecollection:\n      window: later\n"
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "/etc/c.yml", {})
    assert caught.value.line.startswith("/etc/c.yml:6: storage.maintenance.garbagecollection.window: ")


@pytest.mark.parametrize(("key", "value"), [("maxshare", 0), ("maxshare", 101), ("interval", 24), ("grace", "-1h")])
def test_what_no_run_could_obey_stops_the_start(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"garbagecollection.{key}"):
        section(f"{key}: {value}")


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (Window(22 * 60, 5 * 60), [(22, 0), (23, 59), (0, 0), (4, 59)], [(5, 0), (21, 59), (12, 0)]),
        (Window(60, 90), [(1, 0), (1, 29)], [(0, 59), (1, 30), (23, 0)]),
    ],
)
def test_a_window_holds_its_first_minute_and_not_its_last_also_across_midnight(
    window: Window, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
) -> None:
    assert all(window.holds(*each) for each in inside)
    assert not any(window.holds(*each) for each in outside)


def test_no_window_is_any_time() -> None:
    assert window_of(GarbageCollection()) is None
    assert window_of(GarbageCollection(window="9:30-10:00")) == Window(570, 600)


@pytest.mark.parametrize(
    ("text", "read_only", "key"),
    [
        ("grace: 59m", "false", "grace"),
        ("enabled: true", "true", "enabled"),
        ("untagged: {enabled: true, age: 1h}", "false", "untagged.age"),
    ],
)
def test_what_is_not_obeyed_to_the_letter_is_a_warning(text: str, read_only: str, key: str) -> None:
    (warning,) = section(text, read_only=read_only)[1]
    assert warning.startswith(f"storage.maintenance.garbagecollection.{key}: ")
