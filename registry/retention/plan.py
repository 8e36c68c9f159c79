"""What retention would do now: the repositories that a rule is for, and each of their tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from registry.foundation.temporary_database import temporary_database
from registry.retention import history, judging
from registry.retention.history import History
from registry.retention.judging import Judge
from registry.retention.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config.retention import Retention
    from registry.ports import Repositories
    from registry.retention.judging import Verdict

_FOLDED_LONGER_SECONDS: Final = 24 * 3600.0


def all_repositories(repository: str) -> bool:
    """Choose every repository."""
    del repository
    return True


@dataclass(frozen=True, slots=True)
class Judged:
    """A repository that the rule with the place `rule` decides for; None: there is no rule for it, or one without keep.

    It has `tags`, of which `going` go, signatures not counted, and may lose no more than `allowed`. What is told of
    each tag is told until the next repository is judged.
    """

    repository: str
    rule: int | None
    tags: int
    going: int
    allowed: int
    _judge: Judge

    @property
    def refused(self) -> bool:
        """Whether more tags go than may."""
        return self.going > self.allowed

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdict on each tag, in byte order; none where no rule decides."""
        return self._judge.verdicts() if self.rule is not None else iter(())

    def going_tags(self) -> Iterator[Verdict]:
        """Yield the verdict on each tag that goes, in byte order."""
        return self._judge.going() if self.rule is not None else iter(())


class Plan:
    """Judges the repositories of a storage by the rules of a section; a context manager, as it has tables on disk.

    `now` is in seconds since the epoch.
    """

    def __init__(self, driver: StorageDriver, repositories: Repositories, section: Retention, now: float) -> None:
        self._repositories = repositories
        self._share = section.maxshare
        self._now = now
        self._rules = Rules.of(section)
        self._connection = temporary_database(judging.TABLES + history.TABLES)
        self._history = History(driver, self._connection)
        self._judge = Judge(driver, self._connection, self._history, now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def read_pulls(self) -> None:
        """Read what is known of pulls, if a rule asks for it.

        Raises:
            DriverError: the storage failed.
        """
        if self._rules.longest_pull_seconds is not None:
            self._history.read(self._now)

    def fold_pulls(self) -> None:
        """Write what was read of pulls as one again.

        Raises:
            DriverError: the storage failed.
        """
        if self._rules.longest_pull_seconds is not None:
            self._history.fold(self._now, self._rules.longest_pull_seconds + _FOLDED_LONGER_SECONDS)

    def judged(self, chosen: Callable[[str], bool] = all_repositories) -> Iterator[Judged]:
        """Yield each repository that is `chosen`, judged.

        Raises:
            DriverError: the storage failed.
        """
        for repository in self._repositories.catalog.names():
            if not chosen(repository):
                continue
            rule = self._rules.rule_for(repository)
            if rule is None or not rule.entries:
                yield Judged(repository, None, 0, 0, 0, self._judge)
            else:
                self._judge.judge(repository, rule)
                tags, going = self._judge.counts()
                yield Judged(repository, rule.number, tags, going, tags * self._share // 100, self._judge)
