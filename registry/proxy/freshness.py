"""What is remembered of an upstream, and for how long it holds: where tags point, who refers, what is not there.

Where a tag points is what its link says (registry.storage.tags), as for any other. Beside it lies when an upstream was
asked and what it said, for all hosts; and each process remembers that of the tags used last. It is void where the link
says otherwise, so nobody is served what a memory says and the storage does not.

Times are those of the clock of the host that has asked. What one has written that is ahead by more than a thing stays
fresh is not believed.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import ChangedError, DriverError, ObjectTooLargeError, PathExistsError, PathNotFoundError
from registry.foundation.recent import RecentlyUsed
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError
from registry.proxy.flights import Flights
from registry.proxy.meter import NoMeter
from registry.proxy.referrer_lists import ReferrersLists
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.ports import ServedManifest
    from registry.proxy.meter import Meter
    from registry.proxy.referrer_lists import ReferrersList

INTENT_SECONDS: Final = 60.0
"""For how long nobody else moves a tag that somebody has said to be about to move."""
RECORD_SECONDS: Final = 60.0
"""How often it is written down that a tag was looked for, where it is looked for each time."""
STATE_LIMIT_BYTES: Final = 4096
"""Of the state of a tag, at most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TagState:
    """What an upstream has said of a tag: that it pointed to `digest` at the time `checked`, seconds since the epoch.

    With an `intent`, which no other state has, somebody was about to move the tag there, from `former`; None is from
    nowhere. Nothing says then how it came out. If it is `pushed`, somebody has pushed what was cached before.
    """

    digest: Digest
    checked: float
    former: Digest | None = None
    intent: str = ""
    pushed: bool = False

    def covers(self, digest: Digest) -> bool:
        """Tell whether the tag came from the upstream if it points to `digest`."""
        return not self.pushed and (digest == self.digest or (bool(self.intent) and digest == self.former))

    def age(self, now: float) -> float:
        """Return for how many seconds the upstream was not asked."""
        return abs(now - self.checked)

    def is_live_intent(self, now: float) -> bool:
        """Tell whether somebody is moving the tag at present."""
        return bool(self.intent) and self.age(now) < INTENT_SECONDS

    def encode(self) -> bytes:
        """Return the content of the object that holds it."""
        # No other state than that of a cached tag has a "digest".
        members: dict[str, object] = {"pushed" if self.pushed else "digest": str(self.digest), "checked": self.checked}
        if self.intent:
            members |= {"former": str(self.former or ""), "intent": self.intent}
        return json.dumps(members).encode()

    @classmethod
    def decode(cls, content: bytes) -> TagState | None:
        """Return the state for which encode() gives `content`; None if there is none."""
        try:
            members = json.loads(content)
            pushed, former = "pushed" in members, members.get("former")
            state = cls(
                digest=Digest.parse(members["pushed" if pushed else "digest"]),
                checked=members["checked"],
                former=Digest.parse(former) if former else None,
                intent=members.get("intent", ""),
                pushed=pushed,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, DigestInvalidError):
            return None
        return state if type(state.checked) is float and state.encode() == content else None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a tag points: to `digest`, and the manifest itself if it was fetched just now."""

    digest: Digest
    manifest: Manifest | None = None


class Missing:
    """What an upstream does not have, for as long as that is believed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: RecentlyUsed[tuple[str, ...], float] = RecentlyUsed()

    def __contains__(self, key: tuple[str, ...]) -> bool:
        until = self._until.get(key)
        return until is not None and self._clock() < until

    def add(self, key: tuple[str, ...], seconds: float) -> None:
        """Believe for so many seconds that there is none."""
        if seconds > 0:
            self._until.put(key, self._clock() + seconds)


class TagStates:
    """The states of tags, in storage, and in memory those of the tags used last; nothing is written if `read_only`."""

    def __init__(self, driver: StorageDriver, *, read_only: bool = False) -> None:
        self._driver = driver
        self._read_only = read_only
        self._memory: RecentlyUsed[tuple[str, str], TagState] = RecentlyUsed()

    def remembered(self, repository: str, tag: Tag) -> TagState | None:
        """Return what this process remembers, without a look at the storage."""
        return self._memory.get((repository, tag.name))

    def remember(self, repository: str, tag: Tag, state: TagState) -> None:
        """Let this process remember `state`."""
        self._memory.put((repository, tag.name), state)

    def read(self, repository: str, tag: Tag) -> TagState | None:
        """Return what the storage has."""
        try:
            content = self._driver.get(paths.proxied_tag(repository, tag.name), limit=STATE_LIMIT_BYTES)
        except (PathNotFoundError, ObjectTooLargeError):
            return None
        return TagState.decode(content)

    def read_each(self, repository: str, tags: Sequence[str]) -> Iterator[TagState | None]:
        """Yield what the storage has of each of `tags`."""
        where = [paths.proxied_tag(repository, tag) for tag in tags]
        for content in self._driver.get_each(where, limit=STATE_LIMIT_BYTES):
            yield TagState.decode(content) if content else None

    def replace(self, repository: str, tag: Tag, state: TagState, expected: TagState | None) -> bool:
        """Write `state` in place of `expected`, which was read, or of nothing; tell whether it was still that."""
        path, content = paths.proxied_tag(repository, tag.name), state.encode()
        try:
            if expected:
                self._driver.replace(path, content, expected=expected.encode())
            else:
                self._driver.create(path, content)
        except ChangedError:
            return False
        except PathExistsError:
            if self.read(repository, tag):
                return False
            self._driver.put(path, content)  # what is there is not a state
        return True

    def record(self, repository: str, tag: Tag, state: TagState, expected: TagState | None) -> bool:
        """Remember `state`, and write it as replace() does, if anything may be written; tell whether it was written.

        A failure is told in the log only: it is asked again a little sooner.
        """
        self.remember(repository, tag, state)
        if self._read_only:
            return False
        try:
            return self.replace(repository, tag, state, expected)
        except DriverError as error:
            _log.warning("%s: that a tag was looked for was not written down: %s", repository, error)
            return False

    def forget(self, repository: str, tag: Tag, expected: TagState) -> None:
        """Let nothing be known of a tag, unless there is another state by now than `expected`."""
        self._memory.drop((repository, tag.name))
        with suppress(PathNotFoundError, ChangedError):
            self._driver.delete_if(paths.proxied_tag(repository, tag.name), expected=expected.encode())


class Freshness:
    """What a process remembers of all upstreams, and what its threads are asking them now.

    `read_only` is as for TagStates. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        driver: StorageDriver,
        *,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
        meter: Meter | None = None,
    ) -> None:
        self.clock = clock
        self.meter = meter or NoMeter()
        self.states = TagStates(driver, read_only=read_only)
        self.lists = ReferrersLists(driver, read_only=read_only)
        self.missing = Missing(clock)
        self.asked_tags: Flights[Found | None] = Flights()
        self.asked_manifests: Flights[ServedManifest | None] = Flights()
        self.asked_referrers: Flights[ReferrersList | None] = Flights()
