"""What the registry is made of, as views and commands use it: protocols, each promise a sentence.

``registry.storage`` implements them over a storage driver. Whatever else implements them (a cache that fetches from
another registry what it lacks) passes the same suite, ``tests/ports/conformance.py``.

An error that is not named in a docstring is one of the storage below, and becomes a 5xx. What a store returns it has
looked up just now: nothing is promised of what another request does meanwhile, except where it says so.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar

from registry.oci.digest import DEFAULT_ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest
    from registry.oci.reference import Tag
    from registry.oci.uploads import Chunk, UploadState

Given = TypeVar("Given")
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that a repository may serve; `size` in bytes.

    `digest` is the one it was asked for, `target` the one its bytes are stored under. The two differ where the Go
    registry stored a blob that was pushed by sha512: it keeps such bytes under their sha256.
    """

    digest: Digest
    target: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest as it stands in a list of referrers: `descriptor` is JSON in ASCII."""

    digest: Digest
    artifact_type: str
    descriptor: str


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """A part of a list of referrers. The next begins after `last`; None if there are no more."""

    referrers: tuple[Referrer, ...]
    last: Digest | None


class TagTakenError(Exception):
    """The tag points to another manifest, `current`."""

    def __init__(self, current: Digest) -> None:
        super().__init__(str(current))
        self.current = current


class ChangedError(Exception):
    """What a caller wants to change is not what it has seen: another request came first."""


class Visitor(Protocol):
    """On whose behalf a repository is opened, where what it lacks may have to be fetched from another registry."""

    @property
    def via(self) -> str:
        """The Via header of the request, by which registries that cache each other see that they do; "" if none."""

    def waiting(self) -> AbstractContextManager[None]:
        """Return a block in which the caller may wait for long: others are attended to meanwhile.

        Entering it raises UpstreamBusyError where too many wait already.
        """

    def warn(self, text: str) -> None:
        """Have the client told `text`, one line, with the answer, if that has not begun."""


class Nobody:
    """The Visitor of commands and jobs: nobody waits behind them, and nobody is told."""

    via: Final = ""

    def waiting(self) -> AbstractContextManager[None]:
        """Return a block that is nothing special."""
        return nullcontext()

    def warn(self, text: str) -> None:
        """Tell nobody."""


class Holder(Protocol):
    """What may have the content that a manifest names: the blobs or the manifests of a repository, or of an archive."""

    def has(self, digest: Digest) -> bool:
        """Tell whether this holder has the content; BlobReader and ManifestStore say what they look at."""

    def has_each(self, digests: Iterable[Digest]) -> Iterator[bool]:
        """Tell of each of `digests`, in order, what has() tells. Several may be looked for at a time, and ahead."""


class BlobReader(Holder, Protocol):
    """The blobs of one repository, for those who read them."""

    def has(self, digest: Digest) -> bool:
        """Tell whether stat() finds the blob: this repository has it, and its bytes are there.

        A repository that is fetched from another registry as clients ask for it has also what is to be had there.
        """

    def stat(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that relies on its bytes being there.

        Raises:
            BlobUnknownError: this repository does not have it.
        """

    def serve(self, digest: Digest) -> Blob:
        """Return the blob, for a caller that reads it next: its size may be one that is remembered.

        Raises:
            BlobUnknownError: this repository does not have it.
        """

    def serve_range(self, digest: Digest, start: int, stop: int | None) -> Blob:
        """Return the blob as serve() does, for a caller that reads ``start..stop`` next; without `stop`, to its end.

        An object store may open that range at the same time. The next read() then has it, if it begins at `start`.

        Raises:
            BlobUnknownError: this repository does not have it.
        """

    def describe(self, digest: Digest) -> Blob:
        """Return the blob as serve() does, for a caller that reads nothing of it: what is not here is not fetched.

        Raises:
            BlobUnknownError: this repository does not have it.
        """

    def read(self, blob: Blob, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes ``start..stop``, `stop` excluded; the blob is opened before this returns.

        A caller who does not read the iterator to its end calls its ``close()``.

        Raises:
            BlobUnknownError: it was deleted meanwhile.
        """

    def open_local(self, blob: Blob) -> BinaryIO | None:
        """Return a local file that holds exactly the blob, opened, or None if there is none.

        Raises:
            BlobUnknownError: it was deleted meanwhile.
        """

    def local_name(self, blob: Blob) -> str | None:
        """Return where the blob lies below the directory of all blobs, or None if the storage has no local files.

        The name begins with a slash and is for a front-end server, which has that directory. Whether the file exists is
        not checked.
        """

    def redirect_url(self, blob: Blob, client: str = "") -> str | None:
        """Return a URL from which the caller, whose address is `client` if known, may GET the blob itself, or None."""


class BlobStore(BlobReader, Protocol):
    """The blobs of one repository."""

    def is_verified(self, blob: Blob) -> bool:
        """Tell whether its bytes are here, and those of its digest, so that any part of it may be given out."""

    def mount(self, blob: Blob) -> None:
        """Let this repository have a blob that stat() of another one has returned, or Repositories.stat_blob()."""

    def delete(self, digest: Digest) -> None:
        """Take the blob away from this repository, for good: revive() does not find it. Other repositories keep it.

        Raises:
            BlobUnknownError: this repository does not have it.
        """

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        """Have the blob again if a garbage collection has condemned it at or after the time that `since` returns.

        That is in seconds since the epoch, by the clock of the storage. Tell whether stat() finds the blob now.
        """


class ServedManifest(Protocol):
    """What a client is given of a manifest."""

    @property
    def content(self) -> bytes:
        """The manifest, byte for byte as it was pushed."""

    @property
    def media_type(self) -> str:
        """The media type that it was pushed as."""


class ManifestStore(Holder, Protocol):
    """The manifests of one repository."""

    def has(self, digest: Digest) -> bool:
        """Tell whether this repository lists the manifest. Its bytes are not looked at: get() may still raise."""

    def get(self, digest: Digest) -> Manifest:
        """Return the manifest, with all that is read in it.

        Raises:
            ManifestUnknownError: this repository does not have it, or what is stored cannot be read.
        """

    def peek(self, digest: Digest) -> Manifest | None:
        """Return what get() does, also where a garbage collection has condemned the manifest; None if neither."""

    def serve(self, digest: Digest) -> ServedManifest:
        """Return what a client gets of the manifest, also of one that get() cannot read; otherwise as get()."""

    def digests(self) -> Iterator[Digest]:
        """Yield the digest of every manifest; of those that come or go meanwhile, any."""

    def touch(self, digest: Digest) -> None:
        """Let the manifest count as pushed now, if the repository lists it."""

    def check_first(self, check: Callable[[], object], manifest: Manifest, digest: Digest) -> None:
        """Do `check`, which says whether put() of a manifest may follow, and raise what it raises.

        The bytes of the manifest may be stored at the same time, for put() to go on from. Nothing leads there yet.
        """

    def put(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag] = ()) -> None:
        """Store a manifest under its digest, list it among the referrers of its subject, let `tags` point to it.

        At no moment does a tag or a referrer lead to what is not there. What the manifest names is not looked for.

        Raises:
            DigestInvalidError: the digest is not that of the content; nothing is stored.
        """

    def add(self, manifest: Manifest, digest: Digest) -> None:
        """Store a manifest as put() does, unless this repository has it already: of two at a time one succeeds.

        Raises:
            DigestInvalidError: the digest is not that of the content; nothing is stored.
            ChangedError: this repository has it.
        """

    def keep(self, manifest: Manifest, digest: Digest, tags: Sequence[Tag]) -> None:
        """Store again what a deletion at the same time has taken away of a manifest and of `tags` that point to it.

        A tag that points to another manifest is left alone.
        """

    def delete(self, digest: Digest) -> list[str]:
        """Delete the manifest, first the tags that point to it, and its entry among referrers; return those tags.

        Deleted is for good: revive() does not find it.

        Raises:
            ManifestUnknownError: this repository does not have it.
        """

    def revive(self, digest: Digest, since: Callable[[], float]) -> bool:
        """Have the manifest again if a garbage collection has condemned it then, as BlobStore.revive() says.

        What it names has to be there. Tell whether has() finds it now.
        """

    def forget(self, digest: Digest) -> None:
        """Delete a manifest. The caller knows that no tag points to it, so no tag is read.

        Raises:
            ManifestUnknownError: this repository does not have it.
        """


class TagStore(Protocol):
    """The tags of one repository."""

    def resolve(self, tag: Tag) -> Digest:
        """Return the digest that `tag` points to now.

        Raises:
            ManifestUnknownError: there is no such tag.
        """

    def serve(self, tag: Tag) -> Digest:
        """Return what resolve() does, for a caller that gives a client the manifest next.

        A repository that caches another registry asks that one where `tag` points, unless it has asked just before.
        resolve() tells what is cached. It may then raise UpstreamError as well.
        """

    def pushed(self, tag: Tag) -> float:
        """Return when `tag` was pointed to a manifest the last time, in seconds since the epoch.

        Raises:
            ManifestUnknownError: there is no such tag.
        """

    def pushed_each(self, tags: Sequence[Tag]) -> Sequence[float | None]:
        """Return of each of `tags` what pushed() does; None if there is no such tag. One look may tell of several."""

    def point(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest that the repository has."""

    def claim(self, tag: Tag, digest: Digest) -> None:
        """Let `tag` point to a manifest as point() does, unless it points to another: of two at a time one succeeds.

        Raises:
            TagTakenError: it does; nothing is changed.
        """

    def move(self, tag: Tag, digest: Digest, current: Digest | None) -> None:
        """Let `tag` point to a manifest as point() does, if it points to `current` now, or nowhere where that is None.

        Of two at a time one succeeds. A storage without conditional writes looks first and writes then.

        Raises:
            ChangedError: it points elsewhere; nothing is changed.
        """

    def delete(self, tag: Tag) -> None:
        """Forget `tag`; the manifest stays.

        Raises:
            ManifestUnknownError: there is no such tag.
        """

    def delete_from(self, tag: Tag, current: Digest) -> None:
        """Forget `tag` if it points to `current` now; otherwise as move()."""

    def pointing_to(self, digest: Digest) -> Iterator[str]:
        """Yield the tags that point to `digest`, none where there is no such repository; each tag is read."""

    def page(self, *, after: str = "", limit: int) -> list[str]:
        """Return at most `limit` tags that sort after `after`, in byte order.

        Raises:
            NameUnknownError: there is no such repository.
        """

    def names(self) -> Iterator[str]:
        """Yield every tag, in byte order.

        Raises:
            NameUnknownError: there is no such repository. It is raised by the call itself.
        """


class ReferrerStore(Protocol):
    """Which manifests of one repository name another as their subject."""

    def after(self, subject: Digest, last: Digest | None = None) -> Iterator[Digest]:
        """Yield, in order, the digests of the referrers of `subject` that sort after `last`.

        `subject` need not exist. A referrer may be gone already: look before naming it to a client.
        """

    def page(
        self,
        subject: Digest,
        *,
        after: Digest | None = None,
        artifact_types: Collection[str] | None = None,
        limit: int,
        awaited: Callable[[], bool] = lambda: True,
    ) -> ReferrersPage:
        """Return at most `limit` referrers of `subject` that sort after `after`; `limit` is at least 1.

        Given `artifact_types`, only those of one of them are listed. All that are listed are manifests which the
        repository has. The work of one call is bounded: a page may have fewer than `limit`, even none, though more
        follow. It ends early, too, when `awaited`, which is asked now and then, returns False.
        """


class UploadStore(Protocol):
    """The upload sessions of one repository.

    Bytes that were acknowledged never change: a session grows at its end, by one request at a time.
    """

    def start(self, algorithm: str = DEFAULT_ALGORITHM, upload_id: str | None = None) -> UploadState:
        """Begin a session whose content is expected to be named by a digest of `algorithm`.

        `upload_id` is a UUID that was not used before; without it, a random one is made.
        """

    def status(self, upload_id: str, told: UploadState | None = None) -> UploadState:
        """Return where a session stands, for a client that has lost its token or doubts it.

        `told` is what the client was told, if it says so; it is returned where it is still true.

        Raises:
            BlobUploadUnknownError: there is no such session.
        """

    def append(self, state: UploadState, chunk: Chunk) -> UploadState:
        """Store a chunk and return where the session stands then.

        Raises:
            BlobUploadUnknownError: there is no such session.
            OffsetError: the chunk does not begin where the upload stands; nothing was written.
            SizeInvalidError: the body's length is not that of its range; nothing was written.
            BodyCutShortError: the client went away; what arrived is kept.
        """

    def finish(self, state: UploadState, chunk: Chunk, digest: Digest) -> int:
        """Store the last chunk, which may be empty, and publish the whole as a blob; return its size in bytes.

        Raises:
            DigestInvalidError: the content is another; the session is gone and nothing was published.
            As append() otherwise; the session stays.
        """

    def cancel(self, upload_id: str) -> None:
        """End a session and delete all that was stored for it.

        Raises:
            BlobUploadUnknownError: there is no such session.
        """

    def date(self, upload_id: str) -> None:
        """Let a session that does not say when it was started have been started now."""

    def discard(self, upload_id: str) -> None:
        """Delete what is left of a session, if anything is; a failure of the storage is logged, not raised."""


class Repository(Protocol):
    """Everything that is kept under one name. It need not exist yet: the first push makes it."""

    @property
    def name(self) -> str:
        """The name, which is a valid one."""

    @property
    def blobs(self) -> BlobStore:
        """The blobs."""

    @property
    def manifests(self) -> ManifestStore:
        """The manifests."""

    @property
    def tags(self) -> TagStore:
        """The tags."""

    @property
    def referrers(self) -> ReferrerStore:
        """The referrers of each manifest."""

    @property
    def uploads(self) -> UploadStore:
        """The upload sessions."""

    def delete(self) -> None:
        """Delete all of it: tags, referrers, manifests, blobs, uploads; repositories nested in its name stay.

        Broken off, it leaves no tag that points to a manifest which is gone, no referrer which is gone, and no manifest
        whose blobs it has taken away. It may leave a tag that is listed and unknown, and an index without some of its
        manifests. Done again, it goes on.

        Raises:
            NameUnknownError: there is nothing under this name.
        """


class Catalog(Protocol):
    """Which repositories there are: those that have manifests. A name comes before those nested in it."""

    def page(self, *, after: str = "", limit: int, shown: Callable[[str], bool]) -> list[str]:
        """Return the first `limit` repositories that come after `after` and are `shown`; `limit` is at least 1."""

    def names(self, *, after: str = "", below: str = "") -> Iterator[str]:
        """Yield the repositories that come after `after`; or, given `below`, those that are nested in that name."""

    def has(self, name: str) -> bool:
        """Tell whether there is a repository called `name`."""

    def children(self, name: str, *, after: str = "", limit: int) -> list[str]:
        """Return the first `limit` names right below `name` that come after `after`, one of them; "" is the root.

        Under each lies something, perhaps no repository: names() and has() tell.
        """

    def linking(self) -> Iterator[str]:
        """Yield the names that have manifests or blobs."""

    def keeping(self, *, below: str = "") -> Iterator[str]:
        """Yield the names of which anything is kept, be it only what a deletion that broke off has left.

        Given `below`, they are those that are nested in that name. A name may be deleted when it has been yielded.
        """

    def keeps(self, name: str) -> bool:
        """Tell whether anything is kept under `name`; what is nested in it does not count."""


class Repositories(Protocol):
    """All repositories of a registry."""

    @property
    def catalog(self) -> Catalog:
        """Which there are."""

    def open(self, name: str) -> Repository:
        """Return the repository called `name`, which the caller has parsed and authorized; it need not exist."""

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        """Yield what `look`, which asks these repositories, returns for each of `given`, in order.

        Where an answer takes long, several are asked for at a time, and ahead.
        """

    def stat_blob(self, digest: Digest) -> Blob:
        """Return a blob that any repository may have, for callers who may read all of them.

        Raises:
            BlobUnknownError: no repository has it.
        """

    def abandoned_uploads(
        self, *, before: datetime, undated: Callable[[str, str], object] = ...
    ) -> Iterator[tuple[str, str]]:
        """Yield repository name and id of every upload session that was started before `before`.

        `undated` is called with those of each that does not say when it was started.
        """

    def purge_leftovers(self, *, before: datetime) -> int:
        """Delete what work that broke off before `before` has left behind and nobody can see; return how much."""
