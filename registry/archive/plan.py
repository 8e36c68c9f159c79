"""What an export holds: every manifest that a name leads to, its blobs, its referrers and theirs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.archive.layout import IMAGE_ANNOTATION, MAX_BLOBS, MAX_INDEX, TAG_ANNOTATION, ArchiveError, index
from registry.oci import media_types
from registry.oci.errors import BlobUnknownError, ManifestUnknownError, RegistryError
from registry.oci.reference import Tag, parse_name, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.oci.digest import Digest
    from registry.oci.manifest import Descriptor, Kind, Manifest
    from registry.ports import Repositories, Repository


@dataclass(frozen=True, slots=True)
class Item:
    """A blob to write, whether layer or manifest, and a repository that has it."""

    name: str
    digest: Digest
    size: int
    is_manifest: bool


@dataclass(slots=True)
class Plan:
    """`items` by digest, `entries` of index.json, and what is `left_out`, each with the reason.

    Tags, as ``NAME:TAG``, that were not named one by one and cannot be exported keep no other from it: `dead_tags` lead
    to no manifest, `schema1_tags` to an image of schema 1, which names its layers in another way.
    """

    items: dict[Digest, Item] = field(default_factory=dict)
    entries: list[dict[str, object]] = field(default_factory=list)
    left_out: dict[Digest, str] = field(default_factory=dict)
    dead_tags: set[str] = field(default_factory=set)
    schema1_tags: set[str] = field(default_factory=set)
    index_size: int = 0
    """Bytes of all entries."""

    @property
    def size(self) -> int:
        """Bytes of all items."""
        return sum(item.size for item in self.items.values())


def plan_export(
    repositories: Repositories,
    images: Sequence[str],
    matched: Iterable[tuple[str, str]] = (),
    found: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Return what belongs to `images`: ``NAME`` (all its tags), ``NAME:TAG`` or ``NAME@DIGEST``.

    `matched` are repositories and tags that are there; a tag of "" stands for all of them. `found` is told the
    repository of each manifest that is read.

    Raises:
        ArchiveError: there is no such image, something that it names is missing, or it is too much for one archive.
    """
    plan = Plan()
    planner = _Planner(repositories, plan, found)
    for image in images:
        with _errors_that_name(image):
            planner.add_image(image)
    for name, tag in matched:
        with _errors_that_name(name):
            planner.add_matched(name, tag)
    return plan


@contextmanager
def _errors_that_name(asked: str) -> Iterator[None]:
    """Begin every error with what was `asked` for."""
    try:
        yield
    except RegistryError as error:
        raise ArchiveError(f"{asked}: {error.message}") from error
    except ArchiveError as error:
        raise ArchiveError(f"{asked}: {error}") from error


def _require_room(plan: Plan) -> None:
    if len(plan.items) > MAX_BLOBS or plan.index_size > MAX_INDEX:
        raise ArchiveError(
            f"this is too much for one archive: {len(plan.entries)} images and referrers with {len(plan.items)} blobs "
            "so far; export fewer images at a time"
        )


