"""The section ``storage.maintenance.garbagecollection``.

Part of ``values``, whose rules hold here too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from registry.config.errors import ConfigurationError
from registry.config.schema import Mark, Maximum, Minimum

_KEY: Final = "storage.maintenance.garbagecollection"
_HOUR: Final = 3600.0
_WINDOW: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Untagged:
    """``storage.maintenance.garbagecollection.untagged``: whether manifests without a tag go, and at what age."""

    enabled: bool = False
    age_seconds: Annotated[float, Mark.UNIT] = 7 * 24 * _HOUR


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """``storage.maintenance.garbagecollection``; `maxshare` is a percentage of the stored bytes.

    `window` is when a run may begin, see window_of(); `statedirectory` is where a run keeps on disk what it has read,
    for the next one, "" if it keeps nothing.
    """

    enabled: bool = False
    interval_seconds: Annotated[float, Mark.UNIT] = 24 * _HOUR
    window: str = ""
    grace_seconds: Annotated[float, Mark.UNIT] = 12 * _HOUR
    untagged: Untagged = Untagged()
    maxshare: Annotated[int, Minimum(1), Maximum(100)] = 50
    dryrun: bool = False
    statedirectory: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day, by the local clock; both in minutes since midnight. It may reach past midnight."""

    begins: int
    ends: int

    def holds(self, hour: int, minute: int) -> bool:
        """Tell whether that time of day is in it; the minute in which it ends is not."""
        now = hour * 60 + minute
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends


def window_of(section: GarbageCollection) -> Window | None:
    """Return when a run may begin; None if it may at any time.

    Raises:
        ConfigurationError: it cannot be understood.
    """
    if not section.window:
        return None
    found = _WINDOW.fullmatch(section.window)
    if not found:
        raise ConfigurationError(f"{_KEY}.window", "must be two times of a day such as 22:00-05:00")
    first_hour, first_minute, last_hour, last_minute = map(int, found.groups())
    window = Window(first_hour * 60 + first_minute, last_hour * 60 + last_minute)
    if window.begins == window.ends:
        raise ConfigurationError(f"{_KEY}.window", "begins and ends at the same time; leave it out for the whole day")
    return window


def warn_collection(section: GarbageCollection, *, read_only: bool) -> Iterator[str]:
    """Yield a warning for each key that is not obeyed to the letter."""
    if section.grace_seconds < _HOUR:
        yield f"{_KEY}.grace: less than an hour is not safe while others push: 1h is taken"
    if section.enabled and read_only:
        yield f"{_KEY}.enabled: ignored, as the registry is read-only"
    if section.untagged.enabled and section.untagged.age_seconds < section.grace_seconds:
        yield f"{_KEY}.untagged.age: less than grace, which holds for everything that is deleted: grace is taken"
