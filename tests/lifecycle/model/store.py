"""The storage as the model has it, and the calls to it: one blob and the links to it, or to a manifest that names it.

Each call is a function of a Store. It returns every outcome that it may have: the Store behind it and the answer. None
means that the caller has to wait. Whatever is not of interest here is left out: content other than that of the blob,
because a push of a manifest always writes its own; time, but that a link is young or old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

NONE, OLD, YOUNG = 0, 1, 2
"""What a link is. An old one may be condemned; one that was condemned long ago may not be brought back."""


class Run(NamedTuple):
    """What a writer reads of the run."""

    number: int
    is_on: bool


class Store(NamedTuple):
    """The storage, and behind it what clients were told, so that it can be seen what was lost."""

    content: bool
    """Whether the bytes of the blob are there."""
    links: tuple[int, ...]
    condemned: tuple[int, ...]
    tagged: tuple[bool, ...]
    """Whether a tag leads to a manifest that relies on the link of the same index."""
    run: Run = Run(0, is_on=False)
    was_idle: bool = False
    """Whether a writer may believe that no run is on: it has asked a short while ago. No run scans that soon."""
    closed: frozenset[str] = frozenset()
    notices: frozenset[str] = frozenset()

    acknowledged: frozenset[tuple[str, tuple[int, ...]]] = frozenset()
    deleted: frozenset[int] = frozenset()
    """The links, and what relies on them, that users have deleted: nothing is promised of them."""
    aged: bool = False
    """Whether the grace has passed since: what no tag leads to may have gone."""
    under_way: frozenset[int] = frozenset()
    """The clients that have begun and not ended."""
    writing: frozenset[int] = frozenset()
    """Those of them who have a request under way that changes something."""
    unaware: frozenset[int] = frozenset()
    """Those of these who have not read that the run is on."""
    deaths: int = 0


Outcome = tuple[Store, Any]
Call = Callable[[Store, int], list[Outcome] | None]
"""A call by the process with that number."""


class LostError(Exception):
    """Something that was acknowledged is gone, or a promise was broken."""


def changed(values: tuple[Any, ...], at: int, value: object) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def read_run(store: Store, me: int) -> list[Outcome]:
    """Read the run, or rely on what was read of it a short while ago."""
    outcomes = read_run_now(store, me)
    if store.was_idle:
        before = Run(store.run.number - 1, is_on=False)
        outcomes.append((store._replace(writing=store.writing | {me}, unaware=store.unaware | {me}), before))
    return outcomes


def read_run_now(store: Store, me: int) -> list[Outcome]:
    unaware = store.unaware - {me} if store.run.is_on else store.unaware | {me}
    return [(store._replace(writing=store.writing | {me}, unaware=unaware), store.run)]


def put_notice(digests: Iterable[str]) -> Call:
    return lambda store, _: [(store._replace(notices=store.notices | {*digests}), None)]


def wait_while_closed(repository: str, digests: Iterable[str]) -> Call:
    touched = {repository, *digests}
    return lambda store, _: None if store.closed & touched else [(store, None)]


def read_link(link: int) -> Call:
    return lambda store, _: [(store, store.links[link])]


def read_condemned(link: int) -> Call:
    return lambda store, _: [(store, store.condemned[link])]


def read_tag(link: int) -> Call:
    return lambda store, _: [(store, store.tagged[link])]


def has_content(store: Store, _: int) -> list[Outcome]:
    return [(store, store.content)]


def put_content(store: Store, _: int) -> list[Outcome]:
    return [(store._replace(content=True), None)]


def delete_content(store: Store, _: int) -> list[Outcome]:
    return [(store._replace(content=False), None)]


def put_link(link: int) -> Call:
    return lambda store, _: [(store._replace(links=changed(store.links, link, YOUNG)), None)]


def delete_link(link: int) -> Call:
    return lambda store, _: [(store._replace(links=changed(store.links, link, NONE)), None)]


def put_condemned(link: int) -> Call:
    return lambda store, _: [(store._replace(condemned=changed(store.condemned, link, YOUNG)), None)]


def delete_condemned(link: int) -> Call:
    return lambda store, _: [(store._replace(condemned=changed(store.condemned, link, NONE)), None)]


def put_tag(link: int) -> Call:
    return lambda store, _: [(store._replace(tagged=changed(store.tagged, link, value=True)), None)]


def delete_by_user(link: int, *, tag: bool) -> Call:
    """Delete a link, or the tag of what relies on it."""

    def delete(store: Store, _: int) -> list[Outcome]:
        deleted = store.deleted | {link}
        if tag:
            return [(store._replace(tagged=changed(store.tagged, link, value=False), deleted=deleted), None)]
        return [(store._replace(links=changed(store.links, link, NONE), deleted=deleted), None)]

    return delete


def acknowledge(what: str, *links: int) -> Call:
    """Tell a client that it is done: a "tag" stays, what is "untagged" stays until it is old."""

    def tell(store: Store, me: int) -> list[Outcome]:
        acknowledged = store.acknowledged | {(what, links)}
        return [(ended(store._replace(acknowledged=acknowledged), me), None)]

    return tell


def ended(store: Store, me: int) -> Store:
    """Note that a client has no request under way."""
    return store._replace(writing=store.writing - {me}, unaware=store.unaware - {me})


def break_promise(link: int) -> Call:
    """Refuse what a client was told that the repository has."""

    def refuse(store: Store, _: int) -> list[Outcome]:
        if link not in store.deleted:
            raise LostError("a client is refused what it was told of")
        return [(store, None)]

    return refuse


def announce(store: Store, _: int) -> list[Outcome]:
    """Begin a run, also after one that died, and forget notices to the runs before."""
    run, was_idle, none = Run(store.run.number + 1, is_on=True), not store.run.is_on, frozenset[str]()
    return [(store._replace(run=run, was_idle=was_idle, closed=none, notices=none, unaware=store.writing), None)]


def wait_after_announcement(*, for_writers: bool) -> Call:
    """Wait until nobody believes any more that no run is on; and, if so told, until those who did have ended."""

    def wait(store: Store, _: int) -> list[Outcome] | None:
        return None if for_writers and store.unaware else [(store._replace(was_idle=False), None)]

    return wait


def close(what: str) -> Call:
    return lambda store, _: [(store._replace(closed=store.closed | {what}), None)]


def reopen(store: Store, _: int) -> list[Outcome]:
    return [(store._replace(closed=frozenset()), None)]


def read_notices(store: Store, _: int) -> list[Outcome]:
    return [(store, store.notices)]


def end(store: Store, _: int) -> list[Outcome]:
    return [(store._replace(run=Run(store.run.number + 1, is_on=False), closed=frozenset()), None)]


def let_the_grace_pass(store: Store, _: int) -> list[Outcome] | None:
    """Let everything be old if no request is under way, for none takes that long; or let the next run begin at once."""
    at_once: Outcome = store, None
    if store.under_way:
        return [at_once]
    old = store._replace(links=aged(store.links), condemned=aged(store.condemned), aged=True)
    return [at_once, (old, None)]


def aged(links: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(OLD if each else NONE for each in links)


def assert_nothing_is_lost(store: Store) -> None:
    """Raise LostError if what was acknowledged is not there."""
    for what, links in store.acknowledged:
        if not store.deleted.isdisjoint(links) or (what == "untagged" and store.aged):
            continue
        if what == "tag" and not store.tagged[links[0]]:
            raise LostError("a manifest that was acknowledged is gone")
        if not (store.content and all(store.links[each] for each in links)):
            raise LostError(f"what was acknowledged cannot be pulled ({what})")
