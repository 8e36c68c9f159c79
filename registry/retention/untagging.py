"""A run of retention: take away the tags that no rule keeps, and say which in a report.

Manifests stay, which are the garbage collection's. A tag goes only as it was judged: if it was moved or pushed again
meanwhile it stays. The driver compares where it points as it deletes it. A push of the very same manifest is known by
the link of its revision, which every push writes before the tag: if that is not older than the run, the tag stays,
and it is looked at once more when the tag has gone, which comes back then. So no push is lost, unless its two writes
are apart for as long as the run is old.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError
from registry.foundation.pool import Pool
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestUnknownError
from registry.oci.reference import Tag
from registry.retention.judging import batches
from registry.retention.plan import all_repositories
from registry.retention.reports import Refused, Reports, Untagged
from registry.retention.restoring import restore
from registry.retention.signatures import subject_of
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.ports import Repositories, Repository
    from registry.publishing import Publishing
    from registry.retention.judging import Verdict
    from registry.retention.plan import Plan, Share
    from registry.retention.reports import Report

_MOST_REFUSED: Final = 1000


class _PushedAgainError(Exception):
    """The tag is not as it was judged."""


@dataclass(frozen=True, slots=True)
class _AsJudged:
    """The condition that a tag is as it was judged, by a run that has begun at that time."""

    driver: StorageDriver
    repository: Repository
    verdict: Verdict
    begun: float

    def require(self, current: Digest | None) -> None:
        pushed = self.repository.tags.pushed(Tag(self.verdict.tag))
        # A listing may tell fractions of a second where a look at one object does not.
        moved = str(current) != self.verdict.digest or math.floor(pushed) != math.floor(self.verdict.written)
        if moved or self.is_pushed_again() or self._has_subject():
            raise _PushedAgainError

    def is_pushed_again(self) -> bool:
        """Tell whether the manifest was pushed since the run began, under whatever tag."""
        path = paths.revision_link(self.repository.name, Digest.parse(self.verdict.digest))
        try:
            return self.driver.stat(path).modified >= self.begun
        except PathNotFoundError:
            return False

    def _has_subject(self) -> bool:
        """Tell whether this is a signature whose manifest has come meanwhile."""
        subject = subject_of(self.verdict.tag)
        if subject is None:
            return False
        with suppress(DigestInvalidError):
            return self.repository.manifests.has(Digest.parse(subject))
        # Only the beginning of a sha512 is known; few repositories have any.
        return any(str(digest).startswith(subject) for digest in self.repository.manifests.digests())


class Untagging:
    """The run that has begun as `report` says; tags go through `publishing`. It stops when `going_on` is not true.

    `forced`: a repository may lose more of its tags than a run may take. `at_once` tags go at a time.
    """

    def __init__(  # noqa: PLR0913  what it works on, and how
        self,
        driver: StorageDriver,
        repositories: Repositories,
        publishing: Publishing,
        report: Report,
        *,
        forced: bool = False,
        at_once: int = 8,
        going_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.report = report
        self._driver = driver
        self._repositories = repositories
        # A touched manifest would look as if it was pushed again, of which the run may have other tags to take away.
        self._publishing = replace(publishing, touches_untagged=False)
        self._reports = Reports(driver)
        self._forced = forced
        self._at_once = at_once
        self._going_on = going_on
        self._parts = 0

    def run(self, plan: Plan, chosen: Callable[[str], bool] = all_repositories) -> Iterator[Untagged]:
        """Take away the tags that go by `plan` in the repositories that are `chosen`; yield each when it has gone.

        Raises:
            DriverError: the storage failed. What was done until then can be undone.
        """
        for judged in plan.judged(chosen):
            for share in judged.refused(forced=self._forced).values():
                self._refuse(judged.repository, share)
            first = self._parts
            for batch in batches(judged.going_tags(forced=self._forced)):
                yield from self._untag(judged.repository, batch)
            self._touch(judged.repository, first)
            if not self._going_on():
                return
            self.report = replace(self.report, repositories=self.report.repositories + 1)
        self.report = replace(self.report, ended=True)
        self._reports.end(self.report)

    def _refuse(self, repository: str, share: Share) -> None:
        refused = self.report.refused
        if len(refused) < _MOST_REFUSED:
            refused = (*refused, Refused(repository, share.tags, share.going, str(share.kind)))
        self.report = replace(self.report, refused=refused, refusals=self.report.refusals + 1)

    def _untag(self, repository: str, batch: list[Verdict]) -> Iterator[Untagged]:
        """Take away the tags of a batch, which are listed before; none once the run is to stop."""
        if not self._going_on():
            return
        listed = [Untagged(repository, each.tag, each.digest, each.pushed) for each in batch]
        number, self._parts = self._parts, self._parts + 1
        self._reports.list_part(self.report.run, number, listed)
        if self.report.dry_run:
            gone = listed
        else:
            with Pool(self._at_once, thread_name_prefix="retention") as pool:
                removed = pool.map(partial(self._remove, self._repositories.open(repository)), batch)
                gone = [each for each, is_gone in zip(listed, removed, strict=True) if is_gone]
            if len(gone) < len(listed):
                self._reports.list_part(self.report.run, number, gone)
        kept = self.report.kept + len(listed) - len(gone)
        self.report = replace(self.report, untagged=self.report.untagged + len(gone), kept=kept)
        yield from gone

    def _touch(self, repository: str, first: int) -> None:
        """Touch the manifests whose tags have gone, which the parts of the list tell from `first` on.

        So the garbage collection counts from now how long it keeps those that have no tag any more.
        """
        if self.report.dry_run:
            return
        touch = self._repositories.open(repository).manifests.touch
        for number in range(first, self._parts):
            gone = {Digest.parse(each.digest) for each in self._reports.part(self.report.run, number)}
            with Pool(self._at_once, thread_name_prefix="retention") as pool:
                for _ in pool.map(touch, gone):
                    pass

    def _remove(self, repository: Repository, verdict: Verdict) -> bool:
        """Take a tag away if it is as it was judged and the run goes on; tell whether it has gone."""
        if not self._going_on():
            return False
        condition = _AsJudged(self._driver, repository, verdict, self.report.begun)
        try:
            self._publishing.remove_tag(repository, Tag(verdict.tag), condition)
        except (_PushedAgainError, ManifestUnknownError):
            return False
        if condition.is_pushed_again():
            with suppress(ManifestUnknownError):  # it was deleted since
                restore(self._publishing, repository, verdict.tag, Digest.parse(verdict.digest))
                return False
        return True
