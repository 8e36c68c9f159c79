"""The one client of other registries."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import (
    DigestInvalidError,
    ManifestInvalidError,
    UpstreamBusyError,
    UpstreamFailedError,
    UpstreamLimitedError,
)
from registry.oci.manifest import MAX_SIZE, parse_manifest
from registry.oci.reference import Tag
from registry.oci.stored import stored_media_type
from registry.upstream import lists
from registry.upstream.limits import Limits, quantity
from registry.upstream.lists import pull_scope
from registry.upstream.meter import NoMeter
from registry.upstream.session import Session
from registry.upstream.streams import BlobStream, length_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.config.upstreams import Upstream as Settings
    from registry.foundation.http_client import Stream
    from registry.upstream.meter import Meter

_ACCEPT: Final = ("Accept", ", ".join(sorted(media_types.MANIFESTS)))
"""The same for every request: what a tag leads to must not depend on who asks."""

_PAGE: Final = "text/html"
"""What is sent by a portal or by a form for a login, and by no registry for a blob."""

_LEAST_STREAMS: Final = 2
"""One for what is kept, and one for what is only passed on."""

_OK: Final = 200
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404
_NO_HEAD: Final = frozenset({400, 405, 501})
"""What registries and what lies before them answer to a HEAD that they do not know."""


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest whose `content` has the digest that it was asked for by, or was said to have.

    `media_type` is what its content says, by which it is served when it is stored.
    """

    content: bytes
    media_type: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Standing:
    """How we stand with an upstream that gives us access.

    `scheme` is that of its challenge, "" if there was none: "basic", or "bearer" with the host of its `token_service`.
    `user` is whom it is asked as, "" for nobody or if a token is all we have. `limit` and `remaining` are pulls, None
    where it does not tell.
    """

    scheme: str
    token_service: str
    user: str
    limit: int | None
    remaining: int | None


