"""What drivers over a flat, sorted space of keys have in common: the map from paths to keys, and listing.

A store that lists with the delimiter ``/`` gives the entries ``a-b``, ``a.b`` and ``a/`` in this order, because
``-`` and ``.`` sort before ``/``. The contract wants names by their own bytes: ``a``, ``a-b``, ``a.b``.
"""

from __future__ import annotations

import re
from collections import deque
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import compress, islice
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import (
    Found,
    InvalidPathError,
    PathNotFoundError,
    Result,
    Stat,
    StorageDriver,
    checked_path,
    is_path,
)
from drivers.object_log import ObjectLog
from registry.foundation.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableSequence, Sequence
    from concurrent.futures import Executor, Future

    from drivers.log import Log

KEY_SIZE: Final = 1024
"""Bytes of the longest key: the limit of all three large services."""

READS_AT_ONCE: Final = 16
"""How many small objects a driver reads at a time, for all requests of its process together."""

STEPS_AT_ONCE: Final = 64
"""How many steps a driver does at a time, for all requests of its process together, besides those of their threads."""

DISCARDED_AT_ONCE: Final = 1000
"""Objects that are deleted by one call, or at a time: the most that S3 deletes at once."""

_EARLY = re.compile(r"[-.]")
"""The characters of a name that sort before the delimiter."""


class Keys:
    """Keys below a root: no leading slash, as the Go registry writes them."""

    def __init__(self, root: str) -> None:
        root = root.strip("/")
        self.root: Final = f"{root}/" if root else ""

    def key(self, path: str) -> str:
        """Return the key of the object at `path`.

        Raises:
            InvalidPathError: a driver does not store under it.
        """
        key = self.root + checked_path(path)[1:]
        if len(key) > KEY_SIZE:
            raise InvalidPathError(f"path of {len(key)} bytes, at most {KEY_SIZE} can be stored: {path[:64]}...")
        return key

    def path(self, key: str) -> str:
        """Return the path of the object at `key`, which may be another program's and no valid one."""
        return f"/{key[len(self.root) :]}"

    def prefix(self, path: str) -> str:
        """Return the prefix of the keys of everything below `path`."""
        return self.key(path) + "/"


def no_bytes() -> Generator[bytes]:
    """Return the pieces of an empty range: none, in a generator because a caller may close it."""
    yield from ()


@dataclass(frozen=True, slots=True)
class Page:
    """Entries directly below a prefix, as one answer of the store lists them, in any order and without that prefix.

    An entry is a name or, where it is a prefix of keys, a name and ``/``. `last` is the greatest entry that the
    store has come to, or None if there are no more pages.
    """

    entries: Sequence[str]
    last: str | None


def names_after(entries: Iterable[str], after: str) -> Iterator[str]:
    """Yield the names of `entries` that sort after `after` and are not hidden."""
    for entry in entries:
        name = entry.removesuffix("/")
        if name > after and not name.startswith("."):
            yield name


def first_names(
    pages: Iterable[Page], after: str, limit: int, are_prefixes: Callable[[Sequence[str]], Iterable[bool]]
) -> list[str]:
    """Return the first `limit` names after `after`, each in its own byte order; hidden names are left out.

    `pages` begin at `after` or before it; no entry is smaller than one of an earlier page. When those that were read
    end at ``a-b-c/``, only ``a`` and ``a-b`` can still come and belong before what has been seen: `are_prefixes` tells
    of each such name whether there are keys below it.
    """
    names: set[str] = set()
    for page in pages:
        names.update(names_after(page.entries, after))
        if len(names) < limit:
            continue
        first = sorted(names)[:limit]
        if page.last is not None:
            starts = (page.last[: match.start()] for match in _EARLY.finditer(page.last))
            late = [name for name in starts if after < name < first[-1] and name not in names]
            first = sorted([*first, *compress(late, are_prefixes(late))])[:limit]
        return first
    return sorted(names)


def _without_objects(page: Page) -> Page:
    return Page([entry for entry in page.entries if entry.endswith("/")], page.last)


class FlatStore(Protocol):
    """A bucket or container as FlatDriver sees it. Keys are whole, errors are the contract's."""

    def get(self, key: str, *, limit: int) -> bytes:
        """As StorageDriver.get()."""

    def put(self, key: str, content: bytes) -> None:
        """As StorageDriver.put()."""

    def create(self, key: str, content: bytes) -> None:
        """As StorageDriver.create()."""

    def replace(self, key: str, content: bytes, expected: bytes) -> None:
        """As StorageDriver.replace()."""

    def delete_if(self, key: str, expected: bytes) -> None:
        """As StorageDriver.delete_if()."""

    def stat(self, key: str) -> Stat:
        """As StorageDriver.stat()."""

    def remove_all(self, keys: Iterable[str]) -> None:
        """Delete objects; it is not an error if there is none at some of the keys."""

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """As StorageDriver.read(), but never asked for an empty range."""

    def pages(self, prefix: str, *, after: str, limit: int) -> Iterator[Page]:
        """Yield what lies directly below `prefix`, as first_names() wants it, until nobody asks for more.

        A caller asks for about `limit` names, and seldom for more.
        """

    def hold_any(self, prefixes: Sequence[str]) -> Iterable[bool]:
        """Tell of each prefix whether any key begins with it."""

    def walk(self, prefix: str) -> Iterator[Found]:
        """Yield each object whose key begins with `prefix`, the key in place of the path."""

    def scan(self, prefix: str, *, after: str, limit: int) -> Iterator[Found]:
        """Yield each object whose key begins with `prefix` and comes after the key `after`, in the order of the store.

        A caller asks for about `limit` of them, and seldom for more.
        """

    def discard(self, versions: Mapping[str, str]) -> Iterable[str]:
        """Delete the objects that have these keys and, still, these versions; return the keys of those that have not.

        There are at most DISCARDED_AT_ONCE.

        Raises:
            DriverError: some could not be deleted; all others are.
        """


