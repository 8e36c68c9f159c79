"""A repository with a signed index of two images, and every way to damage it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.archive.images import FOREIGN, blob, image, manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

LAYER = b"a layer" * 1000
ABSENT = {"mediaType": FOREIGN, "digest": str(Digest.of(b"absent")), "size": 6, "urls": ["https://x.example/l"]}
NAME = "team/app"


@dataclass(frozen=True, slots=True)
class Tree:
    """The digests of what was pushed: `index` has the tags latest and v1, `image` is in it and has the tag amd64."""

    driver: StorageDriver
    index: Digest
    image: Digest
    layer: Digest
    signature: Digest

    def damage(self, path: str, content: bytes) -> None:
        self.driver.put(path, content)


def push(driver: StorageDriver) -> Tree:
    """Push all of it; again, if it is there."""
    repository = Repositories(driver).open(NAME)
    layer = blob(repository, LAYER)
    first = image(repository, layer, ABSENT)
    index = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": [first, image(repository, layer)]})
    signature = image(repository, blob(repository, b"signed"), subject=index, artifactType="application/x.signature")
    for tag, pushed in (("latest", index), ("v1", index), ("amd64", first)):
        repository.tags.point(Tag(tag), Digest.parse(pushed["digest"]))
    return Tree(driver, *(Digest.parse(each["digest"]) for each in (index, first, layer, signature)))


def is_whole(driver: StorageDriver) -> bool:
    """Tell whether all that push() pushes can be pulled."""
    repository = Repositories(driver).open(NAME)
    found = [repository.manifests.get(repository.tags.resolve(Tag(tag))) for tag in ("latest", "v1", "amd64")]
    images = [repository.manifests.get(entry.digest) for entry in found[0].manifests]
    for each in (*images, found[2]):
        for kind, descriptor in each.references():
            if kind != "foreign":
                stat = repository.blobs.stat(descriptor.digest)
                content = b"".join(repository.blobs.read(stat, 0, stat.size))
                assert Digest.of(content) == descriptor.digest
    return len(images) == 2


@dataclass(frozen=True, slots=True)
class Case:
    """A way to damage a tree, the kind and the place that are told, the tags, and what repairs it."""

    kind: str
    damage: Callable[[Tree], None]
    where: Callable[[Tree], str]
    tags: tuple[str, ...]
    wish: str = "repair"


def _of_tag(tree: Tree) -> str:
    del tree
    return f"{NAME}:v1"


def _remove_history(tree: Tree) -> None:
    tree.driver.put(paths.tag_link(NAME, "v1"), b"")
    tree.driver.delete(paths.all_tag_history(NAME, "v1"))


def _lose_image(tree: Tree) -> None:
    Repositories(tree.driver).open(NAME).manifests.delete(tree.image)


def _untag_and_lose(tree: Tree) -> None:
    tree.driver.delete(paths.revision_link(NAME, tree.index))
    tree.driver.delete(paths.blob_data(tree.index))


def _of_index(tree: Tree) -> str:
    return f"{NAME}@{tree.index}"


def _of_image(tree: Tree) -> str:
    return f"{NAME}@{tree.image}"


def _of_layer(tree: Tree) -> str:
    return f"{NAME}@{tree.layer}"


def _of_bytes(tree: Tree) -> str:
    return str(tree.layer)


def _spare(driver: StorageDriver, content: bytes) -> Digest:
    return Digest.parse(blob(Repositories(driver).open(NAME), content)["digest"])


def _lose_spare(tree: Tree) -> None:
    tree.driver.delete(paths.blob_data(_spare(tree.driver, b"spare")))


def _tear_spare(tree: Tree) -> None:
    tree.driver.put(paths.layer_link(NAME, _spare(tree.driver, b"spare")), b"\0" * 71)


def _of_spare(tree: Tree) -> str:
    del tree
    return f"{NAME}@{Digest.of(b'spare')}"


ALL_TAGS = ("amd64", "latest", "v1")
INDEX_TAGS = ("latest", "v1")
SAME_SIZE = b"x" * len(LAYER)

CASES = {
    "a tag's link is empty": Case("tag-link", lambda t: t.damage(paths.tag_link(NAME, "v1"), b""), _of_tag, ("v1",)),
    "a tag's link is zeros": Case(
        "tag-link", lambda t: t.damage(paths.tag_link(NAME, "v1"), b"\0" * 71), _of_tag, ("v1",)
    ),
    "a tag's link is missing": Case(
        "tag-link", lambda t: t.driver.delete(paths.tag_link(NAME, "v1")), _of_tag, ("v1",)
    ),
    "a tag has neither link nor history": Case("tag-link", _remove_history, _of_tag, ("v1",), "prune"),
    "a tag's manifest is not listed": Case(
        "tag-manifest",
        lambda t: t.driver.delete(paths.revision_link(NAME, t.image)),
        lambda _: f"{NAME}:amd64",
        ("amd64",),
    ),
    "the manifest of two tags has gone": Case("tag-manifest", _untag_and_lose, _of_tag, ("v1",), "prune"),
    "a manifest's link is empty": Case(
        "manifest-link", lambda t: t.damage(paths.revision_link(NAME, t.image), b""), _of_image, ALL_TAGS
    ),
    "a manifest's link holds another digest": Case(
        "manifest-link",
        lambda t: t.damage(paths.revision_link(NAME, t.image), str(t.index).encode()),
        _of_image,
        ALL_TAGS,
    ),
    "a manifest's bytes are missing": Case(
        "manifest-bytes", lambda t: t.driver.delete(paths.blob_data(t.index)), _of_index, INDEX_TAGS, "prune"
    ),
    "a manifest's bytes are others": Case(
        "manifest-bytes", lambda t: t.damage(paths.blob_data(t.index), b"{}"), _of_index, INDEX_TAGS, "prune"
    ),
    "an image of an index is gone": Case(
        "manifest-missing",
        _lose_image,
        _of_image,
        INDEX_TAGS,
        "push",
    ),
    "a layer's link is missing": Case(
        "layer-link", lambda t: t.driver.delete(paths.layer_link(NAME, t.layer)), _of_layer, ALL_TAGS, "relink"
    ),
    "a layer's link is empty": Case(
        "layer-link", lambda t: t.damage(paths.layer_link(NAME, t.layer), b""), _of_layer, ALL_TAGS
    ),
    "a link nobody needs leads nowhere": Case("unused-link", _lose_spare, _of_spare, ()),
    "a link nobody needs is zeros": Case("unused-link", _tear_spare, _of_spare, ()),
    "a layer's bytes are missing": Case(
        "blob-missing", lambda t: t.driver.delete(paths.blob_data(t.layer)), _of_layer, ALL_TAGS, "push"
    ),
    "a layer was cut short": Case(
        "blob-damaged", lambda t: t.damage(paths.blob_data(t.layer), LAYER[:99]), _of_bytes, (), "repair and push"
    ),
    "a layer is empty": Case(
        "blob-damaged", lambda t: t.damage(paths.blob_data(t.layer), b""), _of_bytes, (), "repair and push"
    ),
    "a layer has other bytes": Case(
        "blob-damaged",
        lambda t: t.damage(paths.blob_data(t.layer), SAME_SIZE),
        _of_bytes,
        (),
        "deep, repair and push",
    ),
    "bytes nobody needs are others": Case(
        "blob-damaged",
        lambda t: t.damage(paths.blob_data(Digest.of(b"nobody's")), b"other"),
        lambda _: str(Digest.of(b"nobody's")),
        (),
        "deep, repair",
    ),
}
