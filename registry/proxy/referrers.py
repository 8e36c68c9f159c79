"""The referrers in a repository that caches one of an upstream.

A list of referrers is what clients look for signatures in, and they take an empty one for "there are none". So none is
given unless the upstream has said so, a short while ago; what happens to be cached is no list. An upstream that does
not list referrers has them under a tag ("Referrers Tag Schema"), where clients look when they are told 404.
"""

from __future__ import annotations

import json
import math
from functools import partial
from heapq import merge
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from registry.oci.errors import ManifestUnknownError, UpstreamError, UpstreamFailedError
from registry.oci.reference import Tag
from registry.ports import Referrer, ReferrersPage
from registry.proxy.referrer_lists import ReferrersList, referrers_of
from registry.storage.referrers import MOST_LISTED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from registry.oci.digest import Digest
    from registry.ports import Repository
    from registry.proxy.freshness import Freshness
    from registry.proxy.remote import Remote

_LONGEST_IN_TAG: Final = 64
"""Characters of the hex of a digest in the tag that stands for its referrers ("Referrers Tag Schema")."""


class ProxiedReferrers:
    """The referrers that `remote` lists and, where manifests may be pushed here, those of `local`."""

    def __init__(self, local: Repository, remote: Remote, freshness: Freshness) -> None:
        self._local = local
        self._remote = remote
        self._freshness = freshness
        self._clock = freshness.clock
        self._lists = freshness.lists

    def after(self, subject: Digest, last: Digest | None = None) -> Iterator[Digest]:
        return self._local.referrers.after(subject, last)

    def page(
        self,
        subject: Digest,
        *,
        after: Digest | None = None,
        artifact_types: Collection[str] | None = None,
        limit: int,
        awaited: Callable[[], bool] = lambda: True,
    ) -> ReferrersPage:
        """Return a page as registry.ports says, of what the upstream lists and what was pushed here.

        Raises:
            ManifestUnknownError: the upstream does not list referrers.
            UpstreamError: it cannot be asked, and it is not known any more what it has said.
        """
        theirs = self._listed(subject)
        if theirs is None:
            if not self._remote.pushable or next(self.after(subject), None) is None:
                raise ManifestUnknownError(f"{self._remote.name} does not list referrers", str(subject))
            theirs = ReferrersList(0, ())
        wanted = [
            each
            for each in theirs.referrers
            if (after is None or each.digest > after)
            and (artifact_types is None or each.artifact_type in artifact_types)
        ]
        if not self._remote.pushable:
            return _page(wanted, None, limit)
        ours = self._local.referrers.page(
            subject, after=after, artifact_types=artifact_types, limit=limit, awaited=awaited
        )
        end = ours.last
        merged = _merged(wanted, ours.referrers)
        # Behind where the page of ours ends, more of ours may come before the next of theirs.
        whole = merged if end is None else takewhile(lambda each: each.digest <= end, merged)
        return _page([*whole], end, limit)

    def _listed(self, subject: Digest) -> ReferrersList | None:
        """Return what the upstream lists, as far as that is known or can be found out; None if it does not list any."""
        fresh_seconds = self._remote.cache.freshness_seconds
        if fresh_seconds:
            listed = self._lists.find(self._local.name, subject, self._clock(), within=fresh_seconds)
            if listed:
                return listed
        key, fetch = (self._local.name, subject), partial(self._fetch, subject)
        flights = self._freshness.asked_referrers
        try:
            return flights.share(key, fetch, self._remote.waiting, begun=fresh_seconds > 0)
        except UpstreamError as error:
            return self._stale(subject, error)

    def _fetch(self, subject: Digest) -> ReferrersList | None:
        asked = self._clock()
        described = None if self._remote.lacks("referrers", subject) else self._remote.referrers(subject)
        if described is None and self._remote.pushable:
            described = self._tagged(subject)
        if described is None:
            return None
        listed = ReferrersList(asked, referrers_of(described))
        self._lists.keep(self._local.name, subject, listed)
        return listed

    def _tagged(self, subject: Digest) -> Sequence[Mapping[str, object]] | None:
        """Return what the upstream has under the tag that stands for a list; None if there is none.

        Clients do not look there themselves where a list has what was pushed here.
        """
        tag = Tag(f"{subject.algorithm}-{subject.hex[:_LONGEST_IN_TAG]}")
        fetched = None if self._remote.lacks(tag) else self._remote.manifest(tag)
        if fetched is None:
            return None
        try:
            listed = json.loads(fetched.manifest.content).get("manifests")
        except (ValueError, RecursionError):
            raise UpstreamFailedError(f"{self._remote.name} has a list of referrers that cannot be read") from None
        named = {str(each.digest) for each in fetched.manifest.manifests}
        return [each for each in listed or () if isinstance(each, dict) and each.get("digest") in named]

    def _stale(self, subject: Digest, error: UpstreamError) -> ReferrersList:
        longest = self._remote.cache.maxstale_seconds or math.inf
        listed = self._lists.find(self._local.name, subject, self._clock(), within=longest)
        if listed is None:
            raise error
        self._freshness.meter.stale(self._remote.name)
        self._remote.warn(f"the list of referrers is what it was when it was asked for last: {error}")
        return listed


def _merged(theirs: Iterable[Referrer], ours: Iterable[Referrer]) -> Iterator[Referrer]:
    """Yield all in the order of their digests, each once."""
    last = None
    for each in merge(theirs, ours, key=lambda referrer: referrer.digest):
        if each.digest != last:
            yield each
        last = each.digest


def _page(listed: Sequence[Referrer], end: Digest | None, limit: int) -> ReferrersPage:
    """Return the first `limit` of `listed`, or fewer if they are long; behind them more may come after `end`."""
    size = 0
    for number, each in enumerate(listed):
        size += len(each.descriptor)
        if number == limit or (number and size > MOST_LISTED_BYTES):
            return ReferrersPage(tuple(listed[:number]), listed[number - 1].digest)
    return ReferrersPage(tuple(listed), end)
