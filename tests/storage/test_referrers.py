"""The list of referrers: what a page costs, what is listed, and how entries of earlier versions are taken over."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import DriverError, NoSpaceError
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_SIZE, parse_manifest
from registry.storage import paths
from registry.storage.referrer_index import LONGEST_DESCRIPTOR
from registry.storage.referrers import MOST_LOOKED_AT, MOST_READ_BYTES
from registry.storage.repository import Repositories, Repository
from tests.content import descriptor, image
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from drivers.base import StorageDriver

CONTENT = image()
SUBJECT = Digest.of(CONTENT)
NAMED = descriptor(CONTENT, media_types.OCI_MANIFEST)
SIGNATURE, RARE = "application/x.signature", "application/x.rare+json"


class ReadingDriver(InMemoryDriver):
    """Counts the calls, and the bytes that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.bytes_read = self.listings = 0

    def get(self, path: str, *, limit: int) -> bytes:
        content = super().get(path, limit=limit)
        self.reads += 1
        self.bytes_read += len(content)
        return content

    def list_prefixes(self, path: str, *, after: str = "", limit: int) -> list[str]:
        self.listings += 1
        return super().list_prefixes(path, after=after, limit=limit)


@pytest.fixture
def driver() -> ReadingDriver:
    return ReadingDriver()


@pytest.fixture
def repository(driver: ReadingDriver) -> Repository:
    return Repositories(driver).open("a")


def refer(repository: Repository, number: int = 0, **more: object) -> Digest:
    """Push a manifest that names the subject."""
    content = image(b"%d" % number, subject=NAMED, **more)
    return put(repository, content)


def put(repository: Repository, content: bytes) -> Digest:
    digest = Digest.of(content)
    repository.manifests.put(parse_manifest(content), digest)
    return digest


def pages(
    repository: Repository, artifact_types: Collection[str] | None = None, limit: int = MOST_LOOKED_AT
) -> Iterator[list[Digest]]:
    last = None
    while True:
        page = repository.referrers.page(SUBJECT, after=last, artifact_types=artifact_types, limit=limit)
        yield [each.digest for each in page.referrers]
        if page.last is None:
            return
        assert last is None or last < page.last
        last = page.last


def listed(repository: Repository) -> list[dict[str, Any]]:
    """Return the descriptors of all referrers, which fit into one page."""
    page = repository.referrers.page(SUBJECT, limit=MOST_LOOKED_AT)
    assert page.last is None
    return [json.loads(each.descriptor) for each in page.referrers]


def as_an_earlier_version_wrote_it(driver: StorageDriver, digest: Digest) -> None:
    """Leave of an entry only its link."""
    driver.delete(paths.referrer_descriptor("a", SUBJECT, digest))
    assert driver.get(paths.referrer_link("a", SUBJECT, digest), limit=512) == str(digest).encode()


def as_that_version_deletes(driver: StorageDriver, digest: Digest) -> None:
    driver.delete(paths.revision_link("a", digest))
    driver.delete(paths.referrer_link("a", SUBJECT, digest))


class TestCost:
    def test_large_manifests_are_not_read(self, driver: ReadingDriver, repository: Repository) -> None:
        layer = descriptor(b"layer")
        for number in range(20):
            refer(repository, number, layers=[layer] * 10_000)
        before = driver.bytes_read

        assert len(listed(repository)) == 20
        assert driver.bytes_read - before < 20 * 1000

    def test_an_image_without_referrers_costs_one_listing(self, driver: ReadingDriver, repository: Repository) -> None:
        put(repository, CONTENT)
        listings, reads = driver.listings, driver.reads

        assert listed(repository) == []
        assert (driver.listings - listings, driver.reads - reads) == (1, 0)

    @pytest.mark.parametrize("artifact_types", [None, {RARE}, {"application/x.none"}])
    def test_each_page_of_many_costs_the_same_whatever_is_asked_for(
        self, driver: ReadingDriver, repository: Repository, artifact_types: Collection[str] | None
    ) -> None:
        total = 2 * MOST_LOOKED_AT + 500
        types = [SIGNATURE] * total + [RARE] * 5
        pushed = [(refer(repository, number, artifactType=each), each) for number, each in enumerate(types)]
        expected = sorted(digest for digest, each in pushed if artifact_types is None or each in artifact_types)

        found: list[Digest] = []
        reads = driver.reads
        for page in pages(repository, artifact_types):
            found += page
            assert driver.reads - reads <= 2 * (MOST_LOOKED_AT + 1)
            reads = driver.reads

        assert found == expected

    def test_a_page_of_few_reads_few(self, driver: ReadingDriver, repository: Repository) -> None:
        for number in range(50):
            refer(repository, number)
        before = driver.reads

        repository.referrers.page(SUBJECT, limit=3)

        assert driver.reads - before <= 2 * 4

    def test_nothing_more_is_read_once_nobody_waits_for_it(self, driver: ReadingDriver, repository: Repository) -> None:
        digests = sorted(refer(repository, number) for number in range(300))
        before = driver.reads

        page = repository.referrers.page(SUBJECT, limit=300, awaited=lambda: False)

        assert driver.reads - before < 100
        assert page.last
        found = [each.digest for each in page.referrers]
        rest = repository.referrers.page(SUBJECT, after=page.last, limit=300)
        assert found + [each.digest for each in rest.referrers] == digests

    def test_what_was_asked_for_in_vain_is_not_taken_for_the_end(self, repository: Repository) -> None:
        [*others, last] = sorted(refer(repository, number, artifactType=f"application/{number}") for number in range(9))
        wanted = json.loads(repository.referrers.page(SUBJECT, after=others[-1], limit=1).referrers[0].descriptor)

        assert list(pages(repository, {wanted["artifactType"]}, limit=1)) == [[last]]


