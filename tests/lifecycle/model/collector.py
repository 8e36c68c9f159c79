"""A garbage collection, step by step: it scans, condemns the links that nothing leads to, and sweeps what it once has.

`without` names parts of the protocol that are left out, to see what is lost then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lifecycle.model.store import (
    OLD,
    YOUNG,
    announce,
    close,
    delete_condemned,
    delete_content,
    delete_link,
    end,
    let_the_grace_pass,
    put_condemned,
    read_condemned,
    read_link,
    read_notices,
    read_tag,
    reopen,
    wait_after_announcement,
)
from tests.lifecycle.model.writers import BLOB

if TYPE_CHECKING:
    from tests.lifecycle.model.exploring import Steps


@dataclass(frozen=True)
class Collector:
    """So many `runs` over the links of `repositories`, each of which has the link of the same index, to `digests`.

    What is linked `below` a link is what the manifest there names. If it `waits`, a run waits for writers who are not
    aware of it. It reads tags before links if `tags_first`.
    """

    repositories: tuple[str, ...] = ("a", "b")
    digests: tuple[str, ...] = (BLOB, BLOB)
    below: tuple[tuple[int, ...], ...] = ((), ())
    runs: int = 2
    waits: bool = True
    tags_first: bool = False
    without: frozenset[str] = frozenset()

    def collect(self, deaths: int) -> Steps:
        """Do all runs but those that have died."""
        left = self.runs - deaths
        while left > 0:
            yield from self._run()
            left -= 1
            if left:
                yield let_the_grace_pass

    def _run(self) -> Steps:
        yield announce
        yield wait_after_announcement(for_writers=self.waits)
        condemnable, sweepable = yield from self._scan()
        for link in condemnable:
            yield from self._condemn(link)
        if sweepable:
            yield from self._sweep()
        yield end

    def _scan(self) -> Steps:
        """Return which links are old and nothing leads to them, and whether the bytes may go.

        They may if nothing leads to them, no link does, and each link to them was condemned long ago, by an earlier
        run. What is young is kept, and so is all that it leads to.
        """
        tags: tuple[bool, ...] = ()
        if self.tags_first:
            tags = yield from self._read_tags()
        condemned: tuple[int, ...] = ()
        links: tuple[int, ...] = ()
        for number in range(len(self.repositories)):
            found = yield read_condemned(number)
            condemned += (found,)
            found = yield read_link(number)
            links += (found,)
        if not self.tags_first:
            tags = yield from self._read_tags()
        reached = {link for link, age in enumerate(links) if tags[link] or age == YOUNG}
        reached |= {below for link in reached if links[link] for below in self.below[link]}
        condemnable = tuple(link for link, age in enumerate(links) if age == OLD and link not in reached)
        to_blob = [link for link, digest in enumerate(self.digests) if digest == BLOB]
        kept = any(link in reached or links[link] or condemned[link] == YOUNG for link in to_blob)
        if "two runs" in self.without:
            kept = any(link in reached for link in to_blob)
        return condemnable, not kept

    def _read_tags(self) -> Steps:
        tags: tuple[bool, ...] = ()
        for number in range(len(self.repositories)):
            found = yield read_tag(number)
            tags += (found,)
        return tags

    def _condemn(self, link: int) -> Steps:
        """Move a link aside, if nobody relies on it and it is still the old one."""
        relied_on = yield from self._close(self.repositories[link], self.digests[link])
        if not relied_on:
            yield put_condemned(link)
            found = yield read_link(link)
            if found == OLD:
                yield delete_link(link)
        yield reopen

    def _sweep(self) -> Steps:
        """Delete the bytes, and what is left of the links, if nobody relies on them."""
        relied_on = yield from self._close(BLOB, BLOB)
        if not relied_on or "notices" in self.without:
            yield delete_content
            for link, digest in enumerate(self.digests):
                if digest == BLOB:
                    yield delete_condemned(link)
        yield reopen

    def _close(self, what: str, digest: str) -> Steps:
        """Close a repository or the blob, and tell whether a writer relies on `digest`."""
        if "closing" in self.without:
            notices = yield read_notices
        elif "closing first" in self.without:
            notices = yield read_notices
            yield close(what)
        else:
            yield close(what)
            notices = yield read_notices
        return digest in notices
