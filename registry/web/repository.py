"""The page of a repository: its tags, what is nested in its name, and what the visitor may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from flask import request

from registry.browsing.repository import SORTS
from registry.browsing.tree import level
from registry.handlers.context import hand_over
from registry.handlers.current import services
from registry.handlers.looking import tags_of
from registry.oci.errors import NameUnknownError
from registry.quota.standing import standings
from registry.web.acting import possible
from registry.web.commands import Target, pull_commands
from registry.web.hosts import image_host
from registry.web.page import render
from registry.web.visitor import visitor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry.browsing.shapes import TagsPage
    from registry.handlers.response import Response
    from registry.quota.standing import Standing
    from registry.web.commands import Command

_TAGS: Final = 50
_NESTED: Final = 100
_ACTIONS: Final = ("pull", "push", "delete", "overwrite", "untag")
_LONGEST_FILTER: Final = 128
_USUAL_TAG: Final = "latest"


@dataclass(frozen=True, slots=True)
class Right:
    """Whether the visitor may do `action`, and in `told` which rule says so."""

    action: str
    granted: bool
    told: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of tags: the order `sort` that its head leads to, "" for none, and the one that it is in.

    That, `state`, is in words of ``aria-sort``, "" for none.
    """

    title: str
    sort: str = ""
    state: str = ""


class Pulled(NamedTuple):
    """The tag that most people want, and the command that pulls it."""

    tag: str
    command: Command


def show_repository(name: str) -> Response:
    """Show the tags of a repository, and what is nested in its name; either may be all that there is."""
    hand_over()
    here, who = services(), visitor()
    after, wanted = request.args.get("after", ""), request.args.get("filter", "")[:_LONGEST_FILTER]
    sort = next((each for each in SORTS if each == request.args.get("sort")), SORTS[0])
    nested = level(here.repositories, name, shows=who.shows, after=request.args.get("nested", ""), limit=_NESTED)
    is_repository = who.shows(name) and here.repositories.catalog.has(name)
    if not is_repository and not nested.children:
        who.open(name)
        raise NameUnknownError("repository name not known to registry", {"name": name})
    if not is_repository:
        return render("repository.html", name=name, level=nested, is_repository=False, possible=None, quotas=())
    tags = tags_of(name, sort, after, _TAGS, wanted)
    return render(
        "repository.html",
        name=name,
        level=nested,
        is_repository=True,
        possible=possible(who, name),
        quotas=_quotas(name),
        tags=tags,
        pulled=_pulled(name, tags),
        sort=sort,
        after=after,
        filter=wanted,
        columns=list(_columns(tags.sort)),
        rights=list(_rights(name)),
    )


def _quotas(name: str) -> Sequence[Standing]:
    """Return how the quotas of a repository stand; none for who has yet to log in.

    They tell of others: how much all repositories have that share one, and the pattern of their names.
    """
    if visitor().can_sign_in:
        return ()
    here = services()
    return tuple(standings(here.driver, here.configuration.storage.maintenance.quotas, [name]))


def _pulled(name: str, tags: TagsPage) -> Pulled | None:
    """Return how to pull ``latest``, or else the last pushed of these tags; None where that is no image."""
    row = next((row for row in tags.rows if row.name == _USUAL_TAG), None) or max(
        tags.rows, key=lambda row: row.pushed or 0, default=None
    )
    if row is None or row.digest is None or not row.platforms:
        return None
    host = image_host()
    target = Target(host.name, name, row.digest, row.name, tls=host.tls)
    return Pulled(row.name, pull_commands(target, "image")[0])


def _columns(sort: str) -> Iterator[Column]:
    """Yield the columns of a table in the order `sort`; the head of the one that it is sorted by turns it round."""
    yield Column("Tag", "name", "ascending" if sort == "name" else "")
    yield Column("Digest")
    for title, key in (("Size", "size"), ("Platforms", ""), ("Pushed", "pushed")):
        state = {key: "ascending", f"-{key}": "descending"}.get(sort, "")
        # The largest and the latest are what people look for first.
        yield Column(title, key and (key if state == "descending" else f"-{key}"), state)


def _rights(name: str) -> Iterator[Right]:
    who = visitor()
    for action in _ACTIONS:
        yield Right(action, who.may(name, action), who.explain(name, action))
