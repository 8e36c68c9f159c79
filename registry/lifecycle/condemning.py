"""Condemning: a link to which nothing leads is moved to where no client looks, and a push still finds it.

Nothing is lost yet. A client pulls by a link, so it finds nothing from now on; a manifest that is pushed within the
grace and names what was condemned has the link put back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from registry.lifecycle.own_run import clock
from registry.storage import runs
from registry.storage.links import condemn_links
from registry.storage.parts import Kind
from registry.storage.runs import Closed, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.base import StorageDriver
    from registry.lifecycle.findings import Findings
    from registry.lifecycle.notices import Notices
    from registry.lifecycle.own_run import OwnRun
    from registry.publishing import Publishing
    from registry.storage.links import FoundLink

_MOVES: Final = 100
"""Links that are moved by one call."""
_SHARE: Final = 0.25
"""For how much of the time for which a writer waits a repository is closed without a break."""


class Condemning:
    """Moves links of one run."""

    def __init__(self, driver: StorageDriver, own_run: OwnRun, notices: Notices, publishing: Publishing) -> None:
        self._driver = driver
        self._own_run = own_run
        self._notices = notices
        self._publishing = publishing
        self.manifests = 0
        self.blobs = 0

    def condemn(self, findings: Findings, between: Callable[[], None]) -> None:
        """Condemn what was found; `between` is called where nothing is closed.

        Raises:
            DriverError, RunLostError: what is closed stays closed.
        """
        for repository, links in findings.condemnable():
            rest = deque(links)
            while rest:
                self._own_run.close(Phase.CONDEMNING, Closed(repository))
                self._notices.read(findings)
                until = clock() + _SHARE * runs.PACE.closed
                while True:
                    batch = [rest.popleft() for _ in range(min(_MOVES, len(rest)))]
                    self._move(repository, [link for link in batch if not self._notices.name(link.digest)])
                    if not rest or clock() >= until:
                        break
                self._own_run.open()
                between()

    def _move(self, repository: str, links: Sequence[FoundLink]) -> None:
        """Move the links that are as they were found, and tell of each of them."""
        self._own_run.require()
        moved = condemn_links(self._driver, repository, links, self._own_run.while_held)
        for link, is_moved in zip(links, moved, strict=True):
            if is_moved:
                self._tell(repository, link)

    def _tell(self, repository: str, link: FoundLink) -> None:
        if link.kind is Kind.REVISION:
            self.manifests += 1
            self._publishing.tell_of_condemned_manifest(repository, link.digest)
        else:
            self.blobs += 1
            self._publishing.tell_of_condemned_blob(repository, link.digest)
