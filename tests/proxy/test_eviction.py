from __future__ import annotations

import itertools
import json
from contextlib import suppress

import pytest

from drivers.base import DriverError
from registry.config.cached import Cached
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.proxy.eviction.evicting import CollectionRunsError, Eviction
from registry.proxy.eviction.last_use import LastUse
from registry.proxy.freshness import TagState
from registry.proxy.pushed_manifests import unmark_fetched
from registry.storage import paths
from registry.storage.evictions import evictions
from registry.storage.parts import Kind
from registry.storage.repository import Repositories
from registry.storage.runs import Phase, Run, Runs
from tests.content import descriptor, image, index
from tests.drivers.failing import FailingDriver
from tests.proxy.caches import CONFIG, DAY, HOUR, Stored, upstream

OLD, NEW = 8 * DAY, 6 * DAY
MIB = 1024 * 1024


def test_what_was_not_used_for_longer_than_ttl_goes_with_its_tags_and_layers() -> None:
    stored = Stored()
    old = stored.image("hub/old", "v1", layers=(b"old",), age=OLD)
    new = stored.image("hub/new", "v1", layers=(b"new",), age=NEW)

    (outcome,) = stored.sweep(upstream())

    assert not stored.has_manifest("hub/old", old)
    assert not stored.has_layer("hub/old", b"old")
    assert stored.tags("hub/old") == []
    assert stored.has_manifest("hub/new", new)
    assert stored.has_layer("hub/new", b"new")
    assert stored.tags("hub/new") == ["v1"]
    assert (outcome.tags, outcome.manifests, outcome.blobs) == (1, 1, 2)
    # The config is held by the other image, too.
    assert outcome.evicted == len(b"old") + len(image(CONFIG, b"old"))
    assert not stored.driver.holds(paths.proxy("hub/old"))


def test_bytes_stay_for_the_garbage_collection_and_what_was_fetched_again_has_its_link_back() -> None:
    stored = Stored()
    digest = stored.image("hub/old", "v1", layers=(b"old",), age=OLD)

    stored.sweep(upstream())

    assert stored.driver.stat(paths.blob_data(digest)).size
    assert stored.driver.stat(paths.blob_data(Digest.of(b"old"))).size
    repository = stored.repositories.open("hub/old")
    assert repository.blobs.revive(Digest.of(b"old"), lambda: 0.0)
    assert repository.manifests.revive(digest, lambda: 0.0)


def test_a_changed_ttl_holds_at_once_for_what_is_there() -> None:
    stored = Stored()
    digest = stored.image("hub/app", "v1", age=2 * DAY)

    stored.sweep(upstream(ttl=7 * DAY))
    assert stored.has_manifest("hub/app", digest)
    stored.sweep(upstream(ttl=0))
    assert stored.has_manifest("hub/app", digest)
    stored.sweep(upstream(ttl=DAY))
    assert not stored.has_manifest("hub/app", digest)


def test_a_hit_of_a_layer_keeps_the_image_that_alone_has_it_and_its_tag() -> None:
    stored = Stored()
    digest = stored.image("hub/app", "v1", layers=(b"own",), age=OLD)
    LastUse(stored.driver, Cached((upstream(),))).used("hub/app", Digest.of(b"own"), Kind.LAYER)

    stored.sweep(upstream())

    assert stored.has_manifest("hub/app", digest)
    assert stored.has_layer("hub/app", b"own")


def test_a_hit_of_a_shared_layer_keeps_that_layer_only() -> None:
    stored = Stored()
    first = stored.image("hub/app", "v1", layers=(b"base", b"one"), age=OLD)
    second = stored.image("hub/app", "v2", layers=(b"base", b"two"), age=OLD)
    LastUse(stored.driver, Cached((upstream(),))).used("hub/app", Digest.of(b"base"), Kind.LAYER)

    stored.sweep(upstream())

    assert not stored.has_manifest("hub/app", first)
    assert not stored.has_manifest("hub/app", second)
    assert stored.has_layer("hub/app", b"base")
    assert not stored.has_layer("hub/app", b"one")


def test_a_layer_that_another_image_has_stays_with_that() -> None:
    stored = Stored()
    stored.image("hub/app", "old", layers=(b"base", b"old"), age=OLD)
    stored.image("hub/app", "new", layers=(b"base", b"new"), age=NEW)
    stored.age(paths.layer_link("hub/app", Digest.of(b"base")), OLD)

    stored.sweep(upstream())

    assert stored.tags("hub/app") == ["new"]
    assert stored.has_layer("hub/app", b"base")
    assert not stored.has_layer("hub/app", b"old")