class TestEntriesOfAnEarlierVersion:
    def test_they_are_read_once_and_written_anew(self, driver: ReadingDriver, repository: Repository) -> None:
        digest = refer(repository, artifactType=SIGNATURE, annotations={"a": "é"})
        before = listed(repository)
        as_an_earlier_version_wrote_it(driver, digest)

        assert listed(repository) == before

        driver.put(paths.blob_data(digest), b"damaged")
        assert listed(Repositories(driver).open("a")) == before

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"digest":"sha256:0"}', b"[" * 100_000])
    def test_so_are_those_that_are_damaged(self, driver: ReadingDriver, repository: Repository, content: bytes) -> None:
        path = paths.referrer_descriptor("a", SUBJECT, refer(repository))
        before, stored = listed(repository), driver.get(path, limit=LONGEST_DESCRIPTOR)
        driver.put(path, content)

        assert listed(repository) == before
        assert driver.get(path, limit=LONGEST_DESCRIPTOR) == stored

    def test_one_page_reads_a_few_large_manifests_and_all_pages_together_read_each_once(
        self, driver: ReadingDriver, repository: Repository
    ) -> None:
        size = MAX_SIZE - 4096
        digests = sorted(refer(repository, number, padding="x" * size) for number in range(6))
        for digest in digests:
            as_an_earlier_version_wrote_it(driver, digest)

        found = []
        before = start = driver.bytes_read
        for page in pages(repository):
            found += page
            assert driver.bytes_read - before <= MOST_READ_BYTES + 2 * MAX_SIZE
            before = driver.bytes_read

        assert found == digests
        assert driver.bytes_read - start < 7 * MAX_SIZE
        assert list(pages(repository)) == [digests]

    def test_a_registry_in_maintenance_reads_them_and_writes_nothing(
        self, driver: ReadingDriver, repository: Repository
    ) -> None:
        digest = refer(repository)
        before = listed(repository)
        as_an_earlier_version_wrote_it(driver, digest)
        reader = Repositories(FailingDriver(driver, fail_at=0), read_only=True).open("a")

        assert listed(reader) == before

        assert driver.list(paths.referrer("a", SUBJECT, digest), limit=9) == ["link"]

    def test_they_are_listed_where_nothing_can_be_written(self, driver: ReadingDriver, repository: Repository) -> None:
        class Full(DelegatingDriver):
            def put(self, path: str, content: bytes) -> None:
                raise NoSpaceError(f"put {path} of {len(content)} bytes")

        for number in range(3):
            as_an_earlier_version_wrote_it(driver, refer(repository, number))

        assert len(listed(Repositories(Full(driver)).open("a"))) == 3

    def test_a_deletion_while_one_is_written_anew_leaves_no_entry(self) -> None:
        for moment in count(1):
            medium = InMemoryDriver()
            repository = Repositories(medium).open("a")
            digest = refer(repository)
            as_an_earlier_version_wrote_it(medium, digest)
            between = InterleavingDriver(medium, moment, lambda r=repository, d=digest: r.manifests.delete(d))  # type: ignore[misc]

            Repositories(between).open("a").referrers.page(SUBJECT, limit=9)

            if between.calls < moment:
                break
            assert list(repository.referrers.after(SUBJECT)) == []
            assert listed(repository) == []

    @pytest.mark.parametrize("deleted_at", range(1, 9))
    @pytest.mark.parametrize("pushed_after", range(9))
    def test_what_is_deleted_and_pushed_again_while_one_is_written_anew_is_listed(
        self, driver: ReadingDriver, repository: Repository, deleted_at: int, pushed_after: int
    ) -> None:
        digest = refer(repository)
        as_an_earlier_version_wrote_it(driver, digest)
        gone: list[Digest] = []

        def delete() -> None:
            repository.manifests.delete(digest)
            gone.append(digest)

        pushing = InterleavingDriver(driver, deleted_at + pushed_after, lambda: refer(repository))
        Repositories(InterleavingDriver(pushing, deleted_at, delete)).open("a").referrers.page(SUBJECT, limit=9)

        pushed = pushing.calls >= deleted_at + pushed_after
        assert [each["digest"] for each in listed(repository)] == [str(digest)] * (pushed or not gone)

    def test_what_an_earlier_version_deletes_is_listed_no_more_and_what_it_pushes_again_is(
        self, driver: ReadingDriver, repository: Repository
    ) -> None:
        digest = refer(repository)
        before = listed(repository)

        as_that_version_deletes(driver, digest)
        assert listed(repository) == []

        driver.put(paths.revision_link("a", digest), str(digest).encode())
        driver.put(paths.referrer_link("a", SUBJECT, digest), str(digest).encode())
        assert listed(repository) == before


