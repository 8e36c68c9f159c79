from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from registry.lifecycle.findings import Counts, Findings, Policy
from registry.lifecycle.scan import scan
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.links import write_link
from registry.storage.parts import Kind, part_at
from registry.storage.repository import Repositories, Repository
from tests.archive.images import blob, fill, image
from tests.lifecycle.test_garbage import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drivers.inmemory import InMemoryDriver

EVERYTHING = time.time() + 24 * 3600
"""A time before which all that a test stores is written."""
NOTHING = 0.0


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("team/app")


def tagged(repository: Repository, layer: bytes, tag: str = "v1") -> Digest:
    digest = digest_of(image(repository, blob(repository, layer)))
    repository.tags.point(Tag(tag), digest)
    return digest


def find(
    driver: InMemoryDriver, *, cutoff: float = EVERYTHING, untagged: Callable[[str], float | None] | None = None
) -> Findings:
    findings = Findings()
    scan(driver, findings, Policy(cutoff, untagged) if untagged else Policy(cutoff))
    return findings


def condemnable(findings: Findings) -> list[tuple[str, Kind, Digest]]:
    with findings:
        return [(name, each.kind, each.digest) for name, links in findings.condemnable() for each in links]


def sweepable(findings: Findings, *, before: float = EVERYTHING, orphans: Iterable[str] = ()) -> set[Digest]:
    return {each.digest for batch in findings.sweepable(before, orphans) for each in batch}


def condemn(driver: InMemoryDriver, name: str, digest: Digest, target: Digest | None = None) -> None:
    driver.delete(paths.layer_link(name, digest))
    write_link(driver, paths.condemned_layer_link(name, digest), target or digest)


def test_links_to_which_nothing_leads_are_condemnable_manifests_first(
    driver: InMemoryDriver, repository: Repository
) -> None:
    tagged(repository, b"kept")
    gone = tagged(repository, b"gone", "v2")
    repository.tags.delete(Tag("v2"))
    config = Digest.of(b"{}")

    assert condemnable(find(driver)) == []
    assert condemnable(find(driver, untagged=lambda _: EVERYTHING)) == [
        ("team/app", Kind.REVISION, gone),
        ("team/app", Kind.LAYER, Digest.of(b"gone")),
    ]
    assert config not in {digest for _, _, digest in condemnable(find(driver, untagged=lambda _: EVERYTHING))}


def test_a_link_is_given_as_the_driver_found_it(driver: InMemoryDriver, repository: Repository) -> None:
    digest = digest_of(blob(repository, b"stray"))

    with find(driver) as findings:
        [(_, [link])] = findings.condemnable()

    assert driver.discard([link.found]) == []
    assert not repository.blobs.has(digest)


def test_each_repository_has_its_own_rule_for_what_no_tag_leads_to(driver: InMemoryDriver) -> None:
    digests = {}
    for name in ("a", "b", "c"):
        repository = Repositories(driver).open(name)
        digests[name] = digest_of(image(repository, blob(repository, name.encode())))
    rules = {"a": None, "b": EVERYTHING, "c": NOTHING}

    found = condemnable(find(driver, untagged=lambda name: rules[name]))

    assert found == [("b", Kind.REVISION, digests["b"]), ("b", Kind.LAYER, Digest.of(b"b"))]


def test_a_manifest_without_a_tag_that_is_younger_than_the_cutoff_stays_whatever_the_rule(
    driver: InMemoryDriver, repository: Repository
) -> None:
    image(repository, blob(repository, b"layer"))

    assert condemnable(find(driver, cutoff=NOTHING, untagged=lambda _: EVERYTHING)) == []


def test_batches_are_of_a_thousand_at_most(driver: InMemoryDriver) -> None:
    digests = [Digest.of(b"%d" % number) for number in range(2001)]
    for digest in digests:
        driver.put(paths.blob_data(digest), b"")
        write_link(driver, paths.layer_link("a", digest), digest)

    with find(driver) as findings:
        batches = [links for _, links in findings.condemnable()]
        unreferenced = list(findings.unreferenced())

    assert [len(batch) for batch in batches] == [1000, 1000, 1]
    assert [len(batch) for batch in unreferenced] == [1000, 1000, 1]
    assert sorted(link.digest for batch in batches for link in batch) == sorted(digests)


def test_only_what_was_condemned_before_may_be_swept(driver: InMemoryDriver, repository: Repository) -> None:
    tagged(repository, b"kept")
    linked = digest_of(blob(repository, b"linked"))
    early, late = digest_of(blob(repository, b"early")), digest_of(blob(repository, b"late"))
    condemn(driver, "team/app", early)
    time.sleep(0.01)
    between = time.time()
    condemn(driver, "team/app", late)

    with find(driver) as findings:
        assert sweepable(findings, before=between) == {early}
        assert sweepable(findings) == {early, late}
        assert linked not in sweepable(findings)
        [[first, *_]] = findings.sweepable(between, ())

    assert [each.path for each in first.condemned] == [paths.condemned_layer_link("team/app", early)]
    assert driver.discard([first.found, *first.condemned]) == []