def test_an_index_that_is_used_keeps_its_images_and_they_go_with_it() -> None:
    stored = Stored()
    child = stored.image("hub/app", layers=(b"amd64",), age=OLD)
    parent = stored.manifest("hub/app", index(image(CONFIG, b"amd64"), image(CONFIG, b"absent")), "v1", age=NEW)

    stored.sweep(upstream())
    assert stored.has_manifest("hub/app", child)
    assert stored.has_layer("hub/app", b"amd64")

    stored.sweep(upstream(ttl=5 * DAY))
    assert not stored.has_manifest("hub/app", parent)
    assert not stored.has_manifest("hub/app", child)
    assert not stored.has_layer("hub/app", b"amd64")


def test_a_signature_stays_as_long_as_what_it_signs() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(b"app",), age=NEW)
    subject = descriptor(image(CONFIG, b"app"), media_types.OCI_MANIFEST)
    signature = stored.image("hub/app", layers=(b"signature",), age=OLD, subject=subject)

    stored.sweep(upstream())

    assert stored.has_manifest("hub/app", signature)
    assert stored.has_layer("hub/app", b"signature")


def test_too_much_goes_oldest_first_until_ninety_percent_of_the_size_are_left() -> None:
    stored = Stored()
    images = {
        age: stored.image("hub/app", f"v{age}", layers=(bytes([age]) * MIB,), age=age * HOUR) for age in range(2, 12)
    }

    (outcome,) = stored.sweep(upstream(size=10 * MIB))

    assert [age for age, digest in images.items() if stored.has_manifest("hub/app", digest)] == list(range(2, 10))
    assert outcome.size <= 9 * MIB
    assert not outcome.full


def test_nothing_goes_as_long_as_there_is_room() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(bytes(MIB),), age=2 * DAY)

    (outcome,) = stored.sweep(upstream(size=2 * MIB))

    assert outcome.evicted == 0
    assert stored.tags("hub/app") == ["v1"]
    assert evictions(stored.driver) == []