class Upstream:
    """One of the registries that this one caches: one a process, for all threads. Nothing is asked before it is used.

    A `repository` is what the upstream calls it. `via`, where it is a parameter, is the header ``Via`` of the request
    that it is asked for. None stands for its 404, and for what clients of today cannot use (Docker's schema 1).

    Each raises:
        UpstreamRefusedError: its 401 and 403, or nobody may be asked for a token.
        UpstreamLimitedError: its 429, or it has said not long ago to wait; `retry_seconds` says how long.
        UpstreamFailedError: its 5xx, a break within an answer, other content than its digest, or what is not an answer.
        UpstreamSilentError: there is no answer in time, or no connection.
        UpstreamBusyError: it has failed too often just before, or too many wait for it here.
    """

    def __init__(self, settings: Settings, *, via: str = "", meter: Meter | None = None) -> None:
        """Take the `settings`; `via` is what this registry is called in the header of that name.

        Raises:
            ParameterError: a file that they name cannot be used.
        """
        self.settings = settings
        self.name = settings.name
        self._session = Session(settings, via, meter or NoMeter())
        self._limits = Limits(settings.name)
        self._streams = threading.BoundedSemaphore(max(settings.network.connections, _LEAST_STREAMS))

    def find(self, repository: str, reference: Tag | Digest, *, via: str = "") -> Digest | None:
        """Return the digest of a manifest, of which nothing else is fetched if the upstream tells it."""
        with self._open_manifest("HEAD", repository, reference, via) as answer:
            if answer.status == _NOT_FOUND:
                return None
            if answer.status not in {_OK, *_NO_HEAD}:
                raise self._unexpected(answer)
            media_type = _media_type(answer)
            if answer.status == _OK and media_type in media_types.SCHEMA1:
                return None
            # Whatever answers a HEAD by something else than a manifest may be no registry at all.
            told = answer.status == _OK and media_type in media_types.MANIFESTS
            digest = reference if isinstance(reference, Digest) else _digest_told(answer)
        if told and digest:
            return digest
        found = self.manifest(repository, reference, via=via)
        return found.digest if found else None

    def manifest(self, repository: str, reference: Tag | Digest, *, via: str = "") -> RemoteManifest | None:
        """Return a manifest of at most 4 MiB."""
        with self._open_manifest("GET", repository, reference, via) as answer:
            if answer.status == _NOT_FOUND:
                return None
            self._require_plain(answer)
            if _media_type(answer) in media_types.SCHEMA1:
                return None
            content = self._session.read(answer, MAX_SIZE)
        digest = reference if isinstance(reference, Digest) else _digest_told(answer) or Digest.of(content)
        if Digest.of(content, digest.algorithm) != digest:
            raise UpstreamFailedError(f"{self.name} sends a manifest that has another digest")
        try:
            media_type = stored_media_type(content)
            if media_type in media_types.SCHEMA1:
                return None
            if isinstance(reference, Tag) and _media_type(answer) not in media_types.MANIFESTS:
                # Neither its digest nor its type tells that it is meant as a manifest, so all of it has to.
                parse_manifest(content)
        except ManifestInvalidError as error:
            raise UpstreamFailedError(f"{self.name} sends what is not a manifest") from error
        return RemoteManifest(content, media_type, digest)

    def blob_size(self, repository: str, digest: Digest, *, via: str = "") -> int | None:
        """Return the size of a blob in bytes, which shows that it is there under this name."""
        target = f"{repository}/blobs/{digest}"
        with self._session.open("HEAD", target, scope=pull_scope(repository), via=via) as answer:
            if answer.status == _NOT_FOUND:
                return None
            if answer.status not in _NO_HEAD:
                self._require_blob(answer, digest)
                size = length_of(answer)
        if answer.status in _NO_HEAD:
            # Of one byte, which does not count as a download.
            found = self._open_blob(repository, digest, 0, 1, via)
            if found is None:
                return None
            with found:
                size = found.size
        if size is None:
            raise UpstreamFailedError(f"{self.name} does not say how large the blob is")
        return size

    def blob(
        self, repository: str, digest: Digest, start: int = 0, stop: int | None = None, *, via: str = ""
    ) -> BlobStream | None:
        """Return the content of a blob, or its bytes from `start` up to `stop`.

        The upstream may send all of it nevertheless: ``BlobStream.start`` says so. Of a process, no more such streams
        go on at once than ``network.connections``, or two.
        """
        network = self.settings.network
        if not self._streams.acquire(timeout=network.answertimeout_seconds):
            raise UpstreamBusyError(f"too many downloads from {self.name} go on", retry_seconds=1)
        try:
            found = self._open_blob(repository, digest, start, stop, via, self._streams.release)
        except BaseException:
            self._streams.release()
            raise
        if found is None:
            self._streams.release()
        return found

    def tags(self, repository: str, *, after: str, limit: int, via: str = "") -> list[str] | None:
        """Return the first `limit` tags behind `after`, sorted; fewer if there are no more."""
        return lists.tags(self._session, repository, after=after, limit=limit, via=via)

    def referrers(self, repository: str, subject: Digest, *, via: str = "") -> list[Mapping[str, object]] | None:
        """Return the descriptors of all that refers to `subject`, whose lists have at most 4 MiB."""
        return lists.referrers(self._session, repository, subject, via)

    def check(self) -> Standing:
        """Ask for nothing but access, and return what came of it."""
        with self._session.open("GET", "", scope="") as answer:
            self._require_plain(answer)
            headers = answer.headers
        login = self._session.login
        limit, remaining = quantity(headers, "RateLimit-Limit"), quantity(headers, "RateLimit-Remaining")
        return Standing(login.scheme, login.token_service, login.user, limit, remaining)

    def close(self) -> None:
        """Close the connections that wait for a request."""
        self._session.close()

    def _open_manifest(self, method: str, repository: str, reference: Tag | Digest, via: str) -> Stream:
        self._limits.require_open(method)
        target, scope = f"{repository}/manifests/{reference}", pull_scope(repository)
        try:
            return self._session.open(method, target, scope=scope, headers=[_ACCEPT], via=via)
        except UpstreamLimitedError as error:
            self._limits.hold(method, error.retry_seconds or 0)
            raise

    def _open_blob(  # noqa: PLR0913, PLR0917  what blob() is given, and what to call at the end
        self,
        repository: str,
        digest: Digest,
        start: int,
        stop: int | None,
        via: str,
        let_go: Callable[[], None] = lambda: None,
    ) -> BlobStream | None:
        partial = bool(start) or stop is not None
        wanted = [("Range", f"bytes={start}-{'' if stop is None else stop - 1}")] if partial else []
        target, scope = f"{repository}/blobs/{digest}", pull_scope(repository)
        answer = self._session.open("GET", target, scope=scope, headers=wanted, via=via)
        try:
            if answer.status == _NOT_FOUND:
                answer.close()
                return None
            if partial and answer.status == _PARTIAL:
                self._require_identity(answer)
            else:
                self._require_blob(answer, digest)
            return BlobStream(answer, self.name, start, let_go)
        except BaseException:
            answer.close()
            raise

    def _require_plain(self, answer: Stream) -> None:
        """Return if `answer` is a 200 whose content is sent as it is."""
        if answer.status != _OK:
            raise self._unexpected(answer)
        self._require_identity(answer)

    def _require_blob(self, answer: Stream, digest: Digest) -> None:
        """Return if `answer` is a 200 that has the blob, as far as its head tells."""
        self._require_plain(answer)
        told = _digest_told(answer)
        if told and told.algorithm == digest.algorithm and told != digest:
            raise UpstreamFailedError(f"{self.name} sends another blob than it was asked for")
        if _media_type(answer) == _PAGE:
            raise UpstreamFailedError(f"{self.name} sends a page in place of a blob")

    def _require_identity(self, answer: Stream) -> None:
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            raise UpstreamFailedError(f"{self.name} sends content in another encoding than it was asked for")

    def _unexpected(self, answer: Stream) -> UpstreamFailedError:
        return UpstreamFailedError(f"{self.name} answers {answer.status}")


def _media_type(answer: Stream) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _digest_told(answer: Stream) -> Digest | None:
    try:
        return Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except DigestInvalidError:
        return None
