"""Random trees of a registry, and a garbage collection on plain sets to compare with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS = 4
MANIFESTS = 6
OLD, CUTOFF, YOUNG = 1000.0, 2000.0, 3000.0
"""When an object was written; what was at or after CUTOFF is young."""

layers = st.integers(0, LAYERS - 1)
manifests = st.integers(0, MANIFESTS - 1)


@dataclass(frozen=True)
class Named:
    """What a manifest says: layers, those of them by sha512, and manifests and a subject of those before it."""

    layers: frozenset[int]
    by_sha512: frozenset[int]
    children: frozenset[int]
    subject: int | None
    is_readable: bool


@dataclass(frozen=True)
class Tree:
    """A registry. Links have their age, True if they are young; to a layer by sha512, as the Go registry keeps it."""

    named: tuple[Named, ...]
    revisions: dict[tuple[str, int], bool]
    layer_links: dict[tuple[str, int], bool]
    sha512_links: dict[tuple[str, int], bool]
    tags: dict[tuple[str, str], int]
    condemned: frozenset[tuple[str, int]]
    missing_layers: frozenset[int]
    missing_manifests: frozenset[int]
    young_layers: frozenset[int]

    @cached_property
    def contents(self) -> tuple[bytes, ...]:
        """The bytes of the manifests."""
        contents: list[bytes] = []
        for number, named in enumerate(self.named):
            described = [descriptor(by_sha256(each)) for each in sorted(named.layers)]
            described += [descriptor(by_sha512(each)) for each in sorted(named.by_sha512)]
            document: dict[str, object] = {
                "schemaVersion": 2,
                "mediaType": "application/x.test",
                "annotations": {"number": str(number)},
                "blobs": described,
                "manifests": [descriptor(Digest.of(contents[each])) for each in sorted(named.children)],
            }
            if named.subject is not None:
                document["subject"] = descriptor(Digest.of(contents[named.subject]))
            contents.append(json.dumps(document).encode() if named.is_readable else b"unreadable %d" % number)
        return tuple(contents)

    @cached_property
    def manifests(self) -> tuple[Digest, ...]:
        """The digests of the manifests."""
        return tuple(map(Digest.of, self.contents))

    @property
    def repositories(self) -> set[str]:
        """The repositories that have anything."""
        return {name for links in (self.revisions, self.layer_links, self.sha512_links, self.tags) for name, _ in links}

    def stored(self) -> set[Digest]:
        """Return the digests of all bytes that are there."""
        manifests = {digest for number, digest in enumerate(self.manifests) if number not in self.missing_manifests}
        return manifests | {by_sha256(number) for number in range(LAYERS) if number not in self.missing_layers}

    def build(self) -> InMemoryDriver:
        """Return a storage with the tree."""
        driver = InMemoryDriver()
        for number, content in enumerate(self.contents):
            if number not in self.missing_manifests:
                put(driver, paths.blob_data(self.manifests[number]), content, young=False)
        for number in range(LAYERS):
            if number not in self.missing_layers:
                put(driver, paths.blob_data(by_sha256(number)), layer(number), young=number in self.young_layers)
        for (name, number), young in self.revisions.items():
            digest = self.manifests[number]
            put(driver, paths.revision_link(name, digest), str(digest).encode(), young=young)
        for (name, number), young in self.layer_links.items():
            digest = by_sha256(number)
            put(driver, paths.layer_link(name, digest), str(digest).encode(), young=young)
        for (name, number), young in self.sha512_links.items():
            put(driver, paths.layer_link(name, by_sha512(number)), str(by_sha256(number)).encode(), young=young)
        for (name, tag), number in self.tags.items():
            put(driver, paths.tag_link(name, tag), str(self.manifests[number]).encode(), young=False)
        for name, number in self.condemned:
            digest = by_sha256(number)
            put(driver, paths.condemned_layer_link(name, digest), str(digest).encode(), young=False)
        return driver

    def named_by(self, number: int) -> set[Digest]:
        """Return what a manifest leads to."""
        named = self.named[number]
        found = {by_sha256(each) for each in named.layers} | {by_sha512(each) for each in named.by_sha512}
        return found | {self.manifests[each] for each in named.children} if named.is_readable else set()

    def has_read(self, name: str, number: int) -> bool:
        """Tell whether a repository has a manifest that can be read."""
        is_named = (name, number) in self.revisions or number in self.tagged(name)
        return is_named and self.is_there(number) and self.named[number].is_readable

    def tagged(self, name: str) -> set[int]:
        """Return the manifests to which tags of a repository point."""
        return {number for (other, _), number in self.tags.items() if other == name}

    def is_there(self, number: int) -> bool:
        """Tell whether the bytes of a manifest are there."""
        return number not in self.missing_manifests

    def is_whole(self, name: str) -> bool:
        """Tell whether a repository has a manifest that is missing or cannot be read."""
        anywhere = {number for _, number in self.revisions}
        manifests = {number for other, number in self.revisions if other == name}
        manifests |= {number for number in self.tagged(name) if self.is_there(number) or number in anywhere}
        return any(not (self.is_there(number) and self.named[number].is_readable) for number in manifests)

    def next_of(self, name: str, digest: Digest) -> Iterator[Digest]:
        """Yield what a digest leads to in a repository."""
        for number in range(MANIFESTS):
            if self.has_read(name, number):
                subject = self.named[number].subject
                if self.manifests[number] == digest:
                    yield from self.named_by(number)
                if subject is not None and self.manifests[subject] == digest:
                    yield self.manifests[number]


@dataclass
class Model:
    """What a garbage collection of a tree does, on sets."""

    tree: Tree
    only_tagged: bool

    def reached(self, name: str, *, young: bool) -> set[Digest]:
        """Return what is reached in a repository, also for its age if `young`."""
        tree, waiting = self.tree, set[Digest]()
        waiting |= {tree.manifests[number] for (other, _), number in tree.tags.items() if other == name}
        for (other, number), is_young in tree.revisions.items():
            if other == name and (not self.only_tagged or tree.is_whole(name) or (young and is_young)):
                waiting.add(tree.manifests[number])
        for links, digest_of in ((tree.layer_links, by_sha256), (tree.sha512_links, by_sha512)):
            for (other, number), is_young in links.items():
                if other == name and (tree.is_whole(name) or (young and is_young)):
                    waiting.add(digest_of(number))
        reached = set[Digest]()
        while waiting:
            digest = waiting.pop()
            reached.add(digest)
            waiting |= {*tree.next_of(name, digest)} - reached
        return reached

    def marked(self, *, young: bool) -> set[Digest]:
        """Return what is to be kept, also for its age if `young`."""
        marked = {digest for name in self.tree.repositories for digest in self.reached(name, young=young)}
        return marked | {by_sha256(number) for _, number in self.tree.sha512_links if by_sha512(number) in marked}

    def remaining(self) -> set[Digest]:
        """Return the digests of the bytes that stay."""
        young = {by_sha256(number) for number in self.tree.young_layers}
        return self.tree.stored() & (self.marked(young=True) | young)

    def links(self) -> set[str]:
        """Return the paths of the links that stay."""
        marked = self.marked(young=True)
        stay = {
            paths.revision_link(name, self.tree.manifests[number])
            for name, number in self.tree.revisions
            if not self.only_tagged or self.tree.manifests[number] in self.reached(name, young=True)
        }
        for name, number in self.tree.layer_links:
            if by_sha256(number) in marked:
                stay.add(paths.layer_link(name, by_sha256(number)))
        for name, number in self.tree.sha512_links:
            if marked & {by_sha256(number), by_sha512(number)}:
                stay.add(paths.layer_link(name, by_sha512(number)))
        return stay | {paths.layer_link(name, digest) for name, digest in self.restored()}

    def restored(self) -> set[tuple[str, Digest]]:
        """Return the repositories and digests whose condemned links are put back: a manifest that stays names them."""
        tree = self.tree
        return {
            (name, by_sha256(layer))
            for name, layer in tree.condemned
            for number in range(MANIFESTS)
            if tree.has_read(name, number)
            and tree.manifests[number] in self.reached(name, young=True)
            and by_sha256(layer) in tree.named_by(number) & tree.stored()
        }


def layer(number: int) -> bytes:
    """Return the bytes of a layer."""
    return b"layer %d" % number


def by_sha256(number: int) -> Digest:
    """Return the digest of a layer."""
    return Digest.of(layer(number))


def by_sha512(number: int) -> Digest:
    """Return the other digest of a layer."""
    return Digest.of(layer(number), "sha512")


def descriptor(digest: Digest) -> dict[str, object]:
    """Return what names a digest in a manifest."""
    return {"mediaType": "application/x.test", "digest": str(digest), "size": 1}


def put(driver: InMemoryDriver, path: str, content: bytes, *, young: bool) -> None:
    """Put an object that was written before CUTOFF, or since if it is `young`."""
    driver.put(path, content)
    objects = driver._store.objects
    objects[path] = replace(objects[path], modified=YOUNG if young else OLD)


numbers = st.frozensets(layers, max_size=3)
readable = st.sampled_from((True, True, True, True, False))
names = st.sampled_from(("a", "a/b", "a-b"))
trees = st.builds(
    Tree,
    named=st.tuples(
        *(
            st.builds(
                Named,
                layers=numbers,
                by_sha512=st.frozensets(layers, max_size=1),
                children=st.frozensets(st.integers(0, number - 1), max_size=2) if number else st.just(frozenset()),
                subject=st.none() | st.integers(0, number - 1) if number else st.none(),
                is_readable=readable,
            )
            for number in range(MANIFESTS)
        )
    ),
    revisions=st.dictionaries(st.tuples(names, manifests), st.booleans(), max_size=10),
    layer_links=st.dictionaries(st.tuples(names, layers), st.booleans(), max_size=8),
    sha512_links=st.dictionaries(st.tuples(names, layers), st.booleans(), max_size=3),
    tags=st.dictionaries(st.tuples(names, st.sampled_from(("v1", "v2"))), manifests, max_size=4),
    condemned=st.frozensets(st.tuples(names, layers), max_size=2),
    missing_layers=st.frozensets(layers, max_size=1),
    missing_manifests=st.frozensets(manifests, max_size=1),
    young_layers=st.frozensets(layers, max_size=1),
)
