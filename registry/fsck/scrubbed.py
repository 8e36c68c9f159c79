"""What is remembered of the scrub, in the storage: how far it is, or when it ended and what it has found."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths

if TYPE_CHECKING:
    from drivers.base import StorageDriver

_LONGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A scrub. Times are in seconds since 1970, by the clock of the host that scrubs.

    `at` is how far it had come at `noted`; `ended` is 0 while it is under way. `damaged` is what it has found so far.
    """

    host: str = ""
    at: str = ""
    noted: float = 0.0
    ended: float = 0.0
    damaged: int = 0


def read_scrubbed(driver: StorageDriver) -> Scrubbed:
    """Return what is remembered; what cannot be understood is none."""
    try:
        told = json.loads(driver.get(paths.SCRUB, limit=_LONGEST))
        return Scrubbed(
            str(told["host"]), str(told["at"]), float(told["noted"]), float(told["ended"]), int(told["damaged"])
        )
    except (PathNotFoundError, ObjectTooLargeError, ValueError, KeyError, TypeError):
        return Scrubbed()


def write_scrubbed(driver: StorageDriver, scrubbed: Scrubbed) -> None:
    """Remember it, as of now."""
    driver.put(paths.SCRUB, json.dumps(asdict(replace(scrubbed, noted=time.time()))).encode())


def settle(driver: StorageDriver) -> None:
    """Remember that what the last scrub has found is damage no more."""
    scrubbed = read_scrubbed(driver)
    if scrubbed.damaged:
        write_scrubbed(driver, replace(scrubbed, damaged=0))