def test_bytes_that_several_repositories_have_count_once_and_are_freed_with_the_last_link() -> None:
    stored = Stored()
    for number in range(3):
        stored.image(f"hub/app{number}", "v1", layers=(b"s" * MIB,), age=(10 - number) * HOUR)
    stored.image("hub/own", "v1", layers=(b"o" * MIB,), age=2 * HOUR)

    (outcome,) = stored.sweep(upstream(size=MIB + MIB // 2))

    assert [stored.tags(f"hub/app{number}") for number in range(3)] == [[], [], []]
    assert stored.tags("hub/own") == ["v1"]
    assert MIB < outcome.size < MIB + MIB // 8


def test_what_was_used_within_the_hour_does_not_make_room() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(bytes(2 * MIB),), age=HOUR / 2)

    (outcome,) = stored.sweep(upstream(size=MIB))

    assert stored.tags("hub/app") == ["v1"]
    assert outcome.full


def test_what_keep_names_stays_and_counts() -> None:
    stored = Stored()
    stored.image("hub/library/postgres", "v1", layers=(b"p" * MIB,), age=OLD)
    stored.image("hub/app", "v1", layers=(b"a" * MIB,), age=2 * DAY)
    keep = upstream(size=MIB, keep=("library/postgres",))

    (outcome,) = stored.sweep(keep)

    assert stored.tags("hub/library/postgres") == ["v1"]
    assert stored.tags("hub/app") == []
    assert outcome.full


def test_each_upstream_has_its_own_room_and_nothing_else_is_touched() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(b"h" * MIB,), age=2 * DAY)
    stored.image("quay/app", "v1", layers=(b"q" * MIB,), age=2 * DAY)
    stored.image("team/app", "v1", layers=(b"t" * MIB,), age=OLD, fetched=False)
    stored.image("hub", "v1", layers=(b"t" * MIB,), age=OLD, fetched=False)

    stored.sweep(upstream(size=MIB // 2), upstream("quay", "quay", size=2 * MIB))

    assert stored.tags("hub/app") == []
    assert stored.tags("quay/app") == stored.tags("team/app") == stored.tags("hub") == ["v1"]
    assert stored.has_layer("team/app", b"t" * MIB)


def test_pushed_tags_stay_with_all_that_they_lead_to() -> None:
    stored = Stored()
    stored.image("hub/app", "fetched", layers=(b"shared", b"fetched"), age=OLD)
    pushed = stored.image("hub/app", "pushed", layers=(b"shared", b"own"), age=OLD, fetched=False)
    subject = descriptor(image(CONFIG, b"shared", b"own"), media_types.OCI_MANIFEST)
    signature = stored.image("hub/app", layers=(b"signature",), age=OLD, fetched=False, subject=subject)

    stored.sweep(upstream(size=1))

    assert stored.tags("hub/app") == ["pushed"]
    assert stored.has_manifest("hub/app", pushed)
    assert stored.has_manifest("hub/app", signature)
    for content in (b"shared", b"own", b"signature", CONFIG):
        assert stored.has_layer("hub/app", content)
    assert not stored.has_layer("hub/app", b"fetched")


def test_where_others_push_a_manifest_without_a_tag_goes_only_if_it_was_fetched() -> None:
    stored = Stored()
    fetched = stored.image("hub/app", layers=(b"fetched",), age=OLD, mixed=True)
    pushed = stored.image("hub/app", layers=(b"pushed",), age=OLD, fetched=False, mixed=True)

    stored.sweep(upstream(push="allow"))

    assert not stored.has_manifest("hub/app", fetched)
    assert not stored.has_layer("hub/app", b"fetched")
    assert stored.has_manifest("hub/app", pushed)
    assert stored.has_layer("hub/app", b"pushed")
    assert not stored.driver.holds(paths.proxy("hub/app"))


def test_a_tag_whose_state_says_that_it_was_pushed_stays_also_where_nobody_pushes_any_more() -> None:
    stored = Stored()
    digest = stored.image("hub/app", "v1", layers=(b"own",), age=OLD)
    path = paths.proxied_tag("hub/app", "v1")
    stored.driver.put(path, TagState(digest, 0.0, pushed=True).encode())
    stored.age(path, OLD)

    stored.sweep(upstream())

    assert stored.tags("hub/app") == ["v1"]
    assert stored.has_layer("hub/app", b"own")


def test_a_tag_that_was_about_to_be_moved_is_a_fetched_one_wherever_it_points() -> None:
    stored = Stored()
    digest = stored.image("hub/app", "v1", layers=(b"one",), age=OLD)
    path = paths.proxied_tag("hub/app", "v1")
    stored.driver.put(path, TagState(Digest.of(b"two"), 0.0, digest, "intent").encode())
    stored.age(path, OLD)

    stored.sweep(upstream())

    assert stored.tags("hub/app") == []


def test_a_manifest_that_was_fetched_and_then_pushed_stays() -> None:
    stored = Stored()
    digest = stored.image("hub/app", layers=(b"fetched",), age=OLD, mixed=True)
    unmark_fetched(stored.driver, "hub/app", digest)

    stored.sweep(upstream(push="allow"))

    assert stored.has_manifest("hub/app", digest)
    assert stored.has_layer("hub/app", b"fetched")


def test_a_tag_that_was_pushed_over_what_was_fetched_is_a_pushed_one() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(b"fetched",), age=OLD, mixed=True)
    pushed = stored.image("hub/app", "v1", layers=(b"pushed",), age=OLD, fetched=False, mixed=True)

    stored.sweep(upstream(push="allow"))

    assert stored.tags("hub/app") == ["v1"]
    assert stored.has_manifest("hub/app", pushed)
    assert not stored.has_layer("hub/app", b"fetched")


@pytest.mark.parametrize("has_state", [True, False])
def test_a_tag_that_was_pushed_or_imported_over_a_cached_one_stays_where_nobody_pushes_any_more(
    *, has_state: bool
) -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(b"fetched",), age=OLD)
    pushed = stored.image("hub/app", "v1", layers=(b"pushed",), age=OLD, fetched=False)
    if has_state:  # an import leaves what was known of the tag
        path = paths.proxied_tag("hub/app", "v1")
        stored.driver.put(path, TagState(pushed, 0.0, pushed=True).encode())
        stored.age(path, OLD)

    stored.sweep(upstream())
    stored.evict(lambda _: True, upstream())

    assert stored.tags("hub/app") == ["v1"]
    assert stored.has_manifest("hub/app", pushed)
    assert stored.has_layer("hub/app", b"pushed")
    assert not stored.has_layer("hub/app", b"fetched")


@pytest.mark.parametrize("damage", ["bytes", "link of the manifest", "link of the tag"])
def test_nothing_of_a_repository_goes_where_it_is_not_known_what_was_pushed(damage: str) -> None:
    stored = Stored()
    pushed = stored.image("hub/app", "pushed", layers=(b"own",), age=OLD, fetched=False)
    path = {
        "bytes": paths.blob_data(pushed),
        "link of the manifest": paths.revision_link("hub/app", pushed),
        "link of the tag": paths.tag_link("hub/app", "pushed"),
    }[damage]
    stored.driver.put(path, b"")
    stored.age(path, OLD)

    stored.sweep(upstream(push="allow"))

    assert stored.has_layer("hub/app", b"own")
    assert stored.tags("hub/app") == ["pushed"]


