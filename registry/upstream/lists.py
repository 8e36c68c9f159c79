"""Lists of an upstream, which come in pages."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from registry.oci import documents
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError, ManifestInvalidError, UpstreamFailedError
from registry.oci.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from registry.upstream.session import Session

_MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a page of tags, and of all pages of referrers."""
_MOST_PAGES: Final = 200
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_OK: Final = 200
_NOT_FOUND: Final = 404


def tags(session: Session, repository: str, *, after: str, limit: int, via: str) -> list[str] | None:
    """Return the first `limit` tags behind `after`, sorted; None if the upstream does not know the repository.

    An upstream may ignore what is asked for and send all tags, or have an order and pages of its own: then its list is
    gone through, and the smallest are kept.
    """
    asked = {"n": str(limit)}
    query = urlencode({**asked, "last": after} if after else asked)
    known = False
    found: list[str] = []
    for page in _pages(session, repository, "tags/list", query, via):
        known = True
        listed = _tags_in(page, session.name)
        if not _continues(listed, found[-1] if found else after) or page.has_own_order:
            everything = _pages(session, repository, "tags/list", urlencode(asked), via)
            return _smallest((tag for each in everything for tag in _tags_in(each, session.name)), after, limit)
        found += listed
        if len(found) >= limit:
            break
    return found[:limit] if known else None


def referrers(session: Session, repository: str, subject: Digest, via: str) -> list[Mapping[str, object]] | None:
    """Return the descriptors that the upstream lists as referrers of `subject`; None if it has no such list."""
    known, left = False, _MOST_BYTES
    found: list[Mapping[str, object]] = []
    for page in _pages(session, repository, f"referrers/{subject}", "", via):
        known, left = True, left - page.size
        if left < 0:
            raise UpstreamFailedError(f"{session.name} lists more than {_MOST_BYTES} bytes of referrers")
        found += _descriptors_in(page, session.name)
    return found if known else None


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of `size` bytes; `following` is the query of the link to the next one, None if there is none."""

    document: Any
    size: int
    following: str | None

    @property
    def has_own_order(self) -> bool:
        """Whether the next page begins behind something else than a tag."""
        return self.following is not None and "last" not in parse_qs(self.following)


def pull_scope(repository: str) -> str:
    """Return the scope of a token by which `repository` is read, and no more."""
    return f"repository:{repository}:pull"


def _pages(session: Session, repository: str, path: str, query: str, via: str) -> Iterator[_Page]:
    """Yield each page; none if there is no such list.

    Of a link to the next page only the query counts: it leads to nothing else than this list.

    Raises:
        UpstreamFailedError: a page is not one, or they do not end.
    """
    asked = set[str]()
    while len(asked) < _MOST_PAGES:
        asked.add(query)
        target = f"{repository}/{path}" + (f"?{query}" if query else "")
        with session.open("GET", target, scope=pull_scope(repository), via=via) as answer:
            if answer.status == _NOT_FOUND and len(asked) == 1:
                return
            if answer.status != _OK:
                raise UpstreamFailedError(f"{session.name} answers {answer.status}")
            content = session.read(answer, _MOST_BYTES)
        link = _NEXT.search(answer.headers.get("Link", ""))
        page = _Page(_decoded(content, session.name), len(content), urlsplit(link[1]).query if link else None)
        yield page
        if page.following is None or page.following in asked:
            return
        query = page.following
    raise UpstreamFailedError(f"{session.name} sends more than {_MOST_PAGES} pages of a list")


def _decoded(content: bytes, name: str) -> Any:
    # Not json.loads: a few bytes of the wrong kind would take any amount of memory.
    try:
        return documents.decode(content)
    except ManifestInvalidError as error:
        raise _nonsense(name) from error


def _list_in(page: _Page, key: str, name: str) -> list[Any]:
    """Return the list of a page; null is an empty one, as Go writes it."""
    listed = page.document.get(key, False) if isinstance(page.document, dict) else False
    if listed is not None and not isinstance(listed, list):
        raise _nonsense(name)
    return listed or []


def _tags_in(page: _Page, name: str) -> list[str]:
    """Return the tags of a page.

    Raises:
        UpstreamFailedError: there is something else among them.
    """
    listed = _list_in(page, "tags", name)
    if not all(isinstance(tag, str) and is_tag(tag) for tag in listed):
        raise _nonsense(name)
    return listed


def _descriptors_in(page: _Page, name: str) -> list[Mapping[str, object]]:
    """Return the descriptors of a page.

    Raises:
        UpstreamFailedError: there is something else among them. A list without it would say that there is no signature.
    """
    listed = _list_in(page, "manifests", name)
    if not all(map(_is_descriptor, listed)):
        raise _nonsense(name)
    return listed


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
