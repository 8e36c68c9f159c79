"""Pages of names for drivers.flat, which need more care on S3 than on the other stores.

Each request says how many names it wants, and SeaweedFS also names directories that no longer hold anything.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Final

from drivers.flat import Page, names_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.s3.answers import Listing
    from drivers.s3.bucket import Bucket

MOST_LISTED: Final = 1000
"""The most names that S3 lists at once."""

_SLACK: Final = 2
"""Names asked for beyond those that are missing: one that is not after `after`, one to tell what is missing."""


def pages(bucket: Bucket, prefix: str, after: str, limit: int) -> Iterator[Page]:
    """Yield what lies directly below `prefix`, after `after`, page by page; `limit` names are likely to be enough."""
    names: set[str] = set()
    # A name ends at its first slash. Below one SeaweedFS would list what lies there instead of names.
    first = after.partition("/")[0]
    start, token = prefix + first if first else "", ""
    while True:
        missing = limit - len(names)
        size = min(missing + _SLACK, MOST_LISTED) if missing > 0 else MOST_LISTED
        answer = bucket.page(prefix, delimiter="/", after=start, token=token, limit=size)
        objects = [entry.key.removeprefix(prefix) for entry in answer.entries]
        prefixes = [each.removeprefix(prefix) for each in answer.prefixes]
        last = max([*objects, *prefixes], default="") if answer.token else None
        if _lists_empty_prefixes(answer):
            prefixes = _without_empty(bucket, prefix, [*names_after(prefixes, after)])
        page = Page([*objects, *prefixes], last)
        yield page
        if last is None:
            return
        names.update(names_after(page.entries, after))
        start, token = "", answer.token


def _lists_empty_prefixes(answer: Listing) -> bool:
    """Tell whether the server that gave `answer` names directories whose last object has gone.

    SeaweedFS does for minutes, until it sweeps them.
    """
    return "seaweedfs" in answer.server.lower()


def _without_empty(bucket: Bucket, prefix: str, names: Sequence[str]) -> list[str]:
    prefixes = [f"{name}/" for name in names]
    return [*compress(prefixes, bucket.hold_any([prefix + each for each in prefixes]))]
