"""What writers rely on while a run is on, as they tell it in notices; kept on disk, as there may be many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from drivers.base import Found
from registry.foundation.temporary_database import temporary_database
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.lifecycle.findings import Findings
    from registry.lifecycle.own_run import OwnRun
    from registry.storage.runs import Notice

_SCHEMA: Final = """
    CREATE TABLE notices (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE named (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE former (path TEXT, size INTEGER, modified REAL, version TEXT);
"""


class Notices:
    """The notices that were read during one run; a context manager, because it has a file of its own."""

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        self._runs = Runs(driver)
        self._connection = temporary_database(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def note_former(self) -> None:
        """Note the notices that are there; to be called before the run is announced."""
        found = ((each.path, each.size, each.modified, each.version) for each in self._driver.walk(paths.GC_NOTICES))
        self._connection.executemany("INSERT INTO former VALUES (?, ?, ?, ?)", found)

    def discard_former(self, own_run: OwnRun) -> None:
        """Delete the notices that were there before the run was announced.

        Their writers either had their answer by then, so that the scan sees what they wrote, or will see that it is
        another run, and put others.
        """
        former = (Found(*row) for row in self._connection.execute("SELECT * FROM former"))
        self._driver.discard(own_run.while_held(former))

    def read(self, findings: Findings) -> None:
        """Read the notices that have come since; what they name is safe if it was closed before.

        So is what was found that this leads to, such as the signatures of an image to which nothing led until now.

        Raises:
            DriverError: a notice cannot be read. Then nothing may be changed.
        """
        for notice_id in self._runs.notice_ids():
            if self._has("SELECT 1 FROM notices WHERE id = ?", notice_id):
                continue
            notice = self._runs.notice(notice_id)
            named = ((str(digest),) for digest in _named(notice, findings)) if notice else ()
            self._connection.executemany("INSERT OR IGNORE INTO named VALUES (?)", named)
            self._connection.execute("INSERT INTO notices VALUES (?)", (notice_id,))

    def name(self, digest: Digest) -> bool:
        """Tell whether a writer relies on `digest`, in whatever repository."""
        return self._has("SELECT 1 FROM named WHERE digest = ?", str(digest))

    def count(self) -> int:
        """Return how many notices were read."""
        (number,) = self._connection.execute("SELECT count(*) FROM notices").fetchone()
        return int(number)

    def _has(self, question: str, value: str) -> bool:
        return self._connection.execute(question, (value,)).fetchone() is not None


def _named(notice: Notice, findings: Findings) -> Iterator[Digest]:
    for text in notice.digests:
        digest = Digest.parse(text)
        yield digest
        yield from findings.led_to(notice.repository, digest)
