from __future__ import annotations

import json
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import DriverError, NotPermittedError
from drivers.inmemory import InMemoryDriver
from registry.lifecycle.garbage import Collected, GarbageCollection
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, ManifestUnknownError
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.repository import Repositories, Repository
from registry.storage.validation import ValidationPolicy
from tests.archive.images import blob, fill, image, manifest
from tests.drivers.failing import FailingDriver
from tests.drivers.forbidding import ForbiddingDriver
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from registry import ports

YOUNG = 3600.0


def collect(
    driver: StorageDriver, *, grace: float = 0, only_tagged: bool = False, dry_run: bool = False
) -> tuple[Collected, list[str]]:
    return collect_before(driver, time.time() - grace, only_tagged=only_tagged, dry_run=dry_run)


def collect_before(
    driver: StorageDriver, cutoff: float, *, only_tagged: bool = False, dry_run: bool = False
) -> tuple[Collected, list[str]]:
    lines: list[str] = []
    publishing = Publishing(ValidationPolicy(), Operator())
    collection = GarbageCollection(
        driver, Repositories(driver), publishing, lines.append, cutoff=cutoff, dry_run=dry_run
    )
    return collection.run(only_tagged=only_tagged), lines


def digest_of(descriptor: dict[str, object]) -> Digest:
    return Digest.parse(str(descriptor["digest"]))


def is_whole(repository: Repository, digest: Digest) -> bool:
    """Tell whether an image or index can be pulled with all that it names."""
    try:
        found = repository.manifests.get(digest)
        for each in (*found.blobs, *([found.config] if found.config else ())):
            if not each.urls:
                b"".join(repository.blobs.read(repository.blobs.stat(each.digest), 0, each.size))
    except (ManifestUnknownError, BlobUnknownError):
        return False
    return all(is_whole(repository, each.digest) for each in found.manifests)


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("team/app")


@pytest.mark.parametrize("only_tagged", [False, True])
def test_a_multi_architecture_image_with_its_signatures_stays(
    driver: InMemoryDriver, repository: Repository, *, only_tagged: bool
) -> None:
    index = fill(repository, layer_bytes=600)

    collected, _ = collect(driver, only_tagged=only_tagged)

    assert collected == Collected(0, 0, 0, 0, 0)
    assert is_whole(repository, digest_of(index))
    [signature] = repository.referrers.after(digest_of(index))
    [countersignature] = repository.referrers.after(signature)
    assert is_whole(repository, signature)
    assert is_whole(repository, countersignature)


def test_an_image_without_a_tag_goes_only_when_asked_and_its_signatures_with_it(
    driver: InMemoryDriver, repository: Repository
) -> None:
    index = digest_of(fill(repository, layer_bytes=600))
    kept = digest_of(image(repository, blob(repository, b"amd64" * 1000)))
    repository.tags.point(Tag("v1"), kept)
    repository.tags.delete(Tag("latest"))

    assert collect(driver)[0].blobs == 0
    collected, lines = collect(driver, only_tagged=True)

    assert collected.manifests == 5
    assert list(repository.manifests.digests()) == [kept]
    assert is_whole(repository, kept)
    assert list(repository.referrers.after(index)) == []
    assert f"manifest eligible for deletion: {{team/app {index} [v1]}}" in lines
    assert_nothing_dangles(driver, "team/app")
    assert collect(driver, only_tagged=True)[0] == Collected(0, 0, 0, 0, 0)


def test_blobs_that_no_manifest_names_go_with_their_links(driver: InMemoryDriver, repository: Repository) -> None:
    fill(repository, layer_bytes=600)
    stray = digest_of(blob(repository, b"stray"))
    other = Repositories(driver).open("only/layers")
    digest_of(blob(other, b"stray"))

    collected, lines = collect(driver)

    assert (collected.blobs, collected.size) == (1, 5)
    assert not repository.blobs.has(stray)
    assert driver.list(paths.repository("only"), limit=1) == []
    assert f"blob eligible for deletion: {stray}" in lines
    assert f"only/layers: layer link eligible for deletion: {stray}" in lines
    assert any(line.startswith("\n") and " blobs marked, 1 blobs and 0 manifests eligible" in line for line in lines)


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_blob_and_manifest_that_a_repository_loses_goes_through_publishing(
    driver: InMemoryDriver, repository: Repository, *, dry_run: bool
) -> None:
    passed = []

    class Listening(Publishing):
        def remove_blob(self, repository: ports.Repository, digest: Digest) -> None:
            super().remove_blob(repository, digest)
            passed.append((repository.name, digest))

        def remove_untagged_manifest(self, repository: ports.Repository, digest: Digest) -> None:
            super().remove_untagged_manifest(repository, digest)
            passed.append((repository.name, digest))

    untagged = image(repository, blob(repository, b"layer"))
    blob(Repositories(driver).open("other"), b"layer")
    publishing = Listening(ValidationPolicy(), Operator())

    GarbageCollection(
        driver, Repositories(driver), publishing, lambda _: None, cutoff=time.time(), dry_run=dry_run
    ).run(only_tagged=True)

    gone = [
        ("team/app", digest_of(untagged)),
        ("team/app", Digest.of(b"layer")),
        ("team/app", Digest.of(b"{}")),
        ("other", Digest.of(b"layer")),
    ]
    assert sorted(passed) == ([] if dry_run else sorted(gone))