class FlatDriver(StorageDriver):
    """Objects of `store` under the keys that `root` and their paths give them; a subclass adds deletion and uploads."""

    def __init__(self, store: FlatStore, root: str) -> None:
        self._store = store
        self._keys = Keys(root)
        self._readers = Pool(READS_AT_ONCE, thread_name_prefix="read")
        self._steps = Pool(STEPS_AT_ONCE, thread_name_prefix="step")

    def get(self, path: str, *, limit: int) -> bytes:
        return self._store.get(self._keys.key(path), limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        running: deque[Future[bytes | None]] = deque()
        try:
            for path in paths:
                running.append(self._readers.submit(self._find, path, limit))
                if len(running) == READS_AT_ONCE:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for each in running:
                each.cancel()

    def together(self, *steps: Callable[[], Result]) -> list[Result]:
        return self._steps.together(steps)

    def put(self, path: str, content: bytes) -> None:
        self._store.put(self._keys.key(path), content)

    def create(self, path: str, content: bytes) -> None:
        self._store.create(self._keys.key(path), content)

    def replace(self, path: str, content: bytes, *, expected: bytes) -> None:
        self._store.replace(self._keys.key(path), content, expected)

    def delete_if(self, path: str, *, expected: bytes) -> None:
        self._store.delete_if(self._keys.key(path), expected)

    def stat(self, path: str) -> Stat:
        return self._store.stat(self._keys.key(path))

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        key = self._keys.key(path)
        if stop is not None and stop <= start:
            self._store.stat(key)
            return no_bytes()
        return self._store.stream(key, start, stop)

    def _first(self, prefix: str, pages: Iterable[Page], after: str, limit: int) -> list[str]:
        return first_names(
            pages, after, limit, lambda names: self._store.hold_any([f"{prefix}{name}/" for name in names])
        )

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        prefix = self._keys.prefix(path)
        pages = self._store.pages(prefix, after=after, limit=limit)
        return self._first(prefix, map(_without_objects, pages), after, limit)

    def list(self, path: str, *, after: str = "", limit: int) -> list[str]:
        prefix = self._keys.prefix(path)
        return self._first(prefix, self._store.pages(prefix, after=after, limit=limit), after, limit)

    def walk(self, path: str, *, leaf_in: Callable[[str], str] | None = None) -> Iterator[Found]:
        del leaf_in
        return self._ours(self._store.walk(self._keys.prefix(path)))

    def scan(self, path: str, *, after: str = "", limit: int) -> Sequence[Found]:
        last = self._keys.key(after) if after else ""
        found = self._store.scan(self._keys.prefix(path), after=last, limit=limit)
        return [*islice(self._ours(found), limit)]

    def _ours(self, found: Iterable[Found]) -> Iterator[Found]:
        """Yield by its path each object that was found by its key, but those of other programs."""
        for each in found:
            if is_path(name := self._keys.path(each.path)):
                yield Found(name, each.size, each.modified, each.version)

    def discard(self, found: Iterable[Found]) -> Sequence[str]:
        changed: MutableSequence[str] = []
        rest = iter(found)
        while batch := {self._keys.key(each.path): each.version for each in islice(rest, DISCARDED_AT_ONCE)}:
            changed += map(self._keys.path, self._store.discard(batch))
        return changed

    def start_upload(self, path: str, objects: Iterable[tuple[str, bytes]]) -> None:
        # At once: whoever purges uploads takes one that nothing describes for one that begins just then.
        self.together(partial(self.put_in_order, objects), partial(self.create_upload, path))

    def end_upload(self, path: str, objects: Sequence[str]) -> None:
        del path
        self._store.remove_all(map(self._keys.key, objects))

    def log(self, path: str) -> Log:
        return ObjectLog(self, checked_path(path))


def discard_each(pool: Executor, discard: Callable[[str, str], bool], versions: Mapping[str, str]) -> list[str]:
    """Call `discard` with each key and its version, in `pool`; return the keys for which it is false.

    Raises:
        DriverError: a call has failed; all have been made.
    """
    running = {key: pool.submit(discard, key, version) for key, version in versions.items()}
    wait(running.values())
    return [key for key, discarded in running.items() if not discarded.result()]


class DeletingStore(Protocol):
    """A store that says of a deletion whether there was anything to delete."""

    def remove(self, key: str) -> None:
        """Delete an object; PathNotFoundError if there is none."""

    def remove_below(self, prefix: str) -> bool:
        """Delete every object whose key begins with `prefix`; tell whether there was any."""


def delete_tree(store: DeletingStore, key: str) -> bool:
    """Delete the object at `key` and everything below it; tell whether there was anything."""
    found = False
    with suppress(PathNotFoundError):
        store.remove(key)
        found = True
    return store.remove_below(f"{key}/") or found
