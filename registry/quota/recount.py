"""Counts what groups have: distinct bytes that their repositories link, told by one walk over links and one over blobs.

Others may push and delete meanwhile. What is pushed during a count may count twice, until the next one; it is never
left out, for what each process has added is read before the walk begins. So whoever counts waits first until all that
was pushed before has been written down. What a garbage collection has condemned does not count.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from drivers.base import PathNotFoundError, is_path
from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest
from registry.quota.ledger import Base, Ledger
from registry.storage import paths
from registry.storage.links import read_link
from registry.storage.parts import Kind, leaf_in, part_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from drivers.base import Found, StorageDriver
    from registry.quota.groups import Group, Groups

FORGOTTEN_SECONDS: Final = 48 * 3600.0
"""How long a process has said nothing whose number, which was counted before, is deleted; it would take a new name."""

WRITTEN_SECONDS: Final = 5.0
"""After how long each process has written down what it had added."""

_SCHEMA: Final = """
    CREATE TABLE links (owner INTEGER, digest TEXT, PRIMARY KEY (owner, digest)) WITHOUT ROWID;
    CREATE TABLE sizes (digest TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""
_SUMS: Final = "SELECT owner, coalesce(sum(size), 0) FROM links JOIN sizes USING (digest) GROUP BY owner"
_BATCH: Final = 1000


def holds_anything(driver: StorageDriver) -> bool:
    """Tell whether anything was ever pushed; else it may be the bare mount point of a storage that is not mounted."""
    return driver.holds(paths.ROOT)


def recount(
    driver: StorageDriver,
    groups: Groups,
    wanted: Sequence[Group],
    rest: Callable[[], None] = lambda: None,
    writing: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Count what the `wanted` of `groups` have, and say so in the storage; the caller has waited, see above.

    `rest` is called after each thousand objects that were looked at. What is written is written within `writing`.

    Raises:
        DriverError: the storage fails; what was said before stays.
    """
    ledger, now = Ledger(driver), time.time()
    before = {group: ledger.base(group.label) or Base() for group in wanted}
    seen = {group: dict(_numbers(ledger, group, before[group])) for group in wanted}
    used = _measured(driver, groups, wanted, rest)
    with writing():
        for group in wanted:
            for process, number in list(seen[group].items()):
                said = ledger.said(group.label, process)
                if said is None or (before[group].seen.get(process) == number and now - said > FORGOTTEN_SECONDS):
                    ledger.forget(group.label, process)
                    del seen[group][process]
            ledger.put_base(group.label, Base(used[group], groups.division, seen[group]))


def _numbers(ledger: Ledger, group: Group, before: Base) -> Iterator[tuple[str, int]]:
    """Yield each process that has added to the group, and how much."""
    for process in {*ledger.processes(group.label), *before.seen}:
        yield process, ledger.added(group.label, process)


def _measured(
    driver: StorageDriver, groups: Groups, wanted: Sequence[Group], rest: Callable[[], None]
) -> dict[Group, int]:
    connection = temporary_database(_SCHEMA)
    try:
        numbers = {group: number for number, group in enumerate(wanted)}
        for prefix in _prefixes(wanted):
            _add_links(driver, connection, groups, numbers, _resting(driver.walk(prefix, leaf_in=leaf_in), rest))
        _add_sizes(driver, connection, _resting(driver.walk(paths.BLOBS, leaf_in=leaf_in), rest))
        used = dict.fromkeys(wanted, 0)
        used.update((wanted[owner], size) for owner, size in connection.execute(_SUMS))
        return used
    finally:
        connection.close()


def _prefixes(wanted: Iterable[Group]) -> Iterator[str]:
    """Yield prefixes, none within another, below which all repositories of the groups lie."""
    last = ""
    for prefix in sorted(f"{_literal(group.pattern)}/" for group in wanted):
        if not last or not prefix.startswith(last):
            last = prefix
            yield prefix.rstrip("/")


def _literal(pattern: str) -> str:
    """Return the prefix of all that a pattern matches, as far as its components could be those of a name."""
    path = paths.REPOSITORIES
    for component in pattern.split("/"):
        below = paths.below(path, component)
        if not is_path(below):  # it has a wildcard, or it is one that no repository has
            break
        path = below
    return path


def _add_links(
    driver: StorageDriver,
    connection: sqlite3.Connection,
    groups: Groups,
    numbers: Mapping[Group, int],
    found: Iterable[Found],
) -> None:
    for each in found:
        part = part_at(each.path)
        if part is None or part.digest is None or part.kind not in {Kind.LAYER, Kind.REVISION}:
            continue
        group = groups.of(part.repository)
        if group is None or group not in numbers:
            continue
        # The Go registry keeps what was pushed by sha512 under its sha256, which the link names.
        whole = each.size == len(str(part.digest))
        target = part.digest if whole else read_link(driver, each.path)
        if target:
            connection.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (numbers[group], str(target)))
            connection.execute("INSERT OR IGNORE INTO sizes VALUES (?, NULL)", (str(target),))


def _add_sizes(driver: StorageDriver, connection: sqlite3.Connection, found: Iterable[Found]) -> None:
    for each in found:
        part = part_at(each.path)
        if part and part.digest:
            connection.execute("UPDATE sizes SET size = ? WHERE digest = ?", (each.size, str(part.digest)))
    # What was pushed again during the walk may not have been met.
    missing = connection.cursor().execute("SELECT digest FROM sizes WHERE size IS NULL ORDER BY digest").fetchmany
    while rows := missing(_BATCH):
        for (digest,) in rows:
            try:
                size = driver.stat(paths.blob_data(Digest.parse(digest))).size
            except PathNotFoundError:
                size = 0
            connection.execute("UPDATE sizes SET size = ? WHERE digest = ?", (size, digest))


def _resting(found: Iterable[Found], rest: Callable[[], None]) -> Iterator[Found]:
    for number, each in enumerate(found, 1):
        yield each
        if number % _BATCH == 0:
            rest()
