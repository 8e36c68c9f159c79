"""What the runs of retention have done, in the storage: the tags of each, so that they can be had back.

A run is a number that belongs to whoever creates its first object. The tags are listed, in parts, before they go.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from drivers.base import DriverError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.storage import paths
from registry.storage.listing import objects_below
from registry.storage.names import is_part, is_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.base import StorageDriver

KEPT: Final = 30
"""Reports that stay, of the runs that have untagged something and of the others."""
_LIMIT_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Untagged:
    """A tag that was taken away from the manifest `digest`, or would have been; pushed in seconds since the epoch."""

    repository: str
    tag: str
    digest: str
    pushed: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A repository of whose tags, or signatures, more would have gone than may: `going` of so many `tags`.

    `kind` says of which of the two; an earlier version, which did not refuse signatures, has not said it.
    """

    repository: str
    tags: int
    going: int
    kind: str = "tags"

    def __str__(self) -> str:
        return f"{self.going} of {self.tags} {self.kind} would go"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has done; a dry run would have done it.

    `begun` is in seconds since the epoch, by the clock of the storage. One that is not `ended` broke off, or goes on;
    one that is `scheduled` nobody has typed. `untagged` is how many tags went, `kept` how many would have, and were
    pushed again meanwhile. `refused` are the first of `refusals`: repositories of whose tags, or signatures, more would
    have gone than may.
    """

    run: int
    begun: float
    host: str = ""
    dry_run: bool = False
    scheduled: bool = False
    ended: bool = False
    repositories: int = 0
    untagged: int = 0
    kept: int = 0
    refused: tuple[Refused, ...] = ()
    refusals: int = 0


class Reports:
    """The reports in the storage of `driver`. Every method may raise DriverError."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def begin(self, host: str, *, dry_run: bool = False, scheduled: bool = False) -> Report | None:
        """Begin the next run; None if another host begins it at the same time."""
        run = max(self.numbers(), default=0) + 1
        path = paths.retention_begun(run)
        try:
            told = {"host": host, "dry_run": dry_run, "scheduled": scheduled}
            self._driver.create(path, json.dumps(told).encode())
        except PathExistsError:
            return None
        return Report(run, self._driver.stat(path).modified, host, dry_run, scheduled)

    def list_part(self, run: int, number: int, tags: Sequence[Untagged]) -> None:
        """Write a part of the list of tags, again if it was there."""
        self._driver.put(
            paths.retention_part(run, number), b"\n".join(json.dumps(asdict(tag)).encode() for tag in tags)
        )

    def end(self, report: Report) -> None:
        """Write what a run has done; older reports go."""
        told = asdict(report) | {"refused": [astuple(each) for each in report.refused]}
        self._driver.put(paths.retention_summary(report.run), json.dumps(told).encode())
        self._trim()

    def numbers(self) -> list[int]:
        """Return the numbers of the runs, the earliest first."""
        return [int(name) for name in objects_below(self._driver, paths.RETENTION_REPORTS, is_run)]

    def report(self, run: int) -> Report | None:
        """Return the report of a run; None if there is none. What cannot be understood of it is left out."""
        path = paths.retention_begun(run)
        try:
            begun = self._driver.stat(path).modified
        except PathNotFoundError:
            return None
        told = self._read(path) | self._read(paths.retention_summary(run))
        known = {field.name: told[field.name] for field in fields(Report) if field.name in told}
        known |= {"run": run, "begun": begun, "refused": tuple(Refused(*each) for each in told.get("refused", ()))}
        return Report(**known)

    def all(self) -> Iterator[Report]:
        """Yield all reports, the earliest first."""
        for run in self.numbers():
            report = self.report(run)
            if report:
                yield report

    def tags(self, run: int) -> Iterator[Untagged]:
        """Yield the tags that a run has taken away, or was about to when it broke off."""
        for name in objects_below(self._driver, paths.retention_report(run), is_part):
            yield from self.part(run, int(name))

    def part(self, run: int, number: int) -> list[Untagged]:
        """Return a part of the list of tags."""
        path = paths.retention_part(run, number)
        try:
            lines = self._driver.get(path, limit=_LIMIT_BYTES).splitlines()
            return [Untagged(**json.loads(line)) for line in lines]
        except (ObjectTooLargeError, ValueError, TypeError) as error:
            raise DriverError(f"{path} cannot be understood: {error!r}") from error

    def _read(self, path: str) -> dict[str, Any]:
        try:
            told = json.loads(self._driver.get(path, limit=_LIMIT_BYTES))
        except (PathNotFoundError, ObjectTooLargeError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _trim(self) -> None:
        """Delete the oldest reports: of runs that have untagged something, and of others, so many stay."""
        stay = {True: 0, False: 0}
        for run in reversed(self.numbers()):
            report = self.report(run)
            if report:
                can_be_undone = not report.dry_run and bool(report.untagged or not report.ended)
                stay[can_be_undone] += 1
                if stay[can_be_undone] <= KEPT:
                    continue
            with suppress(PathNotFoundError):
                self._driver.delete(paths.retention_report(run))
