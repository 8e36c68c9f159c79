from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.audit.consumer import consumers
from registry.config.cached import Cached
from registry.config.collection import GarbageCollection, Untagged
from registry.config.events import Audit
from registry.config.upstreams import Upstream
from registry.journal.entry import Entry, Instance
from registry.journal.recorder import Recorder
from registry.lifecycle.online import OnlineCollection, StoppedError, Surroundings, Terms
from registry.lifecycle.reports import Result, latest_reports
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.media_types import OCI_INDEX, OCI_MANIFEST
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.passage import Passage
from registry.storage.repository import Repositories, Repository
from registry.storage.runs import Notice, Pace, Phase, Runs
from registry.storage.validation import ValidationPolicy
from tests.archive.images import blob, fill, image
from tests.lifecycle.runs import UNTAGGED, collect
from tests.proxy.caches import DAY, Stored, upstream
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.base import StorageDriver

pytestmark = pytest.mark.usefixtures("pace")


@pytest.fixture
def repository(driver: InMemoryDriver) -> Repository:
    return Repositories(driver).open("team/app")


def digest_of(descriptor: dict[str, object]) -> Digest:
    return Digest.parse(str(descriptor["digest"]))


def stored(driver: StorageDriver) -> dict[str, int]:
    return {found.path: found.size for found in driver.walk(paths.ROOT)}


def test_what_tags_lead_to_stays_as_it_is(driver: InMemoryDriver, repository: Repository) -> None:
    fill(repository, layer_bytes=600)
    before = stored(driver)

    reports = [collect(driver), collect(driver), collect(driver)]

    assert stored(driver) == before
    assert all(report.result is Result.DONE and not report.deleted_blobs for report in reports)


def test_a_blob_to_which_nothing_leads_is_condemned_by_one_run_and_deleted_by_the_next(
    driver: InMemoryDriver, repository: Repository
) -> None:
    fill(repository, layer_bytes=600)
    before = stored(driver)
    loose = digest_of(blob(repository, b"loose"))

    first = collect(driver)
    assert not repository.blobs.has(loose)
    assert paths.blob_data(loose) in stored(driver)
    assert paths.condemned_layer_link("team/app", loose) in stored(driver)
    assert (first.condemned_blobs, first.waiting_bytes, first.deleted_blobs) == (1, 5, 0)
    assert first.next_deletion is not None

    second = collect(driver)
    assert stored(driver) == before
    assert (second.deleted_blobs, second.deleted_bytes, second.waiting_blobs) == (1, 5, 0)
    assert second.next_deletion is None


def test_a_manifest_without_a_tag_goes_with_its_layers_only_if_that_is_asked_for(
    driver: InMemoryDriver, repository: Repository
) -> None:
    fill(repository, layer_bytes=600)
    before = stored(driver)
    untagged = digest_of(image(repository, blob(repository, b"old layer")))

    collect(driver, Terms(grace_seconds=0))
    assert repository.manifests.has(untagged)

    report = collect(driver)
    assert not repository.manifests.has(untagged)
    assert (report.condemned_manifests, report.condemned_blobs) == (1, 1)
    assert_nothing_dangles(driver, "team/app")
    collect(driver)
    assert stored(driver) == before


def test_a_rule_for_a_repository_says_how_long_a_manifest_without_a_tag_stays_there() -> None:
    never = Terms.of(GarbageCollection(), lambda name: 60.0 if name == "ci" else None)
    daily = Terms.of(GarbageCollection(untagged=Untagged(enabled=True, age_seconds=86400)), lambda _: None)

    assert (never.untagged_seconds("ci"), never.untagged_seconds("team/app")) == (60.0, None)
    assert daily.untagged_seconds("team/app") == 86400


def test_what_is_younger_than_the_grace_stays(driver: InMemoryDriver, repository: Repository) -> None:
    loose = digest_of(blob(repository, b"loose"))

    collect(driver, Terms(grace_seconds=60))

    assert repository.blobs.has(loose)


def test_bytes_without_any_link_go_when_the_list_of_an_earlier_run_names_them(driver: InMemoryDriver) -> None:
    fill(Repositories(driver).open("team/app"), layer_bytes=600)
    before = stored(driver)
    orphan = Digest.of(b"orphan")
    driver.put(paths.blob_data(orphan), b"orphan")

    assert collect(driver).unlinked_blobs == 1
    assert paths.blob_data(orphan) in stored(driver)
    report = collect(driver)
    assert (report.deleted_blobs, report.unlinked_blobs) == (1, 0)
    assert stored(driver) == before


