"""The tags of a repository, a page at a time, with what each leads to."""

from __future__ import annotations

import re
from bisect import bisect
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from registry.browsing.shapes import TagRow, TagsPage

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_UNKNOWN: Final[dict[Sort, float]] = {"name": 0, "pushed": 9e99, "-pushed": 0, "size": 9e99, "-size": -1}
"""What stands for a value that is not known, by which a tag comes last; the index has the same."""


def tags_page(  # noqa: PLR0913  a page is where it begins, how long it is, in which order, and of what
    images: Images, repository: str, *, after: str = "", limit: int = 50, sort: Sort = "name", containing: str = ""
) -> TagsPage:
    """Return the `limit` tags that come after `after` in the order `sort`, each with what it leads to.

    Given `containing`, they are those with that text in their names, in upper or lower case. The tags of a repository
    that has more than MOST_SORTED of them are in byte order, whatever `sort` is; a page of what they contain may be
    short then, though more follow. `after` is what the page before has told as `following`, which tells the place in
    the order, so that a page goes on there when the tag is gone. Where it is of another order, the first come again.

    Raises:
        NotThereError: there is no such repository.
        InventoryError: it cannot be read.
    """
    names = images.source.page_of_tags(repository, limit=MOST_SORTED + 1)
    if len(names) > MOST_SORTED:
        after = after.rpartition(":")[2]
        if containing:
            shown, following = _found(images.source, repository, containing.lower(), after, limit)
            return TagsPage(tag_rows(images, repository, shown), following)
        names = images.source.page_of_tags(repository, after=after, limit=limit + 1)
        following = names[limit - 1] if len(names) > limit else None
        return TagsPage(tag_rows(images, repository, names[:limit]), following)
    names = [name for name in names if containing.lower() in name.lower()]
    places = _sorted(images, repository, names, sort)
    begin = _begin(places, after, sort)
    page = places[begin : begin + limit]
    following = _cursor(page[-1], sort) if page and len(places) > begin + limit else None
    return TagsPage(tag_rows(images, repository, [place.tag for place in page]), following, len(names), sort)


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


class _Place(NamedTuple):
    """Where a tag stands in an order: by `value`, the smallest first, and where that is the same by `key`, its name."""

    value: float
    key: tuple[list[str | int], str]

    @property
    def tag(self) -> str:
        return self.key[1]


def _sorted(images: Images, repository: str, tags: Sequence[str], sort: Sort) -> list[_Place]:
    """Return the places of `tags` in that order."""
    values: Sequence[float | None]
    if sort == "name":
        values = [None] * len(tags)
    elif sort.endswith("pushed"):
        values = images.source.pushed_each(repository, tags)
    else:
        leads_to = _leads_to(images, repository, tags)
        values = [image.size if image else None for image in map(leads_to.__getitem__, tags)]
    known = (_UNKNOWN[sort] if value is None else value for value in values)
    return sorted(_Place(_sign(sort) * value, natural_key(tag)) for value, tag in zip(known, tags, strict=True))


def _sign(sort: Sort) -> int:
    return -1 if sort.startswith("-") else 1


def _cursor(place: _Place, sort: Sort) -> str:
    """Return what tells a page to begin after `place`; the index has the same."""
    return place.tag if sort == "name" else f"{_sign(sort) * place.value!r}:{place.tag}"


def _begin(places: Sequence[_Place], cursor: str, sort: Sort) -> int:
    """Return the index of the first of `places` after `cursor`: 0 if that is none of this order."""
    value, _, tag = cursor.rpartition(":")
    with suppress(ValueError):
        return bisect(places, _Place(0 if sort == "name" else _sign(sort) * float(value), natural_key(tag)))
    return 0


def _leads_to(images: Images, repository: str, tags: Sequence[str]) -> dict[str, Image | None]:
    """Return the image of each of `tags`; None of one that leads nowhere."""
    source = images.source
    digests = dict(zip(tags, source.each(partial(source.target, repository), tags), strict=True))
    distinct = list(dict.fromkeys(filter(None, digests.values())))
    found: dict[Digest | None, Image | None] = {None: None}
    found |= zip(distinct, images.look_at_each(repository, distinct), strict=True)
    return {tag: found[digest] for tag, digest in digests.items()}
