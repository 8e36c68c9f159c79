"""What the last sweep has left: how much is held of each upstream, and what went."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.base import StorageDriver
    from registry.config import Configuration

_LIMIT_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an eviction has done for an upstream: bytes that were and are held, each counted once, and what went.

    It is `full` if more is held than may be, and nothing else may go.
    """

    upstream: str
    size: int
    evicted: int
    tags: int = 0
    manifests: int = 0
    blobs: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """What the last sweep has done, and by which rules; `at` is when it ended, by the clock of the storage."""

    rules: str
    outcomes: tuple[Outcome, ...]
    at: float = 0.0


def rules_of(configuration: Configuration) -> str:
    """Return what differs between rules by which something is evicted."""
    told = [(each.name, each.prefix, asdict(each.cache)) for each in configuration.upstreams]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def last_swept(driver: StorageDriver) -> Swept | None:
    """Return what the last sweep has done; None if there was none, or what it has written cannot be read.

    Raises:
        DriverError: the storage failed.
    """
    try:
        told = json.loads(driver.get(paths.EVICTION_ENDED, limit=_LIMIT_BYTES))
        outcomes = tuple(Outcome(**each) for each in told["outcomes"])
        return Swept(str(told["rules"]), outcomes, driver.stat(paths.EVICTION_ENDED).modified)
    except (PathNotFoundError, ObjectTooLargeError, ValueError, TypeError, KeyError):
        return None


def write_swept(driver: StorageDriver, rules: str, outcomes: Sequence[Outcome]) -> None:
    """Remember what a sweep has done that ends now.

    Raises:
        DriverError: the storage failed.
    """
    told = {"rules": rules, "outcomes": [asdict(each) for each in outcomes]}
    driver.put(paths.EVICTION_ENDED, json.dumps(told).encode())