def test_bytes_that_were_linked_since_they_were_listed_stay(driver: InMemoryDriver, repository: Repository) -> None:
    fill(repository, layer_bytes=600)
    orphan = Digest.of(b"orphan")
    driver.put(paths.blob_data(orphan), b"orphan")
    collect(driver)
    repository.blobs.mount(Repositories(driver).stat_blob(orphan))
    image_of_it = image(repository, {"mediaType": "application/x", "digest": str(orphan), "size": 6})
    repository.tags.point(Tag("v2"), digest_of(image_of_it))

    collect(driver)
    collect(driver)

    assert repository.blobs.has(orphan)
    assert paths.blob_data(orphan) in stored(driver)


def test_a_condemned_link_goes_and_the_bytes_stay_that_another_repository_has_come_to_need(
    driver: InMemoryDriver, repository: Repository
) -> None:
    condemned = digest_of(blob(repository, b"layer"))
    collect(driver)
    other = Repositories(driver).open("other")
    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"layer"))))

    report = collect(driver)

    assert report.deleted_blobs == 0
    assert other.blobs.has(condemned)
    assert paths.blob_data(condemned) in stored(driver)
    assert paths.condemned_layer_link("team/app", condemned) not in stored(driver)


def test_what_a_notice_names_is_neither_condemned_nor_deleted(driver: InMemoryDriver, repository: Repository) -> None:
    condemned = digest_of(blob(repository, b"condemned"))
    collect(driver)
    loose = digest_of(blob(repository, b"loose"))
    noticed = False

    def notify(_: str) -> None:
        nonlocal noticed
        if not noticed:
            Runs(driver).notify(Notice("team/app", (str(condemned), str(loose))))
            noticed = True

    report = collect(driver, surroundings=Surroundings("test", progress=notify))

    assert report.notices == 1
    assert repository.blobs.has(loose)
    assert paths.blob_data(condemned) in stored(driver)
    collect(driver)
    assert not repository.blobs.has(loose)
    assert not driver.list(paths.GC_NOTICES, limit=10)


def test_a_notice_that_cannot_be_read_ends_the_run_before_anything_is_changed(
    driver: InMemoryDriver, repository: Repository
) -> None:
    loose = digest_of(blob(repository, b"loose"))

    def damage(_: str) -> None:
        driver.put(paths.gc_notice(Runs(driver).notify(Notice("team/app", ()))), b"{")

    with pytest.raises(DriverError, match=r"gc/notices/.* cannot be understood"):
        collect(driver, surroundings=Surroundings("test", progress=damage))
    assert repository.blobs.has(loose)


def test_what_is_condemned_is_told_as_a_deletion_and_what_is_deleted_then_is_not(
    driver: InMemoryDriver, repository: Repository
) -> None:
    kept = image(repository, blob(repository, b"kept"))
    repository.tags.point(Tag("v1"), digest_of(kept))
    gone = image(repository, blob(repository, b"layer"))
    log = driver.log(paths.JOURNAL)
    recorder = Recorder(log, list(consumers(Audit(enabled=True))), Instance())
    publishing = Publishing(ValidationPolicy(), Operator(), recorder)

    for _ in range(2):
        OnlineCollection(driver, publishing, UNTAGGED, Surroundings("test")).run()

    told = [Entry.decode(record.content) for record in log.after("", before_ns=2**63, limit=100).records]
    assert [(each.action, each.kind, each.digest) for each in told] == [
        ("delete", "manifest", str(gone["digest"])),
        ("delete", "blob", str(Digest.of(b"layer"))),
    ]


def test_a_dry_run_changes_nothing_and_says_what_would_go(driver: InMemoryDriver, repository: Repository) -> None:
    blob(repository, b"condemned")
    collect(driver)
    blob(repository, b"loose")
    before = stored(driver)

    report = collect(driver, Terms(grace_seconds=0, dry_run=True))

    assert stored(driver) == before
    assert report.result is Result.DRY_RUN
    assert (report.condemned_blobs, report.deleted_blobs, report.deleted_bytes) == (1, 1, 9)


