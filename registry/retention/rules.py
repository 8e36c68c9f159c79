"""The rules of ``storage.maintenance.retention``, ready to be asked: of those for a repository one decides."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from registry.foundation import durations
from registry.foundation.globs import Glob
from registry.foundation.wildcards import starred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.config.retention import Keep, Retention, RetentionRule


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `keep`, which has the place `number` in its list."""

    number: int
    keep: Keep
    _tags: tuple[re.Pattern[str], ...] = field(repr=False)

    @classmethod
    def of(cls, number: int, keep: Keep) -> Self:
        """Return the entry that `keep` describes."""
        return cls(number, keep, tuple(re.compile(starred(text, ".")) for text in keep.tags))

    def names(self, tag: str) -> bool:
        """Tell whether `tag` meets the conditions on its name."""
        named = not self._tags or any(pattern.fullmatch(tag) for pattern in self._tags)
        return named and (self.keep.regex is None or self.keep.regex.matches(tag))

    @property
    def counts(self) -> bool:
        """Whether it keeps a number of tags."""
        return self.keep.newest is not None or self.keep.newestversions is not None

    def __str__(self) -> str:
        return f"keep[{self.number}]: {', '.join(self._conditions())}"

    def _conditions(self) -> Iterator[str]:
        keep = self.keep
        if keep.tags:
            yield f"tags {' '.join(keep.tags)}"
        if keep.regex:
            yield f"regex {keep.regex.text}"
        for name in ("newest", "newestversions"):
            if getattr(keep, name) is not None:
                yield f"{name} {getattr(keep, name)}"
        for name in ("pushedwithin", "pulledwithin"):
            seconds = getattr(keep, f"{name}_seconds")
            if seconds is not None:
                yield f"{name} {durations.spell(seconds)}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, which has the place `number` in its list."""

    number: int
    entries: tuple[Entry, ...]
    keepfor_seconds: float | None

    @classmethod
    def of(cls, number: int, rule: RetentionRule) -> Self:
        """Return the rule of the configuration as one that can be asked."""
        entries = tuple(Entry.of(place, keep) for place, keep in enumerate(rule.keep))
        return cls(number, entries, rule.untagged.keepfor_seconds)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, each once for each of its globs, that with the longest glob first."""

    _rules: tuple[tuple[Glob, Rule], ...]
    longest_pull_seconds: float | None
    """The longest time that any rule asks for how long ago a tag was pulled; None if none asks."""

    @classmethod
    def of(cls, section: Retention) -> Self:
        """Return the rules of the section, which was checked (registry.config.retention)."""
        rules = [
            (Glob.parse(text), Rule.of(number, each))
            for number, each in enumerate(section.rules)
            for text in each.repositories
        ]
        # The sort is stable: among globs of one length, the first in the file comes first.
        rules.sort(key=lambda pair: pair[0].length, reverse=True)
        asked = [keep.pulledwithin_seconds for each in section.rules for keep in each.keep]
        return cls(tuple(rules), max((seconds for seconds in asked if seconds is not None), default=None))

    def rule_for(self, repository: str) -> Rule | None:
        """Return the rule that decides for `repository`, if there is one."""
        return next((rule for glob, rule in self._rules if glob.matches(repository)), None)


def asks_for_pulls(section: Retention) -> bool:
    """Tell whether any rule asks how long ago a tag was pulled."""
    return any(keep.pulledwithin_seconds is not None for rule in section.rules for keep in rule.keep)


def asks_for_untagged(section: Retention) -> bool:
    """Tell whether any rule that is in force says how long a manifest without a tag is kept."""
    is_in_force = section.enabled and not section.dryrun
    return is_in_force and any(each.untagged.keepfor_seconds is not None for each in section.rules)


def untagged_keepfor(section: Retention) -> Callable[[str], float | None]:
    """Return what tells, of a repository, for how many seconds a manifest without a tag is kept.

    It gives None where such a manifest stays: where no rule says so, and where retention is off or only tried.
    """
    rules = Rules.of(section) if section.enabled and not section.dryrun else None

    def keepfor(repository: str) -> float | None:
        rule = rules.rule_for(repository) if rules else None
        return rule.keepfor_seconds if rule else None

    return keepfor
