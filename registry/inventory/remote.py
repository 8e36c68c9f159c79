"""A registry behind a URL as a source: whatever speaks the distribution API, be it this registry or another."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from registry.foundation.found_digests import FoundDigests
from registry.inventory.login import UNAUTHORIZED, explained
from registry.inventory.source import InventoryError, NotThereError, OnlyManifestsError, Stored, described
from registry.inventory.walking import walk
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError
from registry.oci.manifest import MAX_SIZE
from registry.oci.reference import is_name, is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.foundation.fetching import Answer
    from registry.inventory.login import Session
    from registry.inventory.source import Described
    from registry.ports import Given, Seen

_ACCEPT: Final = {"Accept": ", ".join([*sorted(media_types.MANIFESTS | media_types.SCHEMA1), "*/*"])}
_LONGEST_LIST: Final = 64 * 1024 * 1024
_LONGEST_ERROR: Final = 1024 * 1024
_PAGE: Final = 1000
_NEXT: Final = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_OK: Final = 200
_DELETED: Final = frozenset({200, 202, 204})
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_NOT_ALLOWED: Final = 405


class RemoteSource:
    """The repositories of a registry, by its API. What it lists and is not a name, a tag or a digest is passed over."""

    tells_time = False

    def __init__(self, session: Session) -> None:
        self._session = session

    def repositories(self) -> Iterator[str]:
        """Yield the repositories that the catalog tells of."""
        for page in self._pages("/v2/_catalog", "repositories", {}):
            yield from (name for name in page if isinstance(name, str) and is_name(name))

    def keeping(self) -> Iterator[str]:
        """Yield the repositories that the catalog tells of: the API does not tell of other names."""
        return self.repositories()

    def keeps(self, repository: str) -> bool:
        """Tell whether the registry knows tags of the repository."""
        return self.exists(repository)

    def exists(self, repository: str) -> bool:
        """Tell whether the registry knows tags of the repository, even if none."""
        answer = self._get(f"/v2/{repository}/tags/list?n=1", _LONGEST_LIST)
        if answer.status not in {_OK, _NOT_FOUND}:
            raise _refused(f"the tags of {repository} may not be read", answer)
        return answer.status == _OK

    def tags(self, repository: str) -> Iterator[str]:
        """Yield the tags; version 2 of the Go registry gives all of them at once, in any order."""
        for page in self._pages(f"/v2/{repository}/tags/list", "tags", {"n": str(_PAGE)}):
            yield from sorted(tag for tag in page if isinstance(tag, str) and is_tag(tag))

    def page_of_tags(self, repository: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` tags after `after`; where a registry gives all at once, they are sorted here."""
        query = {"n": str(min(limit, _PAGE))} | ({"last": after} if after else {})
        tags: list[str] = []
        for page in self._pages(f"/v2/{repository}/tags/list", "tags", query):
            tags += sorted(tag for tag in page if isinstance(tag, str) and is_tag(tag) and tag > after)
            if len(tags) >= limit:
                break
        if not tags and not self.exists(repository):
            raise NotThereError(f"there is no repository {repository}")
        return tags[:limit]

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        """Yield what `look` returns for each of `given`, one after the other: there is one connection."""
        return map(look, given)

    def target(self, repository: str, tag: str) -> Digest | None:
        """Return what resolve() does, as that is one request."""
        return self.resolve(repository, tag)

    def resolve(self, repository: str, tag: str) -> Digest | None:
        """Return the digest that the registry tells of a tag."""
        answer = self._manifest("HEAD", repository, tag)
        told = answer.headers.get("Docker-Content-Digest", "") if answer else ""
        try:
            return Digest.parse(told)
        except DigestInvalidError:
            answer = self._manifest("GET", repository, tag) if answer else None
            return Digest.of(answer.content) if answer else None

    def pushed(self, repository: str, tag: str) -> None:
        """Return None: the API does not tell."""

    def pushed_each(self, repository: str, tags: Sequence[str]) -> Sequence[float | None]:
        """Return None of each: the API does not tell."""
        del repository
        return [None] * len(tags)

    def has(self, repository: str, digest: Digest) -> bool:
        """Tell whether the registry has the manifest."""
        return self._manifest("HEAD", repository, str(digest)) is not None

    def manifest(self, repository: str, digest: Digest) -> Stored | None:
        """Return a manifest; None if it is not there."""
        answer = self._manifest("GET", repository, str(digest))
        if answer is None:
            return None
        if Digest.of(answer.content, digest.algorithm) != digest:
            raise InventoryError(f"what is sent for {repository}@{digest} has another digest")
        media_type, _, _ = answer.headers.get("Content-Type", "").partition(";")
        return Stored(answer.content, media_type.strip().lower())

    def small_blob(self, repository: str, digest: Digest, limit: int) -> bytes | None:
        """Return a blob; None if it is not there or is too large."""
        try:
            answer = self._get(f"/v2/{repository}/blobs/{digest}", limit)
        except InventoryError:
            return None
        return answer.content if answer.status == _OK else None

    def referrers(self, repository: str, subject: Digest) -> Iterator[Described]:
        """Yield the manifests that the registry lists; none where it has no lists of referrers."""
        for page in self._pages(f"/v2/{repository}/referrers/{subject}", "manifests", {}):
            yield from filter(None, map(described, page))

    def remove_tag(self, repository: str, tag: str) -> None:
        """Delete a tag, which version 2 of the Go registry cannot."""
        answer = self._delete(f"/v2/{repository}/manifests/{tag}")
        if answer.status == _BAD_REQUEST:
            raise OnlyManifestsError(f"{repository}:{tag} is not deleted: {self._host} deletes whole manifests only")
        _require_deleted(answer, f"tag {repository}:{tag}")

    def remove_manifest(self, repository: str, digest: Digest) -> None:
        """Delete a manifest with its tags."""
        _require_deleted(self._delete(f"/v2/{repository}/manifests/{digest}"), f"manifest {repository}@{digest}")

    def remove_repository(self, repository: str) -> None:
        """Delete a repository as a whole where the registry knows how to.

        Another one has all manifests deleted that tags lead to, and their referrers where it tells of them.
        """
        if self._delete(f"/v2/_registry/repositories/{repository}").status in _DELETED:
            return
        with FoundDigests() as manifests:
            for found in walk(self, repository, manifests):
                for referrer in self.referrers(repository, found.digest):
                    manifests.add(referrer.digest)
            for tag in self.tags(repository):
                if self.resolve(repository, tag) is None:
                    self.remove_tag(repository, tag)
            for digest in manifests.follow():
                answer = self._delete(f"/v2/{repository}/manifests/{digest}")
                if answer.status != _NOT_FOUND:
                    _require_deleted(answer, f"manifest {repository}@{digest}")

    def settle_removals(self, removed: Callable[[], Iterator[str]]) -> None:
        """Return: the registry has done that, if it does."""

    @property
    def _host(self) -> str:
        return urlsplit(self._session.address).netloc

    def _manifest(self, method: str, repository: str, reference: str) -> Answer | None:
        target = f"/v2/{repository}/manifests/{reference}"
        answer = self._session.ask(method, target, most_bytes=MAX_SIZE, headers=_ACCEPT)
        if answer.status == _NOT_FOUND:
            return None
        if answer.status != _OK:
            raise _refused(f"the manifest {reference} of {repository} may not be read", answer)
        return answer

    def _get(self, target: str, most_bytes: int) -> Answer:
        return self._session.ask("GET", target, most_bytes=most_bytes)

    def _delete(self, target: str) -> Answer:
        return self._session.ask("DELETE", target, most_bytes=_LONGEST_ERROR)

    def _pages(self, path: str, key: str, query: dict[str, str]) -> Iterator[list[Any]]:
        """Yield the pages of the list at `path`, each the list under `key` of a document."""
        seen = ""
        while True:
            answer = self._get(f"{path}?{urlencode(query)}" if query else path, _LONGEST_LIST)
            if answer.status == _BAD_REQUEST and "n" in query:
                del query["n"]  # a registry that is configured to give shorter pages
                continue
            if answer.status == _NOT_FOUND and key != "repositories":
                return
            if answer.status != _OK:
                raise _refused(f"{path} may not be read", answer)
            yield _list_in(answer, path, key)
            following = _NEXT.search(answer.headers.get("Link", ""))
            if following is None or following[1] == seen:
                return
            seen = following[1]
            query = {name: values[-1] for name, values in parse_qs(urlsplit(seen).query).items()}


def _list_in(answer: Answer, path: str, key: str) -> list[Any]:
    try:
        listed = json.loads(answer.content)[key]
    except (ValueError, LookupError, TypeError) as error:
        raise InventoryError(f"{path} is not what a registry answers") from error
    return listed if isinstance(listed, list) else []


def _require_deleted(answer: Answer, what: str) -> None:
    if answer.status == _NOT_FOUND:
        raise NotThereError(f"there is no {what}")
    if answer.status == _NOT_ALLOWED:
        why = "storage.delete.enabled is false there, or the registry is read-only"
        raise InventoryError(f"{what} is not deleted: 405: {why}")
    if answer.status not in _DELETED:
        raise _refused(f"{what} is not deleted", answer)


def _refused(what: str, answer: Answer) -> InventoryError:
    advice = ": give --user, or other credentials" if answer.status in {UNAUTHORIZED, _FORBIDDEN} else ""
    return InventoryError(f"{what}: {explained(answer)}{advice}")