def test_in_a_classic_cache_what_a_go_registry_has_fetched_goes_and_what_was_pushed_before_stays() -> None:
    stored = Stored()
    digests = {
        name: stored.image(name, "latest", layers=(name.encode(),), age=OLD, fetched=False)
        for name in ("library/alpine", "library/expired", "team/pushed")
    }
    key = f"library/alpine@{digests['library/alpine']}"
    entry = {"Key": key, "ExpiryData": "2026-01-01T00:00:00Z", "EntryType": 1}
    stored.driver.put(paths.SCHEDULER, json.dumps({key: entry}).encode())
    # When its time has come, the Go registry deletes the link and leaves the tag.
    stored.driver.delete(paths.revision_link("library/expired", digests["library/expired"]))

    stored.sweep(upstream("proxy", classic=True))

    assert not stored.has_manifest("library/alpine", digests["library/alpine"])
    assert stored.tags("library/alpine") == stored.tags("library/expired") == []
    assert stored.tags("team/pushed") == ["latest"]
    assert stored.has_manifest("team/pushed", digests["team/pushed"])
    assert stored.has_layer("team/pushed", b"team/pushed")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"'])
def test_where_the_list_of_the_go_registry_cannot_be_read_its_tags_stay(content: bytes) -> None:
    stored = Stored()
    stored.image("library/alpine", "latest", age=OLD, fetched=False)
    stored.driver.put(paths.SCHEDULER, content)

    stored.sweep(upstream("proxy", classic=True))

    assert stored.tags("library/alpine") == ["latest"]


def test_what_was_evicted_by_name_goes_at_once_whatever_its_age_or_keep_but_pushed_tags() -> None:
    stored = Stored()
    stored.image("hub/a", "v1", layers=(b"a",))
    stored.image("hub/a", "mine", layers=(b"mine",), fetched=False)
    stored.image("hub/b", "v1", layers=(b"b",))

    stored.evict(lambda name: name == "hub/a", upstream(keep=("a",)))

    assert stored.tags("hub/a") == ["mine"]
    assert not stored.has_layer("hub/a", b"a")
    assert stored.has_layer("hub/a", b"mine")
    assert stored.tags("hub/b") == ["v1"]


def test_nothing_goes_while_a_garbage_collection_is_on() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", age=OLD)
    Runs(stored.driver).write(Run(1, Phase.MARKING))

    with pytest.raises(CollectionRunsError):
        stored.sweep(upstream())
    assert stored.tags("hub/app") == ["v1"]


def test_when_something_went_is_remembered() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", age=OLD)
    before = stored.now()

    stored.sweep(upstream())

    told = evictions(stored.driver)
    assert told
    assert before <= told[0] + 0.001
    assert told[-1] <= stored.now() + 0.001


def test_a_tag_that_was_moved_meanwhile_stays() -> None:
    stored = Stored()
    stored.image("hub/app", "v1", layers=(b"old",), age=OLD)
    eviction = stored.eviction(upstream())
    moved: list[Digest] = []

    def move(_: str) -> None:
        if not moved:
            moved.append(stored.image("hub/app", "v1", layers=(b"new",)))

    eviction.progress = move
    eviction.sweep()

    assert stored.repositories.open("hub/app").tags.resolve(Tag("v1")) == moved[0]
    assert stored.has_manifest("hub/app", moved[0])
    assert stored.has_layer("hub/app", b"new")


def test_an_eviction_that_breaks_off_leaves_no_tag_that_leads_to_nothing_or_would_count_as_pushed() -> None:
    for fails_at in itertools.count(1):
        stored = Stored()
        stored.image("hub/app", "v1", "v2", layers=(b"one",), age=OLD, mixed=True)
        stored.image("hub/app", "pushed", layers=(b"own",), age=OLD, fetched=False, mixed=True)
        driver = FailingDriver(stored.driver, fail_at=fails_at)
        eviction = Eviction(driver, Repositories(driver), Cached((upstream(push="allow"),)), pause=lambda _: None)
        with suppress(DriverError):
            eviction.sweep()
        for tag in stored.tags("hub/app"):
            digest = stored.repositories.open("hub/app").tags.resolve(Tag(tag))
            assert stored.has_manifest("hub/app", digest)
            assert tag == "pushed" or stored.driver.stat(paths.proxied_tag("hub/app", tag))
        assert "pushed" in stored.tags("hub/app")
        if not driver.power_is_gone:
            break
        # What broke off is done by the next one.
        stored.sweep(upstream(push="allow"))
        assert stored.tags("hub/app") == ["pushed"]
        assert stored.has_layer("hub/app", b"own")
        assert not stored.has_layer("hub/app", b"one")
        assert evictions(stored.driver)
