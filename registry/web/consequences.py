"""What a deletion would do, for the page that asks whether to do it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.browsing.images import Images
    from registry.inventory.source import Reader
    from registry.oci.digest import Digest

_MOST_TAGS: Final = 2000
"""Tags of a repository that are looked at for others that lead to the same manifest."""


@dataclass(frozen=True, slots=True)
class Going:
    """A tag that is to go. It points to `digest`, None if nowhere, and so do the tags `others`, which stay."""

    name: str
    digest: Digest | None
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consequences:
    """What the deletion of `tags` does: `losing` are the manifests to which no tag leads then.

    They and all that they lead to have `size` bytes, each manifest for itself; None if one cannot be read. What of it
    others share as well is not known. There are more tags than were looked at unless it is `complete`.
    """

    tags: tuple[Going, ...]
    losing: tuple[Digest, ...]
    size: int | None
    complete: bool


def of_tags(images: Images, repository: str, tags: Sequence[str]) -> Consequences:
    """Return what the deletion of `tags` does."""
    source = images.source
    looked_at = list(islice(source.tags(repository), _MOST_TAGS + 1))
    complete = len(looked_at) <= _MOST_TAGS
    names = list(dict.fromkeys([*looked_at[:_MOST_TAGS], *tags]))
    digests = dict(zip(names, source.each(lambda name: source.target(repository, name), names), strict=True))
    staying: defaultdict[Digest | None, list[str]] = defaultdict(list)
    chosen = set(tags)
    for name, digest in digests.items():
        if digest and name not in chosen:
            staying[digest].append(name)
    going = [Going(name, digests[name], tuple(staying.get(digests[name], ()))) for name in tags]
    losing = tuple(dict.fromkeys(each.digest for each in going if each.digest and not each.others))
    return Consequences(tuple(going), losing, _size(images, repository, losing), complete)


def tags_of(source: Reader, repository: str, digest: Digest) -> tuple[list[str], bool]:
    """Return the tags that point to a manifest, and whether all tags of the repository were looked at."""
    names = list(islice(source.tags(repository), _MOST_TAGS + 1))
    targets = source.each(lambda name: source.target(repository, name), names[:_MOST_TAGS])
    found = [name for name, target in zip(names, targets, strict=False) if target == digest]
    return found, len(names) <= _MOST_TAGS


def _size(images: Images, repository: str, digests: Sequence[Digest]) -> int | None:
    total = 0
    for image in images.look_at_each(repository, digests):
        if image is None or image.size is None:
            return None
        total += image.size
    return total
