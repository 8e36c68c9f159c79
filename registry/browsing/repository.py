"""The tags of a repository, a page at a time, with what each leads to."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, get_args

from registry.browsing.shapes import TagRow, TagsPage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry.browsing.images import Image, Images
    from registry.inventory.source import Reader
    from registry.oci.digest import Digest

Sort = Literal["name", "-pushed", "pushed", "size", "-size"]
"""An order of tags: by name as people count (v1.9 before v1.10); with "-" the last pushed, or the largest, is first."""
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)

MOST_SORTED: Final = 1000
"""Tags of a repository that are looked at to sort them."""
_MOST_PAGES: Final = 20
"""Pages of MOST_SORTED names that are looked through for a text."""
_NUMBER: Final = re.compile("([0-9]+)")


def tags_page(  # noqa: PLR0913  a page is where it begins, how long it is, in which order, and of what
    images: Images, repository: str, *, after: str = "", limit: int = 50, sort: Sort = "name", containing: str = ""
) -> TagsPage:
    """Return the `limit` tags that come after `after` in the order `sort`, each with what it leads to.

    Given `containing`, they are those with that text in their names, in upper or lower case. The tags of a repository
    that has more than MOST_SORTED of them are in byte order, whatever `sort` is; a page of what they contain may be
    short then, though more follow.

    Raises:
        NotThereError: there is no such repository.
        InventoryError: it cannot be read.
    """
    names = images.source.page_of_tags(repository, limit=MOST_SORTED + 1)
    if len(names) > MOST_SORTED and containing:
        shown, following = _found(images.source, repository, containing.lower(), after, limit)
        return TagsPage(tag_rows(images, repository, shown), following)
    if len(names) > MOST_SORTED:
        names = images.source.page_of_tags(repository, after=after, limit=limit + 1)
        shown, following = _page(names, "", limit)
        return TagsPage(tag_rows(images, repository, shown), following)
    names = [name for name in names if containing.lower() in name.lower()]
    shown, following = _page(_sorted(images, repository, names, sort), after, limit)
    return TagsPage(tag_rows(images, repository, shown), following, len(names), sort)


def _found(source: Reader, repository: str, text: str, after: str, limit: int) -> tuple[Sequence[str], str | None]:
    """Return the first `limit` tags after `after` with `text` in their names, as far as is looked, and what follows."""
    found: list[str] = []
    for _ in range(_MOST_PAGES):
        names = source.page_of_tags(repository, after=after, limit=MOST_SORTED)
        found += [name for name in names if text in name.lower()]
        if len(found) > limit:
            return found[:limit], found[limit - 1]
        if len(names) < MOST_SORTED:
            return found, None
        after = names[-1]
    return found, after


def tag_rows(images: Images, repository: str, tags: Sequence[str]) -> tuple[TagRow, ...]:
    """Return what each of `tags` leads to; `images` are looked at together, and each once."""
    source = images.source
    pushed = source.pushed_each(repository, tags)
    leads_to = _leads_to(images, repository, tags)
    rows = []
    for tag, at in zip(tags, pushed, strict=True):
        image = leads_to[tag]
        if image is None:
            rows.append(TagRow(tag, None, pushed=at))
            continue
        aliases = tuple(other for other in tags if other != tag and leads_to[other] == image)
        rows.append(TagRow(tag, image.digest, image.media_type, image.size, image.platforms, at, aliases))
    return tuple(rows)


def natural_key(tag: str) -> tuple[list[str | int], str]:
    """Return the key by which tags are sorted as people count: v1.9 comes before v1.10."""
    parts: list[str | int] = list(_NUMBER.split(tag))
    parts[1::2] = map(int, parts[1::2])
    return parts, tag


def _sorted(images: Images, repository: str, tags: Sequence[str], sort: Sort) -> list[str]:
    """Return `tags` in that order; those of which it is not known come last, equal ones by name."""
    by_name = sorted(tags, key=natural_key)
    if sort == "name":
        return by_name
    values: Iterable[float | None]
    if sort.endswith("pushed"):
        values = images.source.pushed_each(repository, by_name)
    else:
        leads_to = _leads_to(images, repository, by_name)
        values = (image.size if image else None for image in map(leads_to.__getitem__, by_name))
    sign = -1 if sort.startswith("-") else 1
    keys = {tag: (value is None, sign * (value or 0)) for tag, value in zip(by_name, values, strict=True)}
    return sorted(by_name, key=keys.__getitem__)


def _leads_to(images: Images, repository: str, tags: Sequence[str]) -> dict[str, Image | None]:
    """Return the image of each of `tags`; None of one that leads nowhere."""
    source = images.source
    digests = dict(zip(tags, source.each(partial(source.target, repository), tags), strict=True))
    distinct = list(dict.fromkeys(filter(None, digests.values())))
    found: dict[Digest | None, Image | None] = {None: None}
    found |= zip(distinct, images.look_at_each(repository, distinct), strict=True)
    return {tag: found[digest] for tag, digest in digests.items()}


def _page(tags: Sequence[str], after: str, limit: int) -> tuple[Sequence[str], str | None]:
    """Return the `limit` of `tags` that come after `after`, and the last of them if there are more.

    Where `after` is not there any more, they are the first ones.
    """
    begin = tags.index(after) + 1 if after in tags else 0
    shown = tags[begin : begin + limit]
    return shown, shown[-1] if shown and len(tags) > begin + limit else None
