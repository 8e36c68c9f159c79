from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from tests.drivers.conformance import BLOB, UPLOAD, upload
from tests.drivers.failing import FailingDriver, PowerLossError

if TYPE_CHECKING:
    from drivers.base import StorageDriver


def push(driver: StorageDriver) -> None:
    upload(driver, b"content")
    driver.put("/docker/link", b"blob")


def test_a_rehearsal_counts_the_calls_of_driver_and_writer() -> None:
    rehearsal = FailingDriver(InMemoryDriver(), fail_at=0)

    push(rehearsal)

    assert rehearsal.calls == len(["create_upload", "open_upload", "write", "commit", "close", "put"])


@pytest.mark.parametrize("fail_at", range(1, 7))
def test_the_call_at_which_the_power_goes_and_all_later_ones_are_not_made(fail_at: int) -> None:
    inner = InMemoryDriver(lock_seconds=0)
    driver = FailingDriver(inner, fail_at)

    with pytest.raises(PowerLossError):
        push(driver)

    assert driver.power_is_gone
    assert inner.list("/docker", limit=9) == (["blobs"] if fail_at > 4 else [])
    with pytest.raises(PowerLossError):
        driver.get(BLOB, limit=9)
    if 1 < fail_at <= 4:
        inner.open_upload(UPLOAD).close()  # the lock went with the power


def test_the_power_may_go_in_a_walk_and_between_two_deletions() -> None:
    inner = InMemoryDriver()
    for name in "abc":
        inner.put(f"/docker/{name}", b"x")
    found = list(inner.walk("/docker"))
    steps = FailingDriver(inner, fail_at=3).walk("/docker")

    assert [next(steps), next(steps)] == found[:2]
    with pytest.raises(PowerLossError):
        next(steps)
    with pytest.raises(PowerLossError):
        FailingDriver(inner, fail_at=3).discard(found)

    assert list(inner.walk("/docker")) == found[2:]