def test_a_blob_that_another_repository_links_or_has_condemned_only_now_is_not_swept(driver: InMemoryDriver) -> None:
    digest = Digest.of(b"shared")
    for name in ("a", "b"):
        blob(Repositories(driver).open(name), b"shared")
    condemn(driver, "a", digest)
    time.sleep(0.01)
    between = time.time()

    with find(driver) as findings:
        assert sweepable(findings) == set()
    condemn(driver, "b", digest)
    with find(driver) as findings:
        assert sweepable(findings, before=between) == set()
        assert sweepable(findings) == {digest}


def test_a_blob_without_any_link_is_swept_only_if_an_earlier_run_has_found_it(
    driver: InMemoryDriver, repository: Repository
) -> None:
    digest = digest_of(blob(repository, b"orphan"))
    tagged(repository, b"kept")
    repository.blobs.delete(digest)

    with find(driver) as findings:
        assert list(findings.orphans()) == [str(digest)]
        assert sweepable(findings) == set()
        assert sweepable(findings, orphans=(str(Digest.of(b"kept")), str(digest))) == {digest}
    with find(driver, cutoff=NOTHING) as findings:
        assert list(findings.orphans()) == []
        assert sweepable(findings, orphans=(str(digest),)) == set()


def test_what_a_condemned_sha512_link_leads_to_is_swept_under_its_sha256(
    driver: InMemoryDriver, repository: Repository
) -> None:
    tagged(repository, b"kept")
    by_sha256, by_sha512 = digest_of(blob(repository, b"layer")), Digest.of(b"layer", "sha512")
    repository.blobs.delete(by_sha256)
    write_link(driver, paths.layer_link("team/app", by_sha512), by_sha256)

    with find(driver) as findings:
        assert sweepable(findings) == set()
        assert list(findings.orphans()) == []
    condemn(driver, "team/app", by_sha512, by_sha256)
    with find(driver) as findings:
        assert sweepable(findings) == {by_sha256}


def test_a_condemned_link_that_waits_for_nothing_is_obsolete(driver: InMemoryDriver, repository: Repository) -> None:
    tagged(repository, b"kept")
    other = Repositories(driver).open("other")
    for content in (b"kept", b"loose", b"gone"):
        blob(other, content)
        condemn(driver, "other", Digest.of(content))
    digest_of(blob(repository, b"linked"))
    blob(other, b"linked")
    condemn(driver, "other", Digest.of(b"linked"))
    driver.delete(paths.blob_data(Digest.of(b"gone")))

    with find(driver) as findings:
        assert list(findings.obsolete(NOTHING)) == []
        found = {each.path for batch in findings.obsolete(EVERYTHING) for each in batch}

    assert found == {paths.condemned_layer_link("other", Digest.of(each)) for each in (b"kept", b"gone", b"linked")}


def test_where_no_repository_has_anything_nothing_is_swept(driver: InMemoryDriver) -> None:
    """As if the folder of the repositories were another volume, which is not mounted."""
    digest = Digest.of(b"of a repository that is not there")
    driver.put(paths.blob_data(digest), b"")

    with find(driver) as findings:
        assert findings.lacks_repositories
        assert list(findings.orphans()) == []
        assert sweepable(findings, orphans=(str(digest),)) == set()


def test_a_registry_without_blobs_lacks_no_repositories(driver: InMemoryDriver) -> None:
    with find(driver) as findings:
        assert not findings.lacks_repositories


def test_counts_are_those_of_blobs_that_are_there(driver: InMemoryDriver, repository: Repository) -> None:
    kept = fill(repository, layer_bytes=600)
    whole = sum(driver.stat(each.path).size for each in driver.walk(paths.BLOBS))
    blob(repository, b"loose")
    condemn(driver, "team/app", digest_of(blob(repository, b"condemned")))
    repository.blobs.delete(digest_of(blob(repository, b"an orphan")))
    blobs = len(list(driver.walk(paths.BLOBS)))
    kinds = [part.kind for each in driver.walk(paths.REPOSITORIES) if (part := part_at(each.path))]
    links = kinds.count(Kind.LAYER) + kinds.count(Kind.REVISION)

    with find(driver) as findings:
        counts = findings.counts()

    assert counts == Counts(
        repositories=1,
        blobs=blobs,
        size=whole + len(b"loosecondemnedan orphan"),
        marked=blobs - 3 + 1,  # a layer of the image need not be stored
        young_blobs=0,
        young_size=0,
        unreferenced_blobs=3,
        unreferenced_size=len(b"loosecondemnedan orphan"),
        links=links,
        loose_revisions=0,
        loose_layers=1,
        loose_blobs=1,
        loose_size=len(b"loose"),
        condemned_blobs=1,
        condemned_size=len(b"condemned"),
        orphans=1,
        orphans_size=len(b"an orphan"),
    )
    assert kept["size"] < whole