def test_more_than_maxshare_is_refused_with_the_figures(driver: InMemoryDriver, repository: Repository) -> None:
    blob(repository, b"x" * 51)
    kept = digest_of(image(repository, blob(repository, b"y" * 10)))
    repository.tags.point(Tag("v1"), kept)
    before = stored(driver)
    size = sum(size for path, size in before.items() if path.endswith("/data"))

    refused = collect(driver, Terms(grace_seconds=0, maxshare=100 * 50 // size))
    assert refused.result is Result.REFUSED
    assert f"51 B of {size} B would be condemned, more than maxshare" in refused.reason
    assert stored(driver) == before

    assert collect(driver, Terms(grace_seconds=0, maxshare=100 * 51 // size + 1)).condemned_blobs == 1


def test_where_no_repository_is_seen_nothing_is_condemned_listed_or_deleted(driver: InMemoryDriver) -> None:
    driver.put(paths.blob_data(Digest.of(b"orphan")), b"orphan")

    for _ in range(3):
        report = collect(driver)
        assert report.result is Result.REFUSED
        assert "not mounted" in report.reason
    assert paths.blob_data(Digest.of(b"orphan")) in stored(driver)
    assert not driver.list(paths.GC_ORPHANS, limit=10)


def test_nothing_is_written_to_a_storage_that_holds_nothing(driver: InMemoryDriver) -> None:
    with pytest.raises(DriverError, match="not mounted"):
        collect(driver)
    assert not list(driver.walk("/registry"))


def test_where_a_host_does_not_know_of_runs_nothing_is_changed_and_it_is_named(
    driver: InMemoryDriver, repository: Repository
) -> None:
    loose = digest_of(blob(repository, b"loose"))

    report = collect(driver, surroundings=Surroundings("test", outdated=lambda: ["old-host"]))

    assert report.result is Result.REFUSED
    assert report.reason.startswith("old-host runs a version")
    assert repository.blobs.has(loose)


def test_a_host_that_appears_while_links_are_condemned_lets_no_bytes_be_deleted(
    driver: InMemoryDriver, repository: Repository
) -> None:
    loose = digest_of(blob(repository, b"loose"))
    collect(driver)
    answers = iter([[], ["old-host"]])

    with pytest.raises(StoppedError, match="old-host runs a version"):
        collect(driver, surroundings=Surroundings("test", outdated=lambda: next(answers)))

    assert paths.blob_data(loose) in stored(driver)
    assert Runs(driver).read().phase is Phase.IDLE
    assert latest_reports(driver, 1)[0].reason.startswith("old-host runs a version")


def test_hosts_are_looked_at_again_and_again_while_links_are_condemned(driver: InMemoryDriver, pace: Pace) -> None:
    for name in ("a", "b"):
        blob(Repositories(driver).open(name), b"loose")
    answers = iter([[], ["old-host"]])

    def outdated() -> list[str]:
        time.sleep(10 * pace.beat)
        return next(answers)

    with pytest.raises(StoppedError):
        collect(driver, surroundings=Surroundings("test", outdated=outdated))

    condemned = paths.condemned_layer_link("a", Digest.of(b"loose"))
    assert condemned in stored(driver)
    assert Repositories(driver).open("b").blobs.has(Digest.of(b"loose"))


def test_the_history_of_tags_goes_with_the_manifests_that_it_names(
    driver: InMemoryDriver, repository: Repository
) -> None:
    former, now = (digest_of(image(repository, blob(repository, each))) for each in (b"former", b"now"))
    for digest in (former, now):
        repository.tags.point(Tag("latest"), digest)

    collect(driver)
    assert paths.tag_history_link("team/app", "latest", former) in stored(driver)
    collect(driver)

    assert paths.blob_data(former) not in stored(driver)
    assert paths.tag_history_link("team/app", "latest", former) not in stored(driver)
    assert paths.tag_history_link("team/app", "latest", now) in stored(driver)
    assert repository.tags.resolve(Tag("latest")) == now


def test_a_run_that_is_stopped_lets_no_writer_wait(driver: InMemoryDriver, repository: Repository) -> None:
    blob(repository, b"loose")

    with pytest.raises(StoppedError):
        collect(driver, surroundings=Surroundings("test", stopping=lambda: True))

    assert Runs(driver).read().phase is Phase.IDLE
    assert latest_reports(driver, 1)[0].result is Result.FAILED


def test_thirty_reports_stay_and_the_last_one_comes_first(driver: InMemoryDriver, repository: Repository) -> None:
    fill(repository, layer_bytes=600)
    numbers = [collect(driver).run for _ in range(32)]

    kept = [report.run for report in latest_reports(driver, 100)]

    assert kept == numbers[:-31:-1]
    assert len(kept) == 30


def test_a_report_that_a_later_version_wrote_is_read(driver: InMemoryDriver, repository: Repository) -> None:
    fill(repository, layer_bytes=600)
    run = collect(driver).run
    path = paths.gc_report(run)
    told = json.loads(driver.get(path, limit=10_000))
    driver.put(path, json.dumps({**told, "new": 1}).encode())
    driver.put(paths.gc_report(run + 1), b"torn")

    assert [report.run for report in latest_reports(driver, 5)] == [run]


@pytest.mark.parametrize("missing", ["all", "those of a manifest"])
def test_a_part_of_the_blobs_that_is_not_mounted_for_some_runs_costs_no_image_anything(
    driver: InMemoryDriver, repository: Repository, missing: str
) -> None:
    fill(repository, layer_bytes=600)
    untagged = digest_of(image(repository, blob(repository, b"layer")))
    before = {found.path: driver.get(found.path, limit=1 << 20) for found in driver.walk(paths.ROOT)}
    manifest = repository.tags.resolve(Tag("v1"))
    gone = [path for path in before if path.startswith(f"{paths.BLOBS}/")]
    if missing != "all":
        gone = [paths.blob_data(manifest), paths.blob_data(untagged)]
    for path in gone:
        driver.delete(path)

    reports = [collect(driver, Terms(0, lambda _: 0.0, maxshare)) for maxshare in (50, 50, 50)]
    for path in gone:
        driver.put(path, before[path])

    assert {report.result for report in reports} == {Result.REFUSED if missing == "all" else Result.DONE}
    assert before.keys() <= stored(driver).keys()


def test_maxshare_counts_links_too(driver: InMemoryDriver, repository: Repository) -> None:
    """What one repository loses may be kept by another, or be missing: no bytes tell of it."""
    other = Repositories(driver).open("other")
    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"layer" * 1000))))
    loose = [digest_of(blob(repository, b"%d" % number)) for number in range(9)]

    report = collect(driver, Terms(0, maxshare=50))

    assert (report.result, report.reason.split(",")[0]) == (Result.REFUSED, "9 of 12 links would be condemned")
    assert all(map(repository.blobs.has, loose))


