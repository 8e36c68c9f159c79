"""Lists of an upstream, which come in pages."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, UpstreamFailedError
from registry.oci.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.upstream.session import Session

_MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a page of tags, and of all pages of referrers."""
_MOST_PAGES: Final = 1000
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_OK: Final = 200
_NOT_FOUND: Final = 404


def tags(session: Session, repository: str, *, after: str, limit: int, via: str) -> list[str] | None:
    """Return the first `limit` tags behind `after`, sorted; None if the upstream does not know the repository.

    An upstream may ignore what is asked for and send all tags, or in another order, as old registries do: then its
    list is gone through, and the smallest are kept.
    """
    path, asked = f"{repository}/tags/list", {"n": str(limit)}
    query = urlencode({**asked, "last": after} if after else asked)
    known = False
    found: list[str] = []
    for page, _ in _pages(session, path, query, via):
        known = True
        listed = _tags_in(page, session.name)
        if not _continues(listed, found[-1] if found else after):
            everything = _pages(session, path, urlencode(asked), via)
            return _smallest((tag for each, _ in everything for tag in _tags_in(each, session.name)), after, limit)
        found += listed
        if len(found) >= limit:
            break
    return found[:limit] if known else None


def referrers(session: Session, repository: str, subject: Digest, via: str) -> list[Mapping[str, object]] | None:
    """Return the descriptors that the upstream lists as referrers of `subject`; None if it has no such list."""
    known, left = False, _MOST_BYTES
    found: list[Mapping[str, object]] = []
    for page, size in _pages(session, f"{repository}/referrers/{subject}", "", via):
        known, left = True, left - size
        if left < 0:
            raise UpstreamFailedError(f"{session.name} lists more than {_MOST_BYTES} bytes of referrers")
        found += [each for each in _list_in(page, "manifests", session.name) if _is_descriptor(each)]
    return found if known else None


def _pages(session: Session, path: str, query: str, via: str) -> Iterator[tuple[Any, int]]:
    """Yield each page, which is JSON, with its size in bytes; none if there is no such list.

    Of a link to the next page only the query counts: it leads to nothing else than this list.

    Raises:
        UpstreamFailedError: a page is not one, or they do not end.
    """
    asked = set[str]()
    while len(asked) < _MOST_PAGES:
        asked.add(query)
        with session.open("GET", f"{path}?{query}" if query else path, via=via) as answer:
            if answer.status == _NOT_FOUND and len(asked) == 1:
                return
            if answer.status != _OK:
                raise UpstreamFailedError(f"{session.name} answers {answer.status}")
            content = session.read(answer, _MOST_BYTES)
        try:
            page = json.loads(content)
        except ValueError as error:
            raise _nonsense(session.name) from error
        yield page, len(content)
        following = _NEXT.search(answer.headers.get("Link", ""))
        if following is None:
            return
        query = urlsplit(following[1]).query
        if query in asked:
            return
    raise UpstreamFailedError(f"{session.name} sends more than {_MOST_PAGES} pages of a list")


def _list_in(page: Any, key: str, name: str) -> list[Any]:
    """Return the list of a page; null is an empty one, as Go writes it."""
    listed = page.get(key, False) if isinstance(page, dict) else False
    if listed is not None and not isinstance(listed, list):
        raise _nonsense(name)
    return listed or []


def _tags_in(page: Any, name: str) -> list[str]:
    """Return the tags of a page; what is not one is passed over."""
    return [tag for tag in _list_in(page, "tags", name) if isinstance(tag, str) and is_tag(tag)]


def _continues(listed: list[str], after: str) -> bool:
    """Tell whether a page goes on behind the tag `after` in the order of the specification ("Listing Tags")."""
    return all(before < tag for before, tag in pairwise([after, *listed]))


def _smallest(tags: Iterator[str], after: str, limit: int) -> list[str]:
    """Return the first `limit` tags behind `after`, however many there are and in whatever order."""
    found: list[str] = []
    for tag in tags:
        if tag <= after or (len(found) == limit and tag > found[-1]):
            continue
        at = bisect_left(found, tag)
        if found[at : at + 1] != [tag]:
            found.insert(at, tag)
            del found[limit:]
    return found


def _is_descriptor(described: Any) -> bool:
    try:
        Digest.parse(described["digest"])
    except (DigestInvalidError, LookupError, TypeError):
        return False
    return isinstance(described, dict)


def _nonsense(name: str) -> UpstreamFailedError:
    return UpstreamFailedError(f"{name} sends what is not a list of a registry")