class TestWhatIsListed:
    def test_no_link_is_longer_than_earlier_versions_read(self, driver: ReadingDriver, repository: Repository) -> None:
        digest = refer(repository, annotations={"a": "x" * 5000})

        assert driver.get(paths.referrer_link("a", SUBJECT, digest), limit=512) == str(digest).encode()

    def test_annotations_that_would_fill_a_page_are_left_out_and_others_are_not(
        self, driver: ReadingDriver, repository: Repository
    ) -> None:
        refer(repository, 1, annotations={"a": "x" * (LONGEST_DESCRIPTOR - 1000)})
        refer(repository, 2, annotations={"b": "x" * LONGEST_DESCRIPTOR}, artifactType=SIGNATURE)
        before = driver.bytes_read

        short, long = sorted(
            (json.loads(each.descriptor) for each in repository.referrers.page(SUBJECT, limit=9).referrers),
            key=lambda described: "annotations" in described,
        )

        assert long["annotations"] == {"a": "x" * (LONGEST_DESCRIPTOR - 1000)}
        assert short.keys() == {"mediaType", "digest", "size", "artifactType"}
        assert driver.bytes_read - before < 2 * LONGEST_DESCRIPTOR

    def test_what_cannot_be_a_media_type_for_its_length_is_not_listed_as_one(self, repository: Repository) -> None:
        refer(repository, artifactType="application/" + "x" * 1_000_000)

        [described] = listed(repository)

        assert described.keys() == {"mediaType", "digest", "size"}

    def test_a_manifest_that_another_registry_has_deleted_is_not_listed(
        self, driver: ReadingDriver, repository: Repository
    ) -> None:
        digest, kept = refer(repository, 1), refer(repository, 2)
        driver.delete(paths.revision_link("a", digest))

        assert [each["digest"] for each in listed(repository)] == [str(kept)]

    def test_of_two_pushes_at_a_time_both_are_listed(self) -> None:
        for moment in count(1):
            medium = InMemoryDriver()
            mine, others = Repositories(medium).open("a"), Repositories(medium).open("a")
            between = InterleavingDriver(medium, moment, lambda r=others: refer(r, 2))  # type: ignore[misc]

            refer(Repositories(between).open("a"), 1)

            if between.calls < moment:
                break
            assert len(listed(mine)) == 2

    def test_a_push_while_the_same_manifest_is_deleted_is_listed_if_it_is_stored(self) -> None:
        kept = 0
        for moment in count(1):
            medium = InMemoryDriver()
            repository = Repositories(medium).open("a")
            digest = refer(repository)
            between = InterleavingDriver(medium, moment, lambda r=repository: refer(r))  # type: ignore[misc]

            Repositories(between).open("a").manifests.delete(digest)

            if between.calls < moment:
                break
            assert [each["digest"] for each in listed(repository)] == [str(digest)] * repository.manifests.has(digest)
            assert list(repository.referrers.after(SUBJECT)) == [digest] * repository.manifests.has(digest)
            kept += repository.manifests.has(digest)
        assert kept

    def test_at_each_call_at_which_the_power_goes_what_is_listed_is_there(self) -> None:
        for fail_at in count(1):
            medium = InMemoryDriver()
            failing = FailingDriver(medium, fail_at)
            try:
                refer(Repositories(failing).open("a"))
            except DriverError:
                repository = Repositories(medium).open("a")
                for described in listed(repository):
                    assert repository.manifests.get(Digest.parse(described["digest"]))
            else:
                break
        assert fail_at > 3

    def test_a_rebuild_writes_descriptors(self, driver: ReadingDriver, repository: Repository) -> None:
        digest = refer(repository, artifactType=SIGNATURE)
        before = listed(repository)
        driver.delete(paths.all_referrers("a"))

        assert list(Repositories(driver).rebuild_referrers()) == [("a", 1)]

        driver.put(paths.blob_data(digest), b"damaged")
        assert listed(Repositories(driver).open("a")) == before
