"""A push between any two calls of a repair, and a repair that ends at any call."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.fsck import manifest_damage
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import blob
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.fsck.checking import Checked
from tests.fsck.damaging import CASES, NAME, is_whole, push

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fsck.damaging import Case

REPAIRED = (
    "a tag's link is empty",
    "a tag's link is missing",
    "the manifest of two tags has gone",
    "a manifest's link is empty",
    "a manifest's bytes are missing",
    "a layer's link is missing",
    "a link nobody needs leads nowhere",
    "a layer was cut short",
    "a layer has other bytes",
)
"""One for each way in which something is written or deleted."""
MANY_CALLS = 50
"""A check of a small tree makes more than these."""


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push between two calls has come to its end before the second one: nothing has to be waited for."""
    monkeypatch.setattr(manifest_damage, "_SETTLING_SECONDS", 0.0)


def damaged(case: Case) -> InMemoryDriver:
    driver = InMemoryDriver()
    case.damage(push(driver))
    return driver


def wish_of(case: Case) -> dict[str, Any]:
    return {"deep": "deep" in case.wish, "repair": True, "prune": True, "relinks": case.wish == "relink"}


def push_all(driver: InMemoryDriver) -> None:
    """Push the tree and the blob that no manifest names, as clients would that are told 201 for each."""
    push(driver)
    blob(Repositories(driver).open(NAME), b"spare")


def check_with(other: Callable[[InMemoryDriver], None], medium: InMemoryDriver, moment: int, **wish: Any) -> bool:
    """Check `medium` while `other` happens right before a call; tell whether there are so many calls."""
    driver = InterleavingDriver(medium, moment, lambda: other(medium))
    Checked(driver, **wish)
    return driver.calls >= moment


@pytest.mark.parametrize("name", REPAIRED)
def test_whatever_is_pushed_while_it_is_repaired_stays(name: str) -> None:
    case = CASES[name]
    for moment in count(1):
        medium = damaged(case)
        if not check_with(push_all, medium, moment, **wish_of(case)):
            break
        if name == "a layer has other bytes":
            # A push takes bytes of the right size for good where the medium is one that looks after them itself.
            push_all(medium)
        assert is_whole(medium), moment
        assert Repositories(medium).open(NAME).blobs.has(Digest.of(b"spare")), moment
        assert Checked(medium, deep=True).said == [], moment
    assert moment > MANY_CALLS


@pytest.mark.parametrize("name", REPAIRED)
def test_a_repair_that_ends_at_any_call_is_ended_by_the_next_one(name: str) -> None:
    case = CASES[name]
    for number in count(1):
        medium = damaged(case)
        failing = FailingDriver(medium, fail_at=number)
        with suppress(DriverError):
            Checked(failing, **wish_of(case))
        if not failing.power_is_gone:
            break
        Checked(medium, **wish_of(case))
        push_all(medium)

        assert is_whole(medium), number
        assert Checked(medium, deep=True).said == [], number
    assert number > MANY_CALLS


def test_a_repository_that_is_deleted_meanwhile_is_not_made_again() -> None:
    case = CASES["a layer's link is missing"]
    for moment in count(1):
        medium = damaged(case)
        if not check_with(lambda each: Repositories(each).open(NAME).delete(), medium, moment, **wish_of(case)):
            break
        assert medium.list(paths.manifests(NAME), limit=9) == [], moment
    assert moment > MANY_CALLS
