from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drivers.base import UnavailableError
from drivers.delegating import DelegatingDriver
from registry.config.cached import Cached
from registry.config.upstreams import Upstream
from registry.fsck.check import policy_for
from registry.oci.digest import Digest
from registry.oci.media_types import OCI_INDEX
from registry.oci.reference import Tag
from registry.storage import paths
from registry.storage.repository import Repositories
from registry.storage.runs import Phase, Run, Runs
from registry.storage.validation import ValidationPolicy
from tests.archive.images import LAYER as LAYER_TYPE
from tests.archive.images import blob, image, manifest
from tests.fsck.checking import DAY, Checked
from tests.fsck.damaging import CASES, LAYER, NAME, SAME_SIZE, is_whole, push

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.base import StorageDriver
    from tests.fsck.damaging import Case


def wish_of(case: Case) -> dict[str, Any]:
    wish = case.wish
    return {"deep": "deep" in wish, "repair": True, "prune": wish == "prune", "relinks": wish == "relink"}


def everything(driver: StorageDriver) -> dict[str, str]:
    return {found.path: found.version for found in driver.walk("/docker")}


def test_a_tree_as_pushes_leave_it_is_clean(driver: StorageDriver) -> None:
    push(driver)

    checked = Checked(driver, deep=True)

    assert checked.said == []
    tally = checked.sum.tally
    assert (tally.repositories, tally.tags, tally.manifests, tally.blobs) == (1, 3, 4, 7)
    assert tally.size <= checked.read_bytes


@pytest.mark.parametrize("name", CASES)
def test_damage_is_found_with_its_tags_and_nothing_is_changed_unasked(driver: StorageDriver, name: str) -> None:
    case, tree = CASES[name], push(driver)
    case.damage(tree)
    before = everything(driver)

    checked = Checked(driver, deep="deep" in case.wish)

    assert (case.kind, case.where(tree), "found") in checked.said
    found = next(each for each in checked.findings if each.damage.where == case.where(tree))
    assert found.damage.affected.tags == case.tags
    assert found.damage.advice
    assert checked.sum.remaining == checked.sum.damaged > 0
    assert everything(driver) == before


@pytest.mark.parametrize("name", CASES)
def test_what_was_repaired_pushed_again_or_pruned_is_clean(driver: StorageDriver, name: str) -> None:
    case, tree = CASES[name], push(driver)
    case.damage(tree)

    first = Checked(driver, **wish_of(case))

    if "push" in case.wish:
        assert first.sum.remaining
        push(driver)
    else:
        assert first.sum.remaining == 0
    assert Checked(driver, deep=True).said == []
    if case.wish != "prune":
        assert is_whole(driver)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "push" in case.wish])
def test_what_cannot_be_repaired_remains_until_it_is_pushed(driver: StorageDriver, name: str) -> None:
    case, tree = CASES[name], push(driver)
    case.damage(tree)
    Checked(driver, **wish_of(case))

    assert Checked(driver).sum.remaining > 0
    push(driver)
    assert Checked(driver).sum.remaining == 0


