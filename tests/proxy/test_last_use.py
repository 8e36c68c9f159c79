from __future__ import annotations

from registry.config.cached import Cached
from registry.oci.digest import Digest
from registry.proxy.eviction.last_use import LastUse
from registry.storage import paths
from registry.storage.parts import Kind
from tests.drivers.failing import FailingDriver
from tests.proxy.caches import DAY, HOUR, Stored, upstream

LAYER = b"layer"
DIGEST = Digest.of(LAYER)
PATH = paths.layer_link("hub/app", DIGEST)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


def age_of(stored: Stored) -> float:
    return stored.now() - stored.driver.stat(PATH).modified


def test_a_use_is_noted_once_a_day_and_costs_nothing_else() -> None:
    stored, clock = Stored(), Clock()
    driver = FailingDriver(stored.driver, fail_at=0)
    uses = LastUse(driver, Cached((upstream(),)), clock=clock)
    stored.blob("hub/app", LAYER, age=3 * DAY)

    uses.used("hub/app", DIGEST, Kind.LAYER)
    assert age_of(stored) < HOUR

    calls = driver.calls
    stored.age(PATH, 2 * DAY)
    clock.passed = DAY - 1
    uses.used("hub/app", DIGEST, Kind.LAYER)
    assert driver.calls == calls
    clock.passed = DAY + 1
    uses.used("hub/app", DIGEST, Kind.LAYER)
    assert age_of(stored) < HOUR


def test_what_another_process_has_noted_is_not_noted_again_until_that_is_a_day_ago() -> None:
    stored, clock = Stored(), Clock()
    stored.blob("hub/app", LAYER, age=20 * HOUR)
    uses = LastUse(stored.driver, Cached((upstream(),)), clock=clock)

    uses.used("hub/app", DIGEST, Kind.LAYER)
    assert age_of(stored) > 19 * HOUR
    stored.age(PATH, 25 * HOUR)
    clock.passed = 5 * HOUR
    uses.used("hub/app", DIGEST, Kind.LAYER)
    assert age_of(stored) < HOUR


def test_where_content_stays_for_hours_only_its_use_is_noted_more_often() -> None:
    stored, clock = Stored(), Clock()
    stored.blob("hub/app", LAYER, age=2 * HOUR)
    uses = LastUse(stored.driver, Cached((upstream(ttl=4 * HOUR),)), clock=clock)

    uses.used("hub/app", DIGEST, Kind.LAYER)

    assert age_of(stored) < HOUR


def test_what_is_gone_or_cannot_be_noted_does_no_harm() -> None:
    stored = Stored()
    uses = LastUse(stored.driver, Cached((upstream(),)))
    uses.used("hub/app", DIGEST, Kind.REVISION)

    stored.blob("hub/app", LAYER, age=3 * DAY)
    for call in (1, 2):
        LastUse(FailingDriver(stored.driver, fail_at=call), Cached((upstream(),))).used("hub/app", DIGEST, Kind.LAYER)
    assert age_of(stored) > 2 * DAY
