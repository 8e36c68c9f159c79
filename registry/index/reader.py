"""What the workers ask the index: a search, and lists of repositories and tags in other orders than that of names.

Nothing here raises anything for want of an index. Where there is none, or it is damaged, or not complete, or does not
follow changes any more, the answer is None, and the caller looks into the storage. What an answer says may be some
seconds old, two minutes at most.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from registry.browsing.shapes import Hits, Level, Progress, RepositoriesPage
from registry.index import schema
from registry.index.cursors import Cursors
from registry.index.level import level
from registry.index.lists import repositories, tags
from registry.index.searching import search
from registry.oci.errors import DigestInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from registry.browsing.shapes import TagsPage

_MOST_IDLE: Final = 4
_CURRENT_SECONDS: Final = 120.0
"""How old the last change may be that was followed, or the last look for one: the disk may be full."""
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_Answer = TypeVar("_Answer")
_Page = TypeVar("_Page", Hits, Level, RepositoriesPage)
_log = logging.getLogger(__name__)


class Index:
    """The index at `path`, if it is that of the storage with this `identity`; threads may share it.

    A page of what has to be shown to who asks goes on after a cursor, which tells nothing and is of use for the same
    question only; all else leads to the first page. `secret` is that of the registry.
    """

    def __init__(self, path: Path, identity: str, secret: bytes) -> None:
        self._path = path
        self._identity = identity
        self._cursors = Cursors(secret)
        self._idle: deque[tuple[int, sqlite3.Connection]] = deque()

    def search(self, text: str, shows: Callable[[str], bool], after: str = "", limit: int = 50) -> Hits | None:
        """Return what has all words of `text` in its name: repositories, then tags; ``app:v1`` means tags of some.

        There is what `shows` takes by the repository's name, and nothing else.
        """
        return self._page(
            f"search {text}", after, lambda connection, place: search(connection, text, shows, place, limit)
        )

    def level(self, path: str, shows: Callable[[str], bool], after: str = "", limit: int = 50) -> Level | None:
        """Return what lies directly below `path`, as registry.browsing.tree does."""
        return self._page(
            f"level {path}", after, lambda connection, place: level(connection, path, shows, place, limit)
        )

    def tags(self, repository: str, sort: str = "name", after: str = "", limit: int = 50) -> TagsPage | None:
        """Return tags of a repository in an order: ``name``, ``pushed``, ``size``, with ``-`` the other way round.

        Who may know of the repository may know of all its tags: their page goes on after a text that names one.
        """
        return self._answer(lambda connection: tags(connection, repository, sort, after, limit))

    def repositories(
        self, sort: str, shows: Callable[[str], bool], after: str = "", limit: int = 50
    ) -> RepositoriesPage | None:
        """Return repositories in an order, as tags(); a page may be short though there is more."""
        return self._page(
            f"repositories {sort}",
            after,
            lambda connection, place: repositories(connection, sort, shows, place, limit),
        )

    def progress(self) -> Progress | None:
        """Return how far the index is."""
        return self._answer(_progress, complete=False)

    def _page(self, of: str, after: str, ask: Callable[[sqlite3.Connection, str], _Page]) -> _Page | None:
        """Return what `ask` gives from the place on that the cursor `after` leads to, with a cursor to the next."""
        place = self._cursors.read(after, of)
        page = self._answer(lambda connection: ask(connection, place))
        if page is None or page.following is None:
            return page
        return replace(page, following=self._cursors.write(page.following, of))

    def _answer(self, ask: Callable[[sqlite3.Connection], _Answer], *, complete: bool = True) -> _Answer | None:
        try:
            inode, connection = self._take()
        except (sqlite3.Error, OSError, schema.NotAnIndexError) as error:
            _log.debug("there is no index: %s", error)
            return None
        good = False
        try:
            answer = ask(connection) if not complete or _answers(connection) else None
            good = True
        except (sqlite3.Error, ValueError, TypeError, DigestInvalidError) as error:
            self._tell(error)
            return None
        else:
            return answer
        finally:
            if good and len(self._idle) < _MOST_IDLE:
                self._idle.append((inode, connection))
            else:
                connection.close()

    def _take(self) -> tuple[int, sqlite3.Connection]:
        """Return a connection to the file that is there now, and its inode.

        Raises:
            sqlite3.Error, OSError, NotAnIndexError: there is none.
        """
        inode = os.stat(self._path).st_ino  # noqa: PTH116  each answer asks, and a Path takes longer
        while self._idle:
            with suppress(IndexError):  # another thread has taken it
                opened, connection = self._idle.pop()
                if opened == inode:
                    return inode, connection
                connection.close()
        connection = schema.open_to_read(self._path, self._identity)
        # What is beside the file is that of another one if it was replaced as it was opened.
        if os.stat(self._path).st_ino != inode:  # noqa: PTH116  as above
            connection.close()
            raise schema.NotAnIndexError("it was replaced")
        return inode, connection

    def _tell(self, error: Exception) -> None:
        """Leave word for the writer that the file is damaged, if it is: then it makes a new one."""
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _DAMAGED:
            _log.warning("the index cannot be used: %s", error)
            with suppress(OSError):
                schema.damaged_mark(self._path).touch()
        else:
            _log.debug("the index does not answer: %s", error)


def _answers(connection: sqlite3.Connection) -> bool:
    """Tell whether all of the storage was read, and changes since are followed."""
    progress = _progress(connection)
    return progress.complete is not None and progress.is_current


def _progress(connection: sqlite3.Connection) -> Progress:
    state = dict(connection.execute("SELECT key, value FROM state"))
    complete = state.get("scanned")
    query = "SELECT EXISTS (SELECT 1 FROM tags WHERE unread) OR EXISTS (SELECT 1 FROM manifests WHERE unread)"
    (is_unread,) = connection.execute(query).fetchone()
    return Progress(
        complete,
        is_sized=complete is not None and not is_unread,
        repositories=state.get("repositories", 0),
        tags=state.get("tags", 0),
        unread=state.get("unread", 0),
        is_current=time.time() - state.get("through_ns", 0) / 1e9 < _CURRENT_SECONDS,
    )
