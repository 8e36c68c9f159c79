"""What retention would do now: the repositories that a rule is for, and each of their tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from registry.config.cached import NOTHING
from registry.foundation.temporary_database import temporary_database
from registry.retention import history, judging, restored
from registry.retention.history import History
from registry.retention.judging import Judge, Kind
from registry.retention.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drivers.base import StorageDriver
    from registry.config.cached import Cached
    from registry.config.retention import Retention
    from registry.ports import Repositories
    from registry.retention.judging import Verdict

_FOLDED_LONGER_SECONDS: Final = 24 * 3600.0


def all_repositories(repository: str) -> bool:
    """Choose every repository."""
    del repository
    return True


@dataclass(frozen=True, slots=True)
class Share:
    """Of so many tags of a `kind`, `going` go, and no more than `allowed` may."""

    kind: Kind
    tags: int
    going: int
    allowed: int

    @property
    def is_exceeded(self) -> bool:
        """Whether more go than may: then none of this kind goes."""
        return self.going > self.allowed


@dataclass(frozen=True, slots=True)
class Judged:
    """A repository that the rule with the place `rule` decides for; None: there is no rule for it, or one without keep.

    `shares` are those of its tags and of its signatures. What is told of each tag is told until the next repository is
    judged.
    """

    repository: str
    rule: int | None
    shares: tuple[Share, ...]
    _judge: Judge

    def refused(self, *, forced: bool = False) -> dict[Kind, Share]:
        """Return the shares that are exceeded; none is where more may go than maxshare allows."""
        return {} if forced else {share.kind: share for share in self.shares if share.is_exceeded}

    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdict on each tag, in byte order; none where no rule decides."""
        return self._judge.verdicts() if self.rule is not None else iter(())

    def going_tags(self, *, forced: bool = False) -> Iterator[Verdict]:
        """Yield the verdict on each tag that goes, in byte order, but for those that are refused."""
        if self.rule is None:
            return iter(())
        refused = self.refused(forced=forced)
        return (verdict for verdict in self._judge.going() if verdict.kind not in refused)


class Plan:
    """Judges the repositories of a storage by the rules of a section; a context manager, as it has tables on disk.

    `now` is in seconds since the epoch. No rule decides of what is only `cached`: that goes as the configuration of the
    cache says, and comes back when somebody asks for it.
    """

    def __init__(
        self,
        driver: StorageDriver,
        repositories: Repositories,
        section: Retention,
        now: float,
        cached: Cached = NOTHING,
    ) -> None:
        self._cached = cached
        self._driver = driver
        self._repositories = repositories
        self._maxshare = section.maxshare
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
        restored.read(self._driver, self._connection)
        for repository in self._repositories.catalog.names():
            if not chosen(repository):
                continue
            rule = None if self._cached.is_only_cached(repository) else self._rules.rule_for(repository)
            if rule is None or not rule.entries:
                yield Judged(repository, None, (), self._judge)
            else:
                self._judge.judge(repository, rule)
                yield Judged(repository, rule.number, tuple(map(self._share_of, Kind)), self._judge)

    def _share_of(self, kind: Kind) -> Share:
        tags, going = self._judge.counts(kind)
        return Share(kind, tags, going, tags * self._maxshare // 100)