class _Planner:
    def __init__(self, repositories: Repositories, plan: Plan, found: Callable[[str], None]) -> None:
        self._repositories = repositories
        self._plan = plan
        self._found = found
        self._walked: set[tuple[str, Digest]] = set()
        self._listed: set[tuple[str, Digest]] = set()

    def add_image(self, image: str) -> None:
        name, references = _split(image)
        repository = self._repositories.open(parse_name(name))
        if references:
            reference = parse_reference(references)
            if isinstance(reference, Tag):
                self._add_tag(repository, reference, repository.tags.resolve(reference))
            else:
                self._add_entry(repository, reference, "", "")
                self._add_below(repository, reference)
            return
        for tag in map(Tag, repository.tags.names()):
            self._add_if_possible(repository, tag)

    def add_matched(self, name: str, tag: str) -> None:
        repository = self._repositories.open(name)
        for each in [tag] if tag else repository.tags.names():
            self._add_if_possible(repository, Tag(each))

    def _add_if_possible(self, repository: Repository, tag: Tag) -> None:
        """Add a tag that was not named for itself: what cannot be exported must not keep the others from it."""
        digest = _led_to(repository, tag)
        if digest is None:
            # A crash or another program has left it behind.
            self._plan.dead_tags.add(f"{repository.name}:{tag}")
        elif _is_schema1(repository, digest):
            self._plan.schema1_tags.add(f"{repository.name}:{tag}")
        else:
            self._add_tag(repository, tag, digest)

    def _add_tag(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        try:
            self._add_entry(repository, digest, f"{repository.name}:{tag}", str(tag))
        except ManifestUnknownError as error:
            raise ArchiveError(f"tag {tag}: {error.message}: {digest}") from error
        self._add_below(repository, digest)

    def _add_entry(self, repository: Repository, digest: Digest, image: str, tag: str) -> None:
        manifest = repository.manifests.get(digest)
        annotations = {IMAGE_ANNOTATION: image or f"{repository.name}@{digest}"}
        if image:
            annotations[TAG_ANNOTATION] = tag
        entry = {"mediaType": manifest.media_type, "digest": str(digest), "size": len(manifest.content)}
        if manifest.artifact_type:
            entry["artifactType"] = manifest.artifact_type
        entry["annotations"] = annotations
        if (annotations[IMAGE_ANNOTATION], digest) not in self._listed:
            self._listed.add((annotations[IMAGE_ANNOTATION], digest))
            self._plan.entries.append(entry)
            self._plan.index_size += len(index([entry]))
            _require_room(self._plan)

    def _add_below(self, repository: Repository, root: Digest) -> None:
        """Add all that the manifest `root` leads to, however deep: indexes of indexes, referrers of referrers."""
        waiting = [root]
        while waiting:
            digest = waiting.pop()
            if (repository.name, digest) in self._walked:
                continue
            self._walked.add((repository.name, digest))
            if digest != root and _is_schema1(repository, digest):
                self._plan.left_out[digest] = "it is an image of schema 1"
                continue
            manifest = repository.manifests.get(digest)
            self._found(repository.name)
            self._plan.items[digest] = Item(repository.name, digest, len(manifest.content), is_manifest=True)
            below = [*self._add_references(repository, digest, manifest)]
            for referrer in repository.referrers.after(digest):
                if repository.manifests.has(referrer):
                    self._add_entry(repository, referrer, "", "")
                    below.append(referrer)
            waiting.extend(reversed(below))

    def _add_references(self, repository: Repository, digest: Digest, manifest: Manifest) -> Iterator[Digest]:
        """Add the blobs that a manifest names, and yield the manifests."""
        for kind, descriptor in manifest.references():
            if kind not in {"manifest", "entry"}:
                self._add_blob(repository, digest, kind, descriptor)
            elif repository.manifests.has(descriptor.digest):
                yield descriptor.digest
            else:
                self._add_child(repository, digest, kind, descriptor)

    def _add_child(self, repository: Repository, parent: Digest, kind: Kind, child: Descriptor) -> None:
        """Add what an index names and the repository does not have as a manifest."""
        if not repository.blobs.has(child.digest):
            # An index need not have all its images: validation may allow that.
            self._plan.left_out[child.digest] = "it is not stored here"
        elif kind == "entry":
            self._add_blob(repository, parent, kind, child)
        else:
            # An import would publish it as a manifest, which this repository does not, and ask for all that it names.
            self._plan.left_out[child.digest] = "it is stored here as a blob and not as a manifest"

    def _add_blob(self, repository: Repository, parent: Digest, kind: Kind, described: Descriptor) -> None:
        digest = described.digest
        if digest in self._plan.items:
            return
        try:
            size = repository.blobs.stat(digest).size
        except BlobUnknownError:
            if kind != "foreign":
                raise ArchiveError(_missing(parent, kind, described)) from None
            self._plan.left_out[digest] = "it is not stored here"
        else:
            self._plan.items[digest] = Item(repository.name, digest, size, is_manifest=False)
            _require_room(self._plan)


def _led_to(repository: Repository, tag: Tag) -> Digest | None:
    """Return the digest of the manifest that `tag` leads to, if its repository has that."""
    try:
        digest = repository.tags.resolve(tag)
    except ManifestUnknownError:
        return None
    return digest if repository.manifests.has(digest) else None


def _is_schema1(repository: Repository, digest: Digest) -> bool:
    try:
        return repository.manifests.serve(digest).media_type in media_types.SCHEMA1
    except ManifestUnknownError:
        return False


def _missing(parent: Digest, kind: Kind, described: Descriptor) -> str:
    """Return what is wrong with a manifest, `parent`, whose config or blob is not stored, and what to do."""
    what = "config" if kind == "config" else "layer"
    why = " and has no URLs" if described.media_type in media_types.NON_DISTRIBUTABLE else ""
    advice = "push the image again with it, or export other images only"
    return f"{what} {described.digest} of manifest {parent} is not stored here{why}: {advice}"


def _split(image: str) -> tuple[str, str]:
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    name, _, tag = image.partition(":")
    return name, tag
