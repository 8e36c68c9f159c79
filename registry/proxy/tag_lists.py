"""Pages of tags of an upstream and of those that were pushed here."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from registry.oci.errors import NameUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.ports import Repository
    from registry.proxy.freshness import TagStates


def merged_page(listed: list[str], local: Repository, states: TagStates, after: str, limit: int) -> list[str]:
    """Return the first `limit` of `listed`, which come after `after`, and of the tags that were pushed, in byte order.

    `listed` are the first `limit` of the upstream, or all if fewer.
    """
    merged = heapq.merge(listed, _pushed(local, states, after, limit))
    return list(islice(dict.fromkeys(merged), limit))


def _pushed(local: Repository, states: TagStates, after: str, limit: int) -> Iterator[str]:
    """Yield the tags after `after` that are here and have not come from the upstream."""
    while True:
        try:
            names = local.tags.page(after=after, limit=limit)
        except NameUnknownError:
            return
        for name, state in zip(names, states.read_each(local.name, names), strict=True):
            if state is None or state.pushed:
                yield name
        if len(names) < limit:
            return
        after = names[-1]
