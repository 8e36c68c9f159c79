"""``storage.maintenance.retention``: which tags stay, and what is wrong with what somebody says of it.

Annotations are evaluated, as those of ``values`` are, so this module does not postpone them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Final

from registry.config.errors import ConfigurationError, Findings
from registry.config.schema import Mark, Maximum, Minimum
from registry.foundation.globs import Glob
from registry.foundation.patterns import Pattern
from registry.oci.reference import is_name, is_tag

KEY: Final = "storage.maintenance.retention"
_TAG_PATTERN: Final = re.compile(r"[A-Za-z0-9._*?-]{1,512}")


@dataclass(frozen=True, slots=True)
class Keep:
    """``rules[].keep[]``: conditions, of which a tag has to meet all of those that are given.

    `tags` are wildcards, `regex` matches the whole tag. `newest` and `newestversions` count the tags that meet the
    other conditions.
    """

    tags: tuple[str, ...] = ()
    regex: Pattern | None = None
    newest: Annotated[int, Minimum(1)] | None = None
    newestversions: Annotated[int, Minimum(1)] | None = None
    pushedwithin_seconds: Annotated[float, Mark.UNIT] | None = None
    pulledwithin_seconds: Annotated[float, Mark.UNIT] | None = None


@dataclass(frozen=True, slots=True)
class Untagged:
    """``rules[].untagged``: how long a manifest without a tag is kept; for ever where nothing is said."""

    keepfor_seconds: Annotated[float, Mark.UNIT] | None = None


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """``rules[]``; a tag stays that any entry of `keep` keeps, and all tags stay where there is none."""

    repositories: tuple[str, ...] = ()
    keep: tuple[Keep, ...] = ()
    untagged: Untagged = Untagged()


@dataclass(frozen=True, slots=True)
class Retention:
    """``storage.maintenance.retention``; `maxshare` is in percent of the tags of a repository."""

    enabled: bool = False
    dryrun: bool = True
    interval_seconds: Annotated[float, Mark.UNIT, Mark.ZERO_IS_DEFAULT] = 24 * 3600.0
    maxshare: Annotated[int, Maximum(100)] = 20
    rules: tuple[RetentionRule, ...] = ()


def refuse_wrong_retention(section: Retention) -> None:
    """Return if every rule of the `section` says which repositories and which tags it means.

    Raises:
        ConfigurationError: one does not.
    """
    findings = Findings()
    owners: dict[str, int] = {}
    for number, rule in enumerate(section.rules):
        key = f"{KEY}.rules[{number}]"
        with findings.gathered():
            if not rule.repositories:
                raise ConfigurationError(f"{key}.repositories", "must name repositories, such as ['ci/**']")
        for index, text in enumerate(rule.repositories):
            with findings.gathered():
                _check_glob(text, f"{key}.repositories[{index}]", owners.setdefault(text, number), number)
        for index, keep in enumerate(rule.keep):
            with findings.gathered():
                _check_keep(keep, f"{key}.keep[{index}]")
    findings.conclude()


def warn_retention(section: Retention) -> Iterator[str]:
    """Yield a warning for what can hardly be meant."""
    if section.enabled and not section.rules:
        yield f"{KEY}.enabled: has no effect without {KEY}.rules"
    for number, rule in enumerate(section.rules):
        yield from _warn_of_patterns(rule, f"{KEY}.rules[{number}]")


def _warn_of_patterns(rule: RetentionRule, key: str) -> Iterator[str]:
    for index, text in enumerate(rule.repositories):
        if not is_name(_shortest(text)):
            yield f"{key}.repositories[{index}]: {text!r} matches no name that a repository can have"
        elif text != text.lower():
            # The Go registry takes capitals in a first component, for a host, but docker refuses to push such a name.
            yield f"{key}.repositories[{index}]: {text!r} has capitals; names of repositories are in lower case"
    for place, keep in enumerate(rule.keep):
        for index, text in enumerate(keep.tags):
            if not is_tag(_shortest(text)):
                yield f"{key}.keep[{place}].tags[{index}]: {text!r} matches no name that a tag can have"


def _shortest(pattern: str) -> str:
    """Return a text that `pattern` matches, and that is a name if any that it matches is one.

    A letter may stand wherever a name has another character, and no name ends where a letter cannot follow.
    """
    return re.sub(r"\*+|\?", "a", pattern)


def _check_glob(text: str, key: str, owner: int, number: int) -> None:
    try:
        Glob.parse(text)
    except ValueError as error:
        raise ConfigurationError(key, str(error)) from None
    if owner != number:
        raise ConfigurationError(key, f"{text!r} is in rules[{owner}], too: one rule decides, make them one")


def _check_keep(keep: Keep, key: str) -> None:
    if keep == Keep():
        names = ", ".join(field.name.removesuffix("_seconds") for field in fields(Keep))
        raise ConfigurationError(key, f"must have at least one of {names}")
    for index, text in enumerate(keep.tags):
        if not _TAG_PATTERN.fullmatch(text):
            raise ConfigurationError(f"{key}.tags[{index}]", f"{text!r} is not a pattern for tags, such as 'v*'")
    if keep.regex and not keep.regex.text:
        raise ConfigurationError(f"{key}.regex", "must not be empty: it would match no tag")
    for name in ("pushedwithin", "pulledwithin"):
        if getattr(keep, f"{name}_seconds") == 0:
            raise ConfigurationError(f"{key}.{name}", "must be longer than 0s, which would keep nothing")