def test_a_dry_run_says_the_same_and_deletes_nothing(driver: InMemoryDriver, repository: Repository) -> None:
    stray = digest_of(blob(repository, b"stray"))
    untagged = digest_of(image(repository, blob(repository, b"layer")))

    planned, told = collect(driver, only_tagged=True, dry_run=True)

    assert repository.blobs.has(stray)
    assert is_whole(repository, untagged)
    assert (planned, told) == collect(driver, only_tagged=True)


def test_what_is_young_stays(driver: InMemoryDriver, repository: Repository) -> None:
    stray = digest_of(blob(repository, b"stray"))
    untagged = digest_of(image(repository, blob(repository, b"layer")))

    collected, _ = collect(driver, only_tagged=True, grace=YOUNG)

    assert (collected.manifests, collected.blobs) == (0, 0)
    assert repository.blobs.has(stray)
    assert is_whole(repository, untagged)


def test_a_blob_that_is_old_stays_where_its_link_is_young(driver: InMemoryDriver, repository: Repository) -> None:
    digest = digest_of(blob(repository, b"stored long ago"))
    time.sleep(0.01)
    cutoff = time.time()
    Repositories(driver).open("other").blobs.mount(repository.blobs.stat(digest))

    collect_before(driver, cutoff)

    assert Repositories(driver).open("other").blobs.has(digest)


def test_an_index_in_two_repositories_keeps_the_blobs_of_both(driver: InMemoryDriver) -> None:
    """Where the Go registry loses those of the second: it takes what it has seen in the first for done."""
    images = []
    for name in ("a", "b"):
        repository = Repositories(driver).open(name)
        child = image(repository, blob(repository, b"layer"))
        images.append(child)
        index = manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": [child]})
        repository.tags.point(Tag("v1"), digest_of(index))
    Repositories(driver).open("a").manifests.delete(digest_of(images[0]))

    collect(driver, only_tagged=True)

    assert is_whole(Repositories(driver).open("b"), digest_of(index))


def test_a_layer_that_the_go_registry_keeps_under_another_digest_stays(
    driver: InMemoryDriver, repository: Repository
) -> None:
    content = b"pushed by sha512"
    by_sha512 = Digest.of(content, "sha512")
    blob(repository, content)
    write_link(driver, paths.layer_link(repository.name, by_sha512), Digest.of(content))
    layer = {"mediaType": media_types.OCTET_STREAM, "digest": str(by_sha512), "size": len(content)}
    tagged = digest_of(image(repository, layer))
    repository.tags.point(Tag("v1"), tagged)

    collect(driver)

    assert is_whole(repository, tagged)


def test_a_manifest_that_cannot_be_read_keeps_all_blobs_of_its_repository(
    driver: InMemoryDriver, repository: Repository
) -> None:
    stray = digest_of(blob(repository, b"perhaps it names this"))
    schema1 = b'{"schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}'
    digest = Digest.of(schema1)
    driver.put(paths.blob_data(digest), schema1)
    write_link(driver, paths.revision_link(repository.name, digest), digest)
    repository.tags.point(Tag("old"), digest)

    collect(driver, only_tagged=True)

    assert repository.blobs.has(stray)
    assert driver.get(paths.blob_data(digest), limit=999) == schema1


@pytest.mark.parametrize("only_tagged", [False, True])
def test_whatever_any_client_finds_named_in_a_stored_manifest_stays(
    driver: InMemoryDriver, repository: Repository, *, only_tagged: bool
) -> None:
    """As the Go registry may have taken it: two lists of layers, two subjects, sizes that are none."""
    first, second = (blob(repository, each) for each in (b"first", b"second"))
    garbage = blob(repository, b"garbage")
    subjects = [image(repository, blob(repository, each)) for each in (b"one", b"two")]
    config = blob(repository, b"{}", media_types.OCI_CONFIG)
    ambiguous = json.dumps(
        {
            "SchemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {**config, "size": -1},
            "layers": [first],
            "Layers": [{**second, "mediaType": None}],
            "subject": subjects[0],
            "Subject": subjects[1],
            "annotations": {"a": None},
        }
    ).encode()
    digest = Digest.of(ambiguous)
    driver.put(paths.blob_data(digest), ambiguous)
    write_link(driver, paths.revision_link(repository.name, digest), digest)
    # Its subjects lead to it, and it to the layers.
    for number, subject in enumerate(subjects):
        repository.tags.point(Tag("v1"), digest_of(subject))
        if number:
            repository.manifests.delete(digest_of(subjects[0]))

        collect(driver, only_tagged=only_tagged)

        assert repository.manifests.get(digest).content == ambiguous
        assert all(repository.blobs.has(digest_of(each)) for each in (config, first, second))
    assert not repository.blobs.has(digest_of(garbage))


