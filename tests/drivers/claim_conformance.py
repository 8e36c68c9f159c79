"""The suite that the claims of every driver pass: a test for each sentence of their contract that can be tested.

It is a part of tests/drivers/conformance.py, whose fixtures it uses. What becomes of a claim whose process is stopped
or killed is tried in tests/drivers/test_claims.py and, for files, in tests/drivers/filesystem/test_driver.py.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from drivers.base import Claim, StorageDriver
    from tests.drivers.conformance import Medium

CLAIM = "/docker/claims/1/claim"


class ClaimConformance:
    """Subclass it with the fixtures `driver`, `colleague` and `medium`."""

    def test_a_claim_is_had_by_one_until_it_is_released(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        claim = claimed(driver)

        assert is_held(claim)
        assert driver.claim(CLAIM) is None
        assert colleague.claim(CLAIM) is None
        claim.release()
        assert not is_held(claim)
        assert medium.everything() == set()
        with claimed(colleague) as next_claim:
            assert is_held(next_claim)
            assert driver.claim(CLAIM) is None

        assert not is_held(next_claim)
        assert medium.everything() == set()

    def test_releasing_again_takes_nothing_from_the_next_one(
        self, driver: StorageDriver, colleague: StorageDriver
    ) -> None:
        claim = claimed(driver)
        claim.release()

        with claimed(colleague) as next_claim:
            claim.release()

            assert is_held(next_claim)
            assert driver.claim(CLAIM) is None

    def test_an_exception_releases_a_claim(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        with pytest.raises(ZeroDivisionError), claimed(driver):
            raise ZeroDivisionError

        claimed(colleague).release()

    def test_claims_at_other_paths_are_others(self, driver: StorageDriver, colleague: StorageDriver) -> None:
        others = [f"{CLAIM}-2", CLAIM.replace("/1/", "/2/")]

        with claimed(driver):
            for other in others:
                claimed(colleague, other).release()
            assert colleague.claim(CLAIM) is None

    def test_what_lies_beside_a_claim_stays_when_it_is_released(self, driver: StorageDriver) -> None:
        beside = CLAIM.replace("/claim", "/about")
        driver.put(beside, b"x")

        claimed(driver).release()

        assert driver.get(beside, limit=1) == b"x"
        driver.delete(beside)

    def test_of_many_who_claim_at_a_time_one_has_it_and_all_have_it_in_turn(
        self, driver: StorageDriver, colleague: StorageDriver, medium: Medium
    ) -> None:
        have, most, turns = 0, 0, 0
        count = threading.Lock()
        ended = threading.Event()

        def take_turns(own: StorageDriver) -> None:
            nonlocal have, most, turns
            while not ended.is_set():
                claim = own.claim(CLAIM)
                if claim is None:
                    continue
                with count:
                    have += 1
                    most = max(most, have)
                assert is_held(claim)
                with count:
                    have -= 1
                    turns += 1
                    if turns >= 20:
                        ended.set()
                claim.release()

        with ThreadPoolExecutor(max_workers=6) as pool:
            for future in [pool.submit(take_turns, own) for own in 3 * [driver, colleague]]:
                future.result()

        assert most == 1
        assert medium.everything() == set()


def claimed(driver: StorageDriver, path: str = CLAIM) -> Claim:
    """Claim what nobody has."""
    claim = driver.claim(path)
    assert claim
    return claim


def is_held(claim: Claim) -> bool:
    """Tell whether the claim is held by now; mypy takes an attribute for one that does not change."""
    return claim.held