@pytest.mark.parametrize(
    "policy",
    [
        ValidationPolicy(sparse=True),
        ValidationPolicy(platforms="none"),
        ValidationPolicy(platforms="list", platform_list=frozenset({("arm64", "linux")})),
        ValidationPolicy(enabled=False),
    ],
)
def test_a_push_brings_back_also_what_the_policy_does_not_look_for(
    driver: InMemoryDriver, repository: Repository, policy: ValidationPolicy
) -> None:
    layer = blob(repository, b"layer")
    child = image(repository, layer)
    collect(driver)
    assert not repository.manifests.has(digest_of(child))
    publishing = Publishing(policy, Operator(), passage=Passage(Runs(driver), 3600))
    content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
    index = parse_manifest(json.dumps(content).encode(), OCI_INDEX)

    publishing.push_manifest(repository, index, index_digest := Digest.of(index.content), [Tag("v1")])

    assert repository.tags.resolve(Tag("v1")) == index_digest
    assert repository.manifests.has(digest_of(child))
    assert repository.blobs.has(digest_of(layer))
    collect(driver)
    collect(driver)
    assert paths.blob_data(digest_of(layer)) in stored(driver)
    assert paths.blob_data(digest_of(child)) in stored(driver)


def test_a_sparse_push_brings_back_layers(driver: InMemoryDriver, repository: Repository) -> None:
    layer, config = blob(repository, b"layer"), blob(repository, b"{}")
    absent = {**layer, "digest": str(Digest.of(b"never pushed"))}
    collect(driver)
    publishing = Publishing(ValidationPolicy(sparse=True), Operator(), passage=Passage(Runs(driver), 3600))
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer, absent]}
    pushed = parse_manifest(json.dumps(content).encode(), OCI_MANIFEST)

    publishing.push_manifest(repository, pushed, Digest.of(pushed.content), [Tag("v1")])

    assert repository.blobs.has(digest_of(layer))
    assert not repository.blobs.has(digest_of(absent))


@pytest.mark.parametrize("terms", [Terms(0), UNTAGGED])
@pytest.mark.parametrize("damage", ["a torn revision", "no revision", "a torn tag"])
def test_a_link_that_is_torn_or_lost_costs_an_image_nothing_that_fsck_can_repair(
    driver: InMemoryDriver, repository: Repository, damage: str, terms: Terms
) -> None:
    child = image(repository, blob(repository, b"layer"))
    repository.tags.point(Tag("v1"), digest_of(child))
    path = paths.revision_link("team/app", digest_of(child))
    if damage == "no revision":
        driver.delete(path)
    else:
        driver.put(paths.tag_link("team/app", "v1") if damage == "a torn tag" else path, b"")
    before = stored(driver)

    for _ in range(3):
        collect(driver, terms)

    assert stored(driver).keys() == before.keys()