def test_pruning_keeps_what_can_be_repaired(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.put(paths.tag_link(NAME, "v1"), b"")
    driver.put(paths.revision_link(NAME, tree.image), b"")

    checked = Checked(driver, repair=True, prune=True)

    assert {status for _, _, status in checked.said} == {"repaired"}
    assert is_whole(driver)


def test_a_tag_that_has_pointed_to_two_manifests_is_not_guessed(driver: StorageDriver) -> None:
    tree = push(driver)
    tags = Repositories(driver).open(NAME).tags
    tags.point(Tag("amd64"), tree.index)
    driver.put(paths.tag_link(NAME, "amd64"), b"")

    assert Checked(driver, repair=True).said == [("tag-link", f"{NAME}:amd64", "found")]
    assert Checked(driver, repair=True, prune=True).said == [("tag-link", f"{NAME}:amd64", "removed")]
    assert sorted(tags.names()) == ["latest", "v1"]


def test_a_pruned_manifest_takes_its_tags_along(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.blob_data(tree.index))

    Checked(driver, repair=True, prune=True)

    repository = Repositories(driver).open(NAME)
    assert list(repository.tags.names()) == ["amd64"]
    assert not repository.manifests.has(tree.index)
    assert Checked(driver).said == []


def test_a_pruned_signature_is_not_in_the_list_of_its_image_any_more(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.blob_data(tree.signature))

    checked = Checked(driver, repair=True, prune=True)

    assert checked.said == [
        ("manifest-bytes", f"{NAME}@{tree.signature}", "removed"),
        ("referrer-stale", f"{NAME}@{tree.signature}", "repaired"),
    ]
    assert list(Repositories(driver).open(NAME).referrers.after(tree.index)) == []


def test_an_index_whose_image_was_pruned_remains_damaged(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.blob_data(tree.image))

    checked = Checked(driver, repair=True, prune=True)

    assert checked.said[-2:] == [
        ("manifest-bytes", f"{NAME}@{tree.image}", "removed"),
        ("manifest-missing", f"{NAME}@{tree.image}", "found"),
    ]
    assert checked.affected("manifest-missing") == [("latest", "v1")]
    assert checked.sum.remaining == 1


def test_a_tag_that_is_nothing_but_an_empty_directory_is_pruned(filesystem: StorageDriver) -> None:
    push(filesystem)
    name = filesystem.local_path(paths.tag_directory(NAME, "v2"))
    assert name
    Path(name).mkdir()

    assert Checked(filesystem, repair=True).said == [("tag-link", f"{NAME}:v2", "found")]
    assert Checked(filesystem, prune=True).said == [("tag-link", f"{NAME}:v2", "removed")]
    assert sorted(Repositories(filesystem).open(NAME).tags.names()) == ["amd64", "latest", "v1"]


def test_names_that_are_not_ascii_are_passed_over(filesystem: StorageDriver) -> None:
    push(filesystem)
    blobs = paths.blobs("sha256", Digest.of(LAYER).hex[:2])
    for path in (paths.tags(NAME), paths.all_layers(NAME), paths.REPOSITORIES, paths.repository(NAME), blobs):
        name = filesystem.local_path(path)
        assert name
        (Path(name) / "Übersicht" / "é").mkdir(parents=True)
        (Path(name) / "Übersicht" / "ü.txt").write_bytes(b"")

    assert Checked(filesystem, deep=True, prune=True).said == []


def test_a_manifest_that_is_listed_again_has_its_layers_checked_in_the_same_run(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.revision_link(NAME, tree.image))
    driver.delete(paths.layer_link(NAME, tree.layer))
    driver.delete(paths.revision_link(NAME, tree.index))

    assert Checked(driver, repair=True, relinks=True).sum.remaining == 0
    assert is_whole(driver)


def test_manifests_of_an_index_whose_links_are_lost_are_listed_on_request_however_deep_they_lie(
    driver: StorageDriver,
) -> None:
    tree = push(driver)
    repository = Repositories(driver).open(NAME)
    content = repository.manifests.get(tree.index).content
    inner = {"mediaType": OCI_INDEX, "digest": str(tree.index), "size": len(content)}
    outer = manifest(repository, {"mediaType": OCI_INDEX, "manifests": [inner]})
    repository.tags.point(Tag("all"), Digest.parse(outer["digest"]))
    for tag in ("latest", "v1", "amd64"):
        repository.tags.delete(Tag(tag))
    children = [entry.digest for entry in repository.manifests.get(tree.index).manifests]
    for digest in (tree.index, *children):
        driver.delete(paths.revision_link(NAME, digest))
    driver.delete(paths.layer_link(NAME, tree.layer))

    checked = Checked(driver, repair=True, prune=True)
    assert checked.said == [("manifest-missing", f"{NAME}@{tree.index}", "found")]
    assert "--relink" in checked.findings[0].damage.advice
    assert not Checked(driver, ValidationPolicy(sparse=True), repair=True, relinks=True).sum.repaired

    assert Checked(driver, repair=True, relinks=True).sum.remaining == 0
    assert all(map(repository.manifests.has, (tree.index, *children)))
    assert repository.blobs.has(tree.layer)
    assert Checked(driver, deep=True).said == []


@pytest.mark.parametrize("content", [b"", b"sha256:12"])
def test_a_torn_link_of_a_layer_that_the_go_registry_keeps_under_its_sha256_is_written_again(
    driver: StorageDriver, content: bytes
) -> None:
    push(driver)
    repository = Repositories(driver).open("other")
    for filler in (b"filler 1", b"filler 2"):
        blob(repository, filler)
    kept = Digest.parse(blob(repository, b"my layer")["digest"])
    named = Digest.of(b"my layer", "sha512")
    path = paths.layer_link("other", named)
    driver.put(path, str(kept).encode())
    pushed = image(repository, {"mediaType": LAYER_TYPE, "digest": str(named), "size": len(b"my layer")})
    repository.tags.point(Tag("v1"), Digest.parse(pushed["digest"]))
    assert Checked(driver, deep=True).said == []

    driver.put(path, content)

    assert Checked(driver).said == [("layer-link", f"other@{named}", "found")]
    assert Checked(driver, repair=True).said == [("layer-link", f"other@{named}", "repaired")]
    assert driver.get(path, limit=100) == str(kept).encode()
    driver.delete(path)
    assert Checked(driver, repair=True).said == [("blob-missing", f"other@{named}", "found")]


def test_a_blob_that_nothing_tells_a_repository_has_had_is_only_given_to_it_on_request(driver: StorageDriver) -> None:
    tree = push(driver)
    other = Repositories(driver).open("other")
    layer = {"mediaType": LAYER_TYPE, "digest": str(tree.layer), "size": len(LAYER)}
    image(other, layer)  # as it may be pushed where `sparse` is on

    for all_of_it in (False, True):
        checked = Checked(driver, repair=True, prune=all_of_it, deep=all_of_it)
        assert checked.said == [("layer-link", f"other@{tree.layer}", "found")]
        assert "--relink" in checked.findings[0].damage.advice
        assert not other.blobs.has(tree.layer)

    assert Checked(driver, repair=True, relinks=True).said == [("layer-link", f"other@{tree.layer}", "repaired")]
    assert other.blobs.has(tree.layer)


def test_a_blob_that_a_user_has_deleted_does_not_come_back(driver: StorageDriver) -> None:
    tree = push(driver)
    Repositories(driver).open(NAME).blobs.delete(tree.layer)

    Checked(driver, deep=True, repair=True, prune=True)

    assert not Repositories(driver).open(NAME).blobs.has(tree.layer)


class _Unreadable(DelegatingDriver):
    """Has what it does not give."""

    def __init__(self, inner: StorageDriver, *digests: Digest) -> None:
        super().__init__(inner)
        self._paths = {paths.blob_data(each) for each in digests}

    def _look(self, path: str) -> None:
        if path in self._paths:
            raise UnavailableError(f"get {path}: Input/output error")

    def get(self, path: str, *, limit: int) -> bytes:
        self._look(path)
        return super().get(path, limit=limit)

    def get_each(self, paths: Iterable[str], *, limit: int) -> Iterator[bytes | None]:
        return (self.get(path, limit=limit) for path in paths)

    def read(self, path: str, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        self._look(path)
        return super().read(path, *args, **kwargs)


def test_what_cannot_be_read_is_told_with_its_tags_and_nothing_of_it_is_removed(driver: StorageDriver) -> None:
    tree = push(driver)
    before = everything(driver)

    checked = Checked(_Unreadable(driver, tree.layer, tree.index), deep=True, repair=True, prune=True)

    assert ("blob-unreadable", str(tree.layer), "found") in checked.said
    assert ("manifest-bytes", f"{NAME}@{tree.index}", "found") in checked.said
    assert ("amd64",) in [tags[:1] for tags in checked.affected("blob-missing")]
    assert checked.sum.tally.repositories == 1
    assert everything(driver) == before


def test_a_storage_that_gives_nothing_ends_the_check(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    digests = [Digest.parse(blob(repository, b"%d" % number)["digest"]) for number in range(12)]

    with pytest.raises(UnavailableError):
        Checked(_Unreadable(driver, *digests), deep=True)


def test_damaged_bytes_are_kept_aside_and_a_head_says_that_the_blob_is_unknown(driver: StorageDriver) -> None:
    tree = push(driver)
    damaged = b"x" * 3_000_000
    driver.put(paths.blob_data(tree.layer), damaged)

    checked = Checked(driver, repair=True)

    assert ("blob-damaged", str(tree.layer), "repaired") in checked.said
    assert ("blob-missing", f"{NAME}@{tree.layer}", "found") in checked.said
    assert driver.get(paths.quarantine(tree.layer), limit=len(damaged)) == damaged
    assert not Repositories(driver).open(NAME).blobs.has(tree.layer)


def test_what_the_servers_remember_of_damaged_bytes_is_forgotten(driver: StorageDriver) -> None:
    class Dropped:
        def __init__(self) -> None:
            self.digests: list[Digest] = []

        def get(self, digest: Digest) -> int | None:
            del digest
            return None

        def put(self, digest: Digest, size: int) -> None:
            pass

        def drop(self, digest: Digest) -> None:
            self.digests.append(digest)

    tree, dropped = push(driver), Dropped()
    driver.put(paths.blob_data(tree.layer), SAME_SIZE)

    Checked(driver, descriptors=dropped, deep=True, repair=True)

    assert dropped.digests == [tree.layer]


def test_damage_of_one_blob_is_told_for_each_repository(driver: StorageDriver) -> None:
    tree = push(driver)
    other = Repositories(driver).open("other")
    tag = Tag("1")
    other.tags.point(tag, Digest.parse(image(other, blob(other, LAYER))["digest"]))
    driver.put(paths.blob_data(tree.layer), SAME_SIZE)

    checked = Checked(driver, deep=True)

    assert checked.said == [
        ("blob-damaged", str(tree.layer), "found"),
        ("blob-missing", f"other@{tree.layer}", "found"),
        ("blob-missing", f"{NAME}@{tree.layer}", "found"),
    ]
    assert checked.affected("blob-missing") == [("1",), ("amd64", "latest", "v1")]


def test_one_repository_is_checked_without_reading_the_blobs_of_others(driver: StorageDriver) -> None:
    push(driver)
    other = Repositories(driver).open("other")
    large = Digest.parse(blob(other, b"large" * 100_000)["digest"])
    driver.put(paths.blob_data(large), b"damaged")

    checked = Checked(driver, deep=True, is_meant=lambda name: name == NAME)

    assert checked.said == []
    assert len(LAYER) < checked.read_bytes < 100_000
    driver.put(paths.blob_data(Digest.of(LAYER)), SAME_SIZE)
    assert ("blob-damaged", str(Digest.of(LAYER)), "found") in Checked(driver, deep=True, is_meant=str).said


def test_a_deep_check_begins_where_it_is_told(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    digests = sorted(str(Digest.parse(blob(repository, b"%d" % number)["digest"])) for number in range(8))
    for each in digests:
        driver.put(paths.blob_data(Digest.parse(each)), b"damaged")

    said = Checked(driver, deep=True, start=digests[4][:12]).said

    assert [where for kind, where, _ in said if kind == "blob-damaged"] == digests[4:]


def test_no_link_to_a_blob_is_written_where_manifests_may_name_what_they_do_not_have(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.layer_link(NAME, tree.layer))

    assert Checked(driver, ValidationPolicy(sparse=True), repair=True).said == []
    driver.put(paths.layer_link(NAME, tree.layer), b"")
    checked = Checked(driver, ValidationPolicy(sparse=True), repair=True)

    assert checked.said == [("layer-link", f"{NAME}@{tree.layer}", "found")]
    assert not Repositories(driver).open(NAME).blobs.has(tree.layer)


def test_what_a_cache_of_another_registry_has_not_pulled_is_not_missing(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.layer_link(NAME, tree.layer))
    driver.delete(paths.blob_data(tree.layer))
    assert policy_for(driver, ValidationPolicy()) == ValidationPolicy()
    driver.put("/scheduler-state.json", b"{}")

    assert Checked(driver, policy_for(driver, ValidationPolicy()), deep=True).said == []


CACHE = Upstream(name="ours", prefix="team")
CACHED = Cached((CACHE,))
"""The repositories below team/ are cached, and nobody pushes to them."""


def test_what_a_cache_has_not_fetched_or_has_let_go_is_no_damage(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.layer_link(NAME, tree.layer))
    driver.delete(paths.revision_link(NAME, tree.image))
    driver.delete(paths.blob_data(tree.layer))
    driver.delete(paths.blob_data(tree.signature))
    loose = Digest.of(b"loose")
    driver.put(paths.layer_link(NAME, loose), str(loose).encode())
    driver.put(paths.proxied_tag(NAME, "latest"), b"{}")

    assert Checked(driver, deep=True, repair=True, relinks=True, cached=CACHED).said == []
    assert Checked(driver, deep=True).said != []


@pytest.mark.parametrize("content", [b"", None])
def test_a_repository_of_a_cache_gets_no_link_to_bytes_that_another_has(
    driver: StorageDriver, content: bytes | None
) -> None:
    tree = push(driver)
    path = paths.layer_link(NAME, tree.layer)
    driver.delete(path)
    if content is not None:
        driver.put(path, content)

    assert Checked(driver, repair=True, relinks=True, cached=CACHED).said == []
    assert not Repositories(driver).open(NAME).blobs.has(tree.layer)


def test_damaged_bytes_are_damage_in_a_cache_too(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.put(paths.blob_data(tree.layer), b"another content")

    assert any(str(tree.layer) in where for _, where, _ in Checked(driver, deep=True, cached=CACHED).said)


def test_where_others_push_to_a_cache_what_was_pushed_has_to_be_whole(driver: StorageDriver) -> None:
    tree = push(driver)
    mixed = Cached((replace(CACHE, push="allow"),))
    driver.delete(paths.layer_link(NAME, tree.layer))
    driver.delete(paths.blob_data(tree.layer))
    assert {where for _, where, _ in Checked(driver, cached=mixed).said} == {f"{NAME}@{tree.layer}"}

    for digest in Repositories(driver).open(NAME).manifests.digests():
        driver.put(paths.fetched_manifest(NAME, digest), b"")
    assert Checked(driver, cached=mixed).said == []


def test_a_repository_gets_no_link_to_a_blob_that_none_of_its_manifests_names(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.put(paths.layer_link("other", tree.layer), b"")

    assert Checked(driver, repair=True).said == [("unused-link", f"other@{tree.layer}", "repaired")]
    assert not Repositories(driver).open("other").blobs.has(tree.layer)


def test_nothing_is_written_while_a_garbage_collection_runs(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.layer_link(NAME, tree.layer))
    Runs(driver).write(Run(1, Phase.MARKING))

    checked = Checked(driver, repair=True, relinks=True)

    assert checked.said == [("layer-link", f"{NAME}@{tree.layer}", "held up")]
    assert checked.sum.remaining == checked.sum.held_up == 1
    assert not Repositories(driver).open(NAME).blobs.has(tree.layer)


def test_an_image_of_an_index_that_need_not_be_stored_may_be_absent(driver: StorageDriver) -> None:
    tree = push(driver)
    Repositories(driver).open(NAME).manifests.delete(tree.image)

    assert Checked(driver, ValidationPolicy(platforms="none")).said == []


def test_the_lists_of_referrers_are_repaired_and_their_lack_is_no_damage(driver: StorageDriver) -> None:
    tree = push(driver)
    driver.delete(paths.all_referrers(NAME))
    gone = Digest.of(b"gone")
    driver.put(paths.referrer_link(NAME, tree.index, gone), str(gone).encode())

    checked = Checked(driver, repair=True)

    assert checked.said == [
        ("referrer-stale", f"{NAME}@{gone}", "repaired"),
        ("referrer-missing", f"{NAME}@{tree.signature}", "repaired"),
    ]
    assert checked.sum.damaged == 0
    assert list(Repositories(driver).open(NAME).referrers.after(tree.index)) == [tree.signature]
    assert Checked(driver).said == []


def test_an_upload_that_nobody_goes_on_with_is_removed_and_no_damage(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    old, new = repository.uploads.start().upload_id, repository.uploads.start().upload_id
    driver.put(paths.upload_started_at(NAME, old), b"2020-01-01T00:00:00Z")

    checked = Checked(driver, repair=True)

    assert checked.said == [("upload", f"{NAME} (upload {old})", "repaired")]
    assert checked.sum.damaged == 0
    assert driver.list(paths.uploads(NAME), limit=9) == [new]


def test_an_upload_that_does_not_say_when_it_was_begun_is_as_old_as_what_it_has(driver: StorageDriver) -> None:
    upload_id = Repositories(driver).open(NAME).uploads.start().upload_id
    driver.put(paths.upload_started_at(NAME, upload_id), b"")

    assert Checked(driver).said == []
    said = Checked(driver, leftovers_before=driver.stat(paths.upload_started_at(NAME, upload_id)).modified + DAY).said
    assert said == [("upload", f"{NAME} (upload {upload_id})", "found")]


def test_a_manifest_of_schema_1_is_sound_and_keeps_every_link_of_its_repository(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    content = b'{"schemaVersion": 1, "name": "a", "fsLayers": [], "signatures": []}'
    digest = Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    driver.put(paths.revision_link(NAME, digest), str(digest).encode())
    repository.tags.point(Tag("v1"), digest)
    layer = Digest.parse(blob(repository, b"its layer")["digest"])
    driver.delete(paths.blob_data(layer))

    checked = Checked(driver, deep=True, repair=True, prune=True)

    assert checked.said == []
    assert checked.sum.tally.unread_manifests == 1
    assert driver.stat(paths.layer_link(NAME, layer))


def test_what_the_go_registry_has_stored_under_sha256_is_sound(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    layer = b"pushed by sha512"
    longer = Digest("sha512", hashlib.sha512(layer).hexdigest())
    described = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(longer), "size": len(layer)}
    blob(repository, layer)
    driver.put(paths.layer_link(NAME, longer), str(Digest.of(layer)).encode())
    repository.tags.point(Tag("v1"), Digest.parse(image(repository, described)["digest"]))

    assert Checked(driver, deep=True).said == []


def test_a_size_that_a_manifest_does_not_have_right_is_told_and_no_damage(driver: StorageDriver) -> None:
    repository = Repositories(driver).open(NAME)
    layer = blob(repository, LAYER) | {"size": 1}
    repository.tags.point(Tag("v1"), Digest.parse(image(repository, layer)["digest"]))

    checked = Checked(driver)

    assert checked.said == [("size", f"{NAME}@{layer['digest']}", "found")]
    assert checked.sum.damaged == 0


def test_folders_that_the_go_registry_leaves_after_deletions_are_no_damage(filesystem: StorageDriver) -> None:
    tree = push(filesystem)
    root = filesystem.local_path(paths.revision_link(NAME, Digest.of(b"deleted")))
    assert root
    Path(root).parent.mkdir(parents=True)
    layer = filesystem.local_path(paths.layer_link(NAME, Digest.of(b"deleted")))
    assert layer
    Path(layer).parent.mkdir(parents=True)

    assert Checked(filesystem, deep=True).said == []
    assert tree.driver is filesystem


def test_files_of_other_programs_are_passed_over(driver: StorageDriver) -> None:
    tree = push(driver)
    for path in (
        f"{paths.BLOBS}/sha256/Thumbs.db",
        f"{paths.blob_data(tree.layer)}.bak",
        f"{paths.BLOBS}/sha256/{tree.layer.hex[:2]}/desktop.ini",
        f"{paths.BLOBS}/sha256/{tree.layer.hex[:2]}/{'0' * 64}/data",
        f"{paths.REPOSITORIES}/@eaDir/x".replace("@", "_"),
        f"{paths.tags(NAME)}/lost+found".replace("+", "_"),
        f"{paths.tags(NAME)}/notes.txt",
    ):
        driver.put(path, b"")

    checked = Checked(driver, deep=True, repair=True, prune=True)

    assert checked.said == []
    assert checked.sum.tally.foreign >= 2
    assert is_whole(driver)


def test_counted_is_what_the_garbage_collection_removes(driver: StorageDriver) -> None:
    push(driver)
    blob(Repositories(driver).open(NAME), b"no manifest names it")
    digest = Digest.of(b"condemned")
    driver.put(paths.condemned_layer_link(NAME, digest), str(digest).encode())

    checked = Checked(driver)

    assert checked.said == []
    assert (checked.sum.tally.unused_links, checked.sum.tally.condemned_links) == (1, 1)
