"""The run of a garbage collection as all hosts see it, and the notices by which writers tell it what they rely on.

The run is one object, which is never deleted once there was one. A notice is an object of its own.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from drivers.base import CollectingError, DriverError, ObjectTooLargeError, PathNotFoundError, UnavailableError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver

RUN_LIMIT_BYTES: Final = 1024 * 1024
_NOTICE_LIMIT_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds; tests have them shorter.

    `announced` is how long a run waits after it was announced, `cached` for how long a writer believes that none is on,
    `beat` how often a run shows that it lives, `reliance` how long after that it may do what cannot be undone, `margin`
    what is added to the grace, `closed` how long a writer waits for what a run has closed.
    """

    announced: float = 90.0
    cached: float = 20.0
    beat: float = 10.0
    reliance: float = 30.0
    margin: float = 3600.0
    closed: float = 20.0


PACE = Pace()


def age_seconds(grace_seconds: float) -> float:
    """Return how old a condemned link has to be for its bytes to be deleted, and another one to be condemned."""
    return max(grace_seconds, PACE.margin) + PACE.margin


class Phase(StrEnum):
    """What a run is at."""

    IDLE = "idle"
    MARKING = "marking"
    CONDEMNING = "condemning"
    SWEEPING = "sweeping"


@dataclass(frozen=True, slots=True)
class Closed:
    """What a run is about to change: the links of a repository, or the bytes of digests. Writers of it wait."""

    repository: str = ""
    digests: frozenset[str] = frozenset()

    def touches(self, repository: str, digests: Iterable[str]) -> bool:
        """Tell whether a writer to `repository`, who relies on `digests`, has to wait."""
        return (bool(self.repository) and self.repository == repository) or not self.digests.isdisjoint(digests)


@dataclass(frozen=True, slots=True)
class Run:
    """A run, or that none is on; `number` grows when one begins and when it ends."""

    number: int = 0
    phase: Phase = Phase.IDLE
    beat: int = 0
    host: str = ""
    closed: Closed = field(default_factory=Closed)

    @property
    def is_on(self) -> bool:
        return self.phase is not Phase.IDLE

    def dump(self) -> bytes:
        """Return the object that says so."""
        told = asdict(self)
        told["closed"]["digests"] = sorted(self.closed.digests)
        return json.dumps(told).encode()

    @staticmethod
    def load(content: bytes) -> Run:
        """Return what dump() has written.

        Raises:
            ValueError: it is something else.
        """
        try:
            told = json.loads(content)
            closed = Closed(str(told["closed"]["repository"]), frozenset(map(str, told["closed"]["digests"])))
            return Run(int(told["number"]), Phase(told["phase"]), int(told["beat"]), str(told["host"]), closed)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{error!r}") from error


@dataclass(frozen=True, slots=True)
class Notice:
    """What one writer to `repository` makes live, or relies on: digests as text, and tags."""

    repository: str
    digests: tuple[str, ...]
    tags: tuple[str, ...] = ()


def parsed(content: bytes | None) -> Run:
    """Return what the object says; without one, that there was no run yet.

    Raises:
        UnavailableError: it is damaged.
    """
    if content is None:
        return Run()
    try:
        return Run.load(content)
    except ValueError as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{paths.GC_RUN} cannot be understood ({error}): while no garbage collection runs, delete it"
    )


class Runs:
    """The run and the notices in the storage of `driver`. Every method may raise DriverError."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def read(self) -> Run:
        """Return what is said of the run now.

        Raises:
            UnavailableError: it is damaged. Nothing can be pushed until that is mended.
        """
        return parsed(self.content())

    def content(self) -> bytes | None:
        """Return the object that says it, as it is; None if there is none.

        Raises:
            UnavailableError: it is too large to be one.
        """
        try:
            return self._driver.get(paths.GC_RUN, limit=RUN_LIMIT_BYTES)
        except PathNotFoundError:
            return None
        except ObjectTooLargeError as error:
            raise _damaged(error) from error

    def has_condemned(self, repository: str) -> bool:
        """Tell whether a run has condemned anything in `repository` that is not gone yet."""
        return self._driver.holds(paths.condemned(repository))

    def write(self, run: Run) -> None:
        """Say what the run is at."""
        self._driver.put(paths.GC_RUN, run.dump())

    def notify(self, notice: Notice) -> str:
        """Put a notice; return its id. Ids sort by the time of the writer's clock."""
        notice_id = f"{time.time_ns():020}-{secrets.token_hex(8)}"
        self._driver.put(paths.gc_notice(notice_id), json.dumps(asdict(notice)).encode())
        return notice_id

    def notified(self, notice_id: str) -> float:
        """Return when a notice was put, in seconds since the epoch by the clock of the storage.

        Raises:
            CollectingError: it is gone: the run that has read it has ended.
        """
        try:
            return self._driver.stat(paths.gc_notice(notice_id)).modified
        except PathNotFoundError as error:
            raise CollectingError(f"a garbage collection ended at this very moment: {error}") from error

    def notice_ids(self) -> Iterator[str]:
        """Yield the ids of all notices, in order."""
        return objects_below(self._driver, paths.GC_NOTICES, is_notice)

    def notice(self, notice_id: str) -> Notice | None:
        """Return a notice; None if it is gone.

        Raises:
            DriverError: it cannot be understood; what it names must not be touched, and that is not known.
        """
        try:
            told = json.loads(self._driver.get(paths.gc_notice(notice_id), limit=_NOTICE_LIMIT_BYTES))
            return Notice(str(told["repository"]), tuple(map(str, told["digests"])), tuple(map(str, told["tags"])))
        except PathNotFoundError:
            return None
        except (ObjectTooLargeError, ValueError, KeyError, TypeError) as error:
            raise DriverError(f"{paths.gc_notice(notice_id)} cannot be understood: {error!r}") from error