def test_many_blobs_that_have_lost_all_their_links_stay_while_a_directory_of_repositories_is_empty(
    tmp_path: Path,
) -> None:
    """A volume below the repositories may not be mounted. What a user has deleted leaves no empty directory."""
    driver = FilesystemDriver(str(tmp_path / "root"))
    repositories = Repositories(driver)
    fill(repositories.open("team/app"), layer_bytes=6000)
    other = repositories.open("other/web")
    other.tags.point(Tag("v1"), digest_of(image(other, blob(other, b"layer" * 1000))))
    for path in (tmp_path / "root").rglob("*"):
        os.utime(path, (0, 0))
    volume = tmp_path / "root" / paths.repository("other").lstrip("/")
    volume.rename(tmp_path / "not mounted")
    volume.mkdir()
    careful = Terms(0, maxshare=90)

    reports = [collect(driver, careful) for _ in range(3)]

    assert [report.result for report in reports] == [Result.DONE, Result.REFUSED, Result.REFUSED]
    assert f"nothing lies in {paths.repository('other')}: is it not mounted?" in reports[-1].reason
    volume.rmdir()
    assert collect(driver, careful).deleted_blobs == 2


CACHED = Cached((Upstream(name="hub", prefix="hub"),))


def evicted(driver: StorageDriver, repository: str, content: bytes, *, age: float) -> None:
    """Store a blob to which a repository has had a link until it was evicted, so many seconds ago."""
    digest = Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    driver.put(paths.condemned_layer_link(repository, digest), str(digest).encode())
    assert isinstance(driver, InMemoryDriver)
    for path in (paths.blob_data(digest), paths.condemned_layer_link(repository, digest)):
        objects = driver._store.objects
        objects[path] = replace(objects[path], modified=time.time() - age)


def test_what_was_evicted_is_deleted_however_large_its_share_is(driver: InMemoryDriver) -> None:
    evicted(driver, "hub/app", bytes(1000), age=86400)
    evicted(driver, "team/app", b"a user's", age=86400)
    driver.put(paths.blob_data(Digest.of(b"rest")), b"rest")
    terms = Terms(grace_seconds=0, maxshare=50)

    assert collect(driver, terms).result is Result.REFUSED
    done = collect(driver, replace(terms, cached=CACHED))

    assert (done.result, done.deleted_blobs) == (Result.DONE, 2)


def test_a_run_that_only_frees_what_was_evicted_condemns_nothing(driver: InMemoryDriver) -> None:
    evicted(driver, "hub/app", b"evicted", age=86400)
    blob(Repositories(driver).open("team/app"), b"loose")
    terms = Terms(grace_seconds=0, maxshare=50, cached=CACHED, condemns=False)

    done = collect(driver, terms)

    assert (done.result, done.deleted_blobs, done.condemned_blobs, done.waiting_blobs) == (Result.DONE, 1, 0, 0)
    assert Repositories(driver).open("team/app").blobs.has(Digest.of(b"loose"))


def test_manifests_of_a_cache_without_a_tag_are_left_to_its_ttl() -> None:
    section = GarbageCollection(untagged=Untagged(enabled=True, age_seconds=60))
    terms = Terms.of(section, cached=CACHED)

    assert terms.untagged_seconds("hub/app") is None
    assert terms.untagged_seconds("team/app") == 60


def test_what_a_cache_has_evicted_is_freed_after_the_grace_and_nothing_else() -> None:
    cache = Stored()
    hub = upstream("hub", "hub")
    cache.image("hub/old", "v1", layers=(b"old", b"shared"), age=10 * DAY)
    cache.image("hub/new", "v1", layers=(b"new", b"shared"), age=DAY)
    cache.image("team/app", "v1", layers=(b"pushed",), age=10 * DAY, fetched=False)
    cache.blob("team/app", b"loose", age=10 * DAY)
    cache.sweep(hub)
    terms = Terms(grace_seconds=3600, maxshare=1, cached=Cached((hub,)), condemns=False)

    def kept() -> set[bytes]:
        return {content for content in (b"old", b"shared", b"new", b"pushed", b"loose") if cache.has_bytes(content)}

    collect(cache.driver, terms)
    assert kept() == {b"old", b"shared", b"new", b"pushed", b"loose"}
    for found in list(cache.driver.walk(paths.BLOBS)) + list(cache.driver.walk(paths.condemned("hub/old"))):
        cache.age(found.path, DAY)
    collect(cache.driver, terms)

    assert kept() == {b"shared", b"new", b"pushed", b"loose"}
    assert not cache.driver.holds(paths.repository("hub/old"))
    assert cache.tags("hub/new") == cache.tags("team/app") == ["v1"]
