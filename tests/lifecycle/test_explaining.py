from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from registry.lifecycle.explaining import BYTES, REFERRER, Explanation, Root, Verdict
from registry.lifecycle.findings import Findings
from registry.lifecycle.garbage import GarbageCollection, offline_policy
from registry.lifecycle.scan import scan
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.parts import Kind, part_at
from registry.storage.repository import Repositories
from registry.storage.validation import ValidationPolicy
from tests.lifecycle.graphs import CUTOFF, LAYERS, OLD, YOUNG, Model, Tree, by_sha256, by_sha512, trees

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver
    from registry.oci.digest import Digest


def collect(driver: InMemoryDriver, *, only_tagged: bool) -> None:
    publishing = Publishing(ValidationPolicy(), Operator())
    collection = GarbageCollection(driver, Repositories(driver), publishing, None, cutoff=CUTOFF, force=True)
    collection.run(only_tagged=only_tagged)


@given(trees, st.booleans())
def test_a_collection_deletes_what_one_on_plain_sets_deletes(tree: Tree, only_tagged: bool) -> None:
    driver, model = tree.build(), Model(tree, only_tagged)

    collect(driver, only_tagged=only_tagged)

    found = {found.path for found in driver.walk(paths.ROOT)}
    parts = {path: part_at(path) for path in found}
    assert {part.digest for part in parts.values() if part and part.kind is Kind.BLOB} == model.remaining()
    links = {path for path, part in parts.items() if part and part.kind in {Kind.LAYER, Kind.REVISION}}
    assert links == model.links()
    waiting = {part.digest for part in parts.values() if part and part.kind is Kind.CONDEMNED_LAYER}
    marked = model.marked(young=True)
    assert waiting <= (model.remaining() - marked) | (marked - tree.stored())


@given(trees, st.booleans())
def test_what_is_explained_is_what_happens(tree: Tree, only_tagged: bool) -> None:
    driver, model = tree.build(), Model(tree, only_tagged)
    digests = {*tree.manifests, *map(by_sha256, range(LAYERS)), *map(by_sha512, range(LAYERS))}
    with Findings() as findings:
        scan(driver, findings, offline_policy(CUTOFF, only_tagged=only_tagged))
        explained = {digest: findings.explain(digest) for digest in digests}
        losing = {digest: set(findings.losing(digest)) for digest in digests}
    before = {found.path for found in driver.walk(paths.ROOT)}

    collect(driver, only_tagged=only_tagged)

    after = {found.path for found in driver.walk(paths.ROOT)}
    for digest, explanation in explained.items():
        is_stored, stays = paths.blob_data(digest) in before, paths.blob_data(digest) in after
        assert (explanation.verdict is Verdict.ABSENT) == (not is_stored)
        assert (explanation.verdict in {Verdict.KEPT, Verdict.YOUNG}) == stays
        if stays:
            assert (explanation.verdict is Verdict.KEPT) == (digest in model.marked(young=False))
        assert_holds(tree, only_tagged, explanation)
    for path in before - after:
        part = part_at(path)
        if part and part.digest and part.kind in {Kind.LAYER, Kind.REVISION}:
            assert (part.repository, str(part.kind)) in losing[part.digest]


def assert_holds(tree: Tree, only_tagged: bool, explanation: Explanation) -> None:
    """Fail unless each step of an explanation follows from the one before."""
    way = explanation.way
    if way is None:
        is_marked = explanation.digest in Model(tree, only_tagged).marked(young=True)
        assert not is_marked
        if explanation.verdict is not Verdict.ABSENT:
            assert explanation.since in {OLD, YOUNG}
        return
    digests = [step.digest for step in way.steps]
    assert digests[-1] == explanation.digest
    assert (way.root is Root.YOUNG) == (explanation.verdict is Verdict.YOUNG) or explanation.verdict is Verdict.ABSENT
    assert is_root(tree, only_tagged, explanation, digests[0])
    numbers = {digest: number for number, digest in enumerate(tree.manifests)}
    for step, former in zip(way.steps[1:], digests, strict=False):
        if step.kind == BYTES:
            assert any(former == by_sha512(number) and step.digest == by_sha256(number) for number in range(LAYERS))
        elif step.kind == REFERRER:
            subject = tree.named[numbers[step.digest]].subject
            assert subject is not None
            assert tree.manifests[subject] == former
            assert tree.has_read(way.repository, numbers[step.digest])
        else:
            assert tree.has_read(way.repository, numbers[former])
            assert step.digest in tree.named_by(numbers[former])


def is_root(tree: Tree, only_tagged: bool, explanation: Explanation, digest: Digest) -> bool:
    way = explanation.way
    assert way
    numbers = {each: number for number, each in enumerate(tree.manifests)}
    if way.root is Root.TAG:
        return tree.tags[way.repository, way.tag] == numbers[digest]
    if way.root is Root.REVISION:
        return not only_tagged and (way.repository, numbers[digest]) in tree.revisions
    if way.root is Root.UNREADABLE:
        return tree.is_whole(way.repository)
    assert (way.written, way.limit) == (YOUNG, CUTOFF)
    return is_young(tree, way.repository, digest)


def is_young(tree: Tree, name: str, digest: Digest) -> bool:
    """Tell whether a link to a digest in a repository is young; in "", the bytes."""
    numbers = range(LAYERS)
    young = {by_sha256(number) for number in numbers if tree.layer_links.get((name, number))}
    young |= {by_sha512(number) for number in numbers if tree.sha512_links.get((name, number))}
    young |= {tree.manifests[number] for (other, number), new in tree.revisions.items() if new and other == name}
    return digest in (young if name else {by_sha256(number) for number in tree.young_layers})