def test_an_empty_registry_is_nothing_to_collect(driver: InMemoryDriver) -> None:
    assert collect(driver, only_tagged=True)[0] == Collected(0, 0, 0, 0, 0)


@pytest.mark.parametrize("only_tagged", [False, True])
@pytest.mark.parametrize(
    "part",
    [
        paths.REPOSITORIES,
        paths.repository("other"),
        paths.manifests("other"),
        paths.revisions("other", "sha256"),
        paths.all_layers("other"),
    ],
)
def test_a_part_that_may_not_be_looked_into_stops_it_before_anything_is_deleted(
    driver: InMemoryDriver, repository: Repository, part: str, *, only_tagged: bool
) -> None:
    other = Repositories(driver).open("other")
    kept = digest_of(fill(other, layer_bytes=600))
    blob(repository, b"to which no manifest leads")

    with pytest.raises(NotPermittedError):
        collect(ForbiddingDriver(driver, part), only_tagged=only_tagged)

    assert is_whole(other, kept)
    assert collect(driver, dry_run=True)[0].blobs == 1


def test_breaking_off_at_any_call_leaves_nothing_that_dangles_and_the_next_run_finishes() -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        repository = Repositories(medium).open("team/app")
        fill(repository, layer_bytes=60)
        repository.tags.delete(Tag("v1"))
        repository.tags.delete(Tag("latest"))
        kept = digest_of(image(repository, blob(repository, b"amd64" * 1000)))
        repository.tags.point(Tag("v2"), kept)
        failing = FailingDriver(medium, fail_at=moment)

        with suppress(DriverError):
            collect(failing, only_tagged=True)

        assert is_whole(repository, kept)
        assert_nothing_dangles(medium, "team/app")
        collect(medium, only_tagged=True)
        assert list(repository.manifests.digests()) == [kept]
        if not failing.power_is_gone:
            break


REFERENCES = st.lists(st.integers(0, 7), max_size=3)


@given(
    st.lists(st.tuples(REFERENCES, REFERENCES, st.none() | st.integers(0, 7), st.booleans()), min_size=1, max_size=8),
    st.booleans(),
)
def test_exactly_what_is_reachable_stays(
    graph: list[tuple[list[int], list[int], int | None, bool]], only_tagged: bool
) -> None:
    """A random graph: each manifest names layers, earlier manifests, perhaps an earlier subject, and may have a tag."""
    medium = InMemoryDriver()
    repository = Repositories(medium).open("a")
    names: list[Digest] = []
    layers = [blob(repository, b"layer %d" % number) for number in range(8)]
    described: list[dict[str, object]] = []
    keeps: dict[int, set[int]] = {}
    for number, (own_layers, children, subject, tagged) in enumerate(graph):
        document: dict[str, object] = {"mediaType": "application/x.test", "annotations": {"number": str(number)}}
        document["blobs"] = [layers[each] for each in own_layers]
        document["manifests"] = [described[each] for each in children if each < number]
        keeps[number] = {each for each in children if each < number}
        if subject is not None and subject < number:
            document["subject"] = described[subject]
            keeps[subject].add(number)
        described.append(manifest(repository, document))
        names.append(digest_of(described[-1]))
        if tagged:
            repository.tags.point(Tag(f"t{number}"), names[-1])

    collect(medium, only_tagged=only_tagged)

    reached = {number for number, each in enumerate(graph) if each[3] or not only_tagged}
    while more := {other for each in reached for other in keeps[each]} - reached:
        reached |= more
    assert {number for number, name in enumerate(names) if repository.manifests.has(name)} == reached
    named = {layer for each in reached for layer in graph[each][0]}
    assert {number for number, layer in enumerate(layers) if repository.blobs.has(digest_of(layer))} == named
    assert {number for number, layer in enumerate(layers) if medium_has(medium, digest_of(layer))} == named


def medium_has(driver: StorageDriver, digest: Digest) -> bool:
    return bool(driver.list(paths.blob_data(digest).rpartition("/")[0], limit=1))
