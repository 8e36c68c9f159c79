"""The suite that every implementation of registry/ports.py passes: each sentence there that a test can hold it to.

An implementation's test gives one fixture and runs all of it::

    class TestMyRepositories(RepositoriesConformance):
        @pytest.fixture
        def repositories(self) -> ports.Repositories: ...           # empty

What content comes from elsewhere, or which of the ways to a blob there are, is for the implementation's own tests.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import ALGORITHMS, Digest
from registry.oci.errors import (
    BlobUnknownError,
    BlobUploadUnknownError,
    DigestInvalidError,
    ManifestUnknownError,
    NameUnknownError,
    SizeInvalidError,
)
from registry.oci.manifest import parse_manifest
from registry.oci.ranges import ByteRange
from registry.oci.reference import Tag
from registry.oci.uploads import BodyCutShortError, Chunk, OffsetError
from registry.ports import ChangedError, TagTakenError
from tests.content import ABSENT, chunk, descriptor, image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.ports import Referrer, Repositories, Repository

BLOB = b"the content of a blob"
DIGEST = Digest.of(BLOB)
MANIFEST = image(b"{}", BLOB)
OTHER = image(b'{"os":"linux"}', BLOB)
V1, V2 = Tag("v1"), Tag("v2")
SOON = timedelta(minutes=1)


def push(repository: Repository, content: bytes = BLOB, algorithm: str = "sha256") -> Digest:
    """Push a blob."""
    digest = Digest.of(content, algorithm)
    repository.uploads.finish(repository.uploads.start(algorithm), chunk(content), digest)
    return digest


def put(repository: Repository, content: bytes = MANIFEST, *tags: Tag, algorithm: str = "sha256") -> Digest:
    """Push a manifest."""
    digest = Digest.of(content, algorithm)
    repository.manifests.put(parse_manifest(content), digest, tags)
    return digest


def signature_of(subject: bytes, number: int = 0) -> bytes:
    return image(b"%d" % number, subject=descriptor(subject, media_types.OCI_MANIFEST))


class RepositoriesConformance:
    """Subclass it with the fixture `repositories`."""

    @pytest.fixture
    def repository(self, repositories: Repositories) -> Repository:
        return repositories.open("team/app")

    @pytest.fixture
    def other(self, repositories: Repositories) -> Repository:
        return repositories.open("team/other")

    # Blobs

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("content", [b"", BLOB, BLOB * 100_000], ids=len)
    def test_a_blob_that_was_pushed_is_read_under_its_digest(
        self, repository: Repository, content: bytes, algorithm: str
    ) -> None:
        digest = push(repository, content, algorithm)

        assert repository.blobs.has(digest)
        blobs = repository.blobs
        for blob in (blobs.stat(digest), blobs.describe(digest), blobs.serve(digest), blobs.serve(digest)):
            assert (blob.digest, blob.size) == (digest, len(content))
            assert b"".join(repository.blobs.read(blob, 0, blob.size)) == content

    def test_what_is_there_is_told_of_each_of_many_in_their_order(self, repository: Repository) -> None:
        blobs = [push(repository, BLOB + b"%d" % number) for number in range(20)]
        manifests = [put(repository, image(b"%d" % number)) for number in range(20)]

        for holder, digests in ((repository.blobs, blobs), (repository.manifests, manifests)):
            mixed = [each for digest in digests for each in (digest, ABSENT)]
            assert list(holder.has_each(mixed)) == [True, False] * 20
            assert list(holder.has_each(iter(()))) == []

    def test_a_part_of_a_blob_is_read(self, repository: Repository) -> None:
        blob = repository.blobs.serve(push(repository))

        for start, stop in ((0, 0), (0, 1), (4, 11), (len(BLOB) - 1, len(BLOB))):
            assert b"".join(repository.blobs.read(blob, start, stop)) == BLOB[start:stop]

    @pytest.mark.parametrize("span", [(0, None), (0, 4), (4, None), (4, 11), (len(BLOB) - 1, 10_000), (10_000, None)])
    @pytest.mark.parametrize("read", [(0, 4), (0, len(BLOB)), (4, 11), (4, len(BLOB)), (len(BLOB) - 1, len(BLOB))])
    def test_what_is_read_does_not_depend_on_the_range_that_was_said_to_be_read_next(
        self, repository: Repository, span: tuple[int, int | None], read: tuple[int, int]
    ) -> None:
        digest = push(repository)
        blob = repository.blobs.serve_range(digest, *span)

        assert (blob.digest, blob.size) == (digest, len(BLOB))
        for _ in range(2):
            assert b"".join(repository.blobs.read(blob, *read)) == BLOB[slice(*read)]

    def test_each_way_to_a_blob_leads_to_its_bytes_or_is_said_not_to_be_there(self, repository: Repository) -> None:
        blob = repository.blobs.serve(push(repository))

        file, name = repository.blobs.open_local(blob), repository.blobs.local_name(blob)
        url = repository.blobs.redirect_url(blob, "192.0.2.7")

        assert (file is None) == (name is None)
        if file and name:
            with file:
                assert file.read() == BLOB
                assert str(Path(str(file.name))).endswith(name)
                assert name.startswith("/")
        assert url is None or "://" in url

    def test_a_blob_that_was_not_pushed_is_unknown(self, repository: Repository) -> None:
        assert not repository.blobs.has(ABSENT)
        for ask in (repository.blobs.stat, repository.blobs.serve, repository.blobs.describe, repository.blobs.delete):
            with pytest.raises(BlobUnknownError):
                ask(ABSENT)
        with pytest.raises(BlobUnknownError):
            repository.blobs.serve_range(ABSENT, 0, None)

    def test_a_blob_is_known_where_it_was_pushed_only_until_it_is_mounted(
        self, repository: Repository, other: Repository
    ) -> None:
        digest = push(repository)
        assert not other.blobs.has(digest)

        other.blobs.mount(repository.blobs.stat(digest))

        blob = other.blobs.stat(digest)
        assert b"".join(other.blobs.read(blob, 0, blob.size)) == BLOB

    def test_a_blob_of_any_repository_is_found_for_those_who_may_read_all(
        self, repositories: Repositories, repository: Repository, other: Repository
    ) -> None:
        with pytest.raises(BlobUnknownError):
            repositories.stat_blob(DIGEST)

        push(repository)

        other.blobs.mount(repositories.stat_blob(DIGEST))
        assert other.blobs.stat(DIGEST) == repository.blobs.stat(DIGEST)

    def test_a_blob_that_is_deleted_is_unknown_here_and_stays_elsewhere(
        self, repository: Repository, other: Repository
    ) -> None:
        push(repository)
        push(other)
        repository.blobs.serve(DIGEST)

        repository.blobs.delete(DIGEST)

        assert not repository.blobs.has(DIGEST)
        with pytest.raises(BlobUnknownError):
            repository.blobs.serve(DIGEST)
        blob = other.blobs.serve(DIGEST)
        assert b"".join(other.blobs.read(blob, 0, blob.size)) == BLOB

    # Uploads

    def test_an_upload_grows_chunk_by_chunk_into_a_blob(self, repository: Repository) -> None:
        state = repository.uploads.start()
        assert (state.name, state.offset) == ("team/app", 0)

        for piece in (BLOB[:5], b"", BLOB[5:9]):
            start = state.offset
            given = Chunk([piece], ByteRange(start, start + len(piece)) if piece else None, len(piece))
            state = repository.uploads.append(state, given)
            assert state.offset == start + len(piece)
            assert not repository.blobs.has(DIGEST)

        assert repository.uploads.finish(state, chunk(BLOB[9:]), DIGEST) == len(BLOB)
        assert repository.blobs.has(DIGEST)
        self.assert_unknown(repository, state.upload_id)

    def test_an_upload_tells_where_it_stands_and_goes_on_from_there(self, repository: Repository) -> None:
        began = repository.uploads.start()
        told = repository.uploads.append(began, chunk(BLOB[:5]))

        assert repository.uploads.status(told.upload_id, told) == told
        stands = repository.uploads.status(told.upload_id)
        assert (stands.offset, stands.started_at) == (5, told.started_at)
        assert repository.uploads.status(told.upload_id, began).offset == 5
        repository.uploads.finish(stands, chunk(BLOB[5:]), DIGEST)
        assert repository.blobs.has(DIGEST)

    def test_a_chunk_that_does_not_begin_where_the_upload_stands_is_refused_and_told_where_that_is(
        self, repository: Repository
    ) -> None:
        began = repository.uploads.start()
        state = repository.uploads.append(began, chunk(BLOB[:5]))

        for claimed, given in ((began, chunk(BLOB[5:])), (state, Chunk([BLOB[6:]], ByteRange(6, len(BLOB))))):
            for send in (repository.uploads.append, lambda *sent: repository.uploads.finish(sent[0], sent[1], DIGEST)):
                with pytest.raises(OffsetError) as caught:
                    send(claimed, given)
                assert caught.value.state.offset == 5

        repository.uploads.finish(state, chunk(BLOB[5:]), DIGEST)

    def test_a_chunk_of_another_length_than_its_range_is_refused(self, repository: Repository) -> None:
        state = repository.uploads.start()

        with pytest.raises(SizeInvalidError):
            repository.uploads.append(state, Chunk([BLOB[:5]], ByteRange(0, 6), 5))

        assert repository.uploads.status(state.upload_id).offset == 0

    def test_what_arrived_of_a_body_that_broke_off_is_kept(self, repository: Repository) -> None:
        def broken() -> Iterator[bytes]:
            yield BLOB[:5]
            raise BodyCutShortError("the client went away")

        state = repository.uploads.start()

        with pytest.raises(BodyCutShortError):
            repository.uploads.append(state, Chunk(broken()))

        stands = repository.uploads.status(state.upload_id)
        assert stands.offset == 5
        repository.uploads.finish(stands, chunk(BLOB[5:]), DIGEST)

    def test_content_under_another_digest_is_not_published_and_its_session_is_gone(
        self, repository: Repository
    ) -> None:
        state = repository.uploads.start()

        with pytest.raises(DigestInvalidError):
            repository.uploads.finish(state, chunk(BLOB), ABSENT)

        self.assert_unknown(repository, state.upload_id)
        assert not repository.blobs.has(DIGEST)
        assert not repository.blobs.has(ABSENT)

    def test_an_upload_that_is_cancelled_or_discarded_is_gone(self, repository: Repository) -> None:
        cancelled, discarded = repository.uploads.start(), repository.uploads.start()

        repository.uploads.cancel(cancelled.upload_id)
        repository.uploads.discard(discarded.upload_id)
        repository.uploads.discard(discarded.upload_id)

        for state in (cancelled, discarded):
            self.assert_unknown(repository, state.upload_id)
            with pytest.raises(BlobUploadUnknownError):
                repository.uploads.append(state, chunk(BLOB))
            with pytest.raises(BlobUploadUnknownError):
                repository.uploads.finish(state, chunk(BLOB), DIGEST)

    def test_an_upload_belongs_to_its_repository(self, repository: Repository, other: Repository) -> None:
        state = repository.uploads.start()

        self.assert_unknown(other, state.upload_id)

    def test_uploads_that_were_started_long_ago_are_found(
        self, repositories: Repositories, repository: Repository
    ) -> None:
        state = repository.uploads.start()
        now = datetime.now(UTC)

        assert list(repositories.abandoned_uploads(before=now - SOON)) == []
        assert list(repositories.abandoned_uploads(before=now + SOON)) == [("team/app", state.upload_id)]

    def test_purging_leaves_what_is_under_way(self, repositories: Repositories, repository: Repository) -> None:
        state = repository.uploads.append(repository.uploads.start(), chunk(BLOB[:5]))

        repositories.purge_leftovers(before=datetime.now(UTC) - SOON)

        repository.uploads.finish(state, chunk(BLOB[5:]), DIGEST)

    @staticmethod
    def assert_unknown(repository: Repository, upload_id: str) -> None:
        with pytest.raises(BlobUploadUnknownError):
            repository.uploads.status(upload_id)
        with pytest.raises(BlobUploadUnknownError):
            repository.uploads.cancel(upload_id)

    # Manifests

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_manifest_comes_back_as_it_was_put(self, repository: Repository, algorithm: str) -> None:
        content = b'{ "mediaType":\t"application/x",\r\n"unknown": 1.0e0, "unknown": 2 }\n'
        digest = put(repository, content, algorithm=algorithm)

        assert repository.manifests.has(digest)
        assert repository.manifests.get(digest) == parse_manifest(content)
        assert repository.manifests.serve(digest).content == content
        assert repository.manifests.serve(digest).media_type == "application/x"
        assert list(repository.manifests.digests()) == [digest]

    def test_a_manifest_that_was_not_put_here_is_unknown(self, repository: Repository, other: Repository) -> None:
        digest = put(other)
        manifests = repository.manifests

        assert not manifests.has(digest)
        for ask in (manifests.get, manifests.serve, manifests.delete, manifests.forget):
            with pytest.raises(ManifestUnknownError):
                ask(digest)
        assert list(manifests.digests()) == []

    def test_a_manifest_under_another_digest_is_refused_with_its_tags(self, repository: Repository) -> None:
        with pytest.raises(DigestInvalidError):
            repository.manifests.put(parse_manifest(MANIFEST), ABSENT, [V1])

        assert not repository.manifests.has(ABSENT)
        with pytest.raises(ManifestUnknownError):
            repository.tags.resolve(V1)

    def test_a_manifest_that_is_deleted_takes_its_tags_and_its_entry_among_referrers_along(
        self, repository: Repository
    ) -> None:
        subject = put(repository, MANIFEST, Tag("subject"))
        digest = put(repository, signature_of(MANIFEST), V1, V2)

        assert sorted(repository.manifests.delete(digest)) == ["v1", "v2"]

        assert not repository.manifests.has(digest)
        with pytest.raises(ManifestUnknownError):
            repository.manifests.serve(digest)
        assert list(repository.tags.names()) == ["subject"]
        assert list(repository.referrers.after(subject)) == []
        assert list(repository.manifests.digests()) == [subject]

    def test_the_repository_has_those_manifests_that_it_lists(self, repository: Repository, other: Repository) -> None:
        digests = [put(repository, signature_of(MANIFEST, number)) for number in range(4)]
        put(other, OTHER)
        repository.manifests.delete(digests[0])
        repository.manifests.forget(digests[2])

        assert sorted(repository.manifests.digests()) == sorted((digests[1], digests[3]))
        for digest in (*digests, Digest.of(OTHER)):
            assert repository.manifests.has(digest) == (digest in repository.manifests.digests())

    def test_the_repository_has_those_blobs_that_are_found(self, repository: Repository, other: Repository) -> None:
        here, deleted, elsewhere = push(repository, b"here"), push(repository, b"deleted"), push(other, b"elsewhere")
        repository.blobs.delete(deleted)

        assert repository.blobs.has(here)
        assert repository.blobs.stat(here).size == len(b"here")
        for digest in (deleted, elsewhere, ABSENT):
            assert not repository.blobs.has(digest)
            with pytest.raises(BlobUnknownError):
                repository.blobs.stat(digest)

    def test_a_manifest_without_tags_is_forgotten_with_its_entry_among_referrers(self, repository: Repository) -> None:
        subject = put(repository, MANIFEST, V1)
        digest = put(repository, signature_of(MANIFEST))

        repository.manifests.forget(digest)

        assert list(repository.manifests.digests()) == [subject]
        assert list(repository.referrers.after(subject)) == []

    def test_what_a_deletion_took_is_stored_again_and_a_tag_that_moved_is_left_alone(
        self, repository: Repository
    ) -> None:
        digest = put(repository, MANIFEST, V1, V2)
        repository.manifests.delete(digest)
        moved = put(repository, OTHER, V2)

        repository.manifests.keep(parse_manifest(MANIFEST), digest, [V1, V2])

        assert repository.manifests.serve(digest).content == MANIFEST
        assert repository.tags.resolve(V1) == digest
        assert repository.tags.resolve(V2) == moved

    # Tags

    def test_a_tag_points_to_what_it_was_pointed_to_last(self, repository: Repository) -> None:
        first, second = put(repository, MANIFEST, V1), put(repository, OTHER)
        assert repository.tags.resolve(V1) == first

        repository.tags.point(V1, second)
        assert repository.tags.resolve(V1) == second

        put(repository, MANIFEST, V1)
        assert repository.tags.resolve(V1) == first

    def test_a_tag_was_pushed_when_it_was_last_pointed_to_a_manifest(self, repository: Repository) -> None:
        put(repository, MANIFEST, V1)
        first = repository.tags.pushed(V1)
        time.sleep(0.02)
        put(repository, OTHER, V1)
        assert first < repository.tags.pushed(V1) < first + 3600

    def test_of_many_tags_it_is_told_when_each_was_pushed(self, repository: Repository) -> None:
        push(repository)
        tags = [Tag(f"{name}{number}") for name in ("v1.", "V", "v1-") for number in range(20)]
        put(repository, MANIFEST, *tags)
        put(repository, OTHER, *tags[::3])

        asked = [Tag("absent"), *reversed(tags), Tag("v"), tags[0]]
        told = repository.tags.pushed_each(asked)

        known = [None, *map(repository.tags.pushed, reversed(tags)), None, repository.tags.pushed(tags[0])]
        assert told == known
        assert list(repository.tags.pushed_each([])) == []

    def test_a_tag_that_points_elsewhere_is_not_claimed(self, repository: Repository) -> None:
        first, second = put(repository), put(repository, OTHER)

        repository.tags.claim(V1, first)
        repository.tags.claim(V1, first)
        with pytest.raises(TagTakenError) as caught:
            repository.tags.claim(V1, second)

        assert caught.value.current == first
        assert repository.tags.resolve(V1) == first

    def test_a_tag_is_moved_and_deleted_only_from_where_the_caller_has_seen_it(self, repository: Repository) -> None:
        first, second = put(repository), put(repository, OTHER)

        for move in (partial(repository.tags.move, V1, second), partial(repository.tags.delete_from, V1)):
            with pytest.raises(ChangedError):
                move(first)
        assert not repository.tags.page(limit=1)
        repository.tags.move(V1, first, None)
        for seen in (None, second):
            with pytest.raises(ChangedError):
                repository.tags.move(V1, second, seen)
        with pytest.raises(ChangedError):
            repository.tags.delete_from(V1, second)
        assert repository.tags.resolve(V1) == first

        repository.tags.move(V1, second, first)
        assert repository.tags.resolve(V1) == second
        repository.tags.delete_from(V1, second)
        assert not repository.tags.page(limit=1)
        assert repository.manifests.has(second)
        repository.tags.move(V1, first, None)
        assert repository.tags.resolve(V1) == first

    def test_a_manifest_is_added_once(self, repository: Repository) -> None:
        manifest = parse_manifest(MANIFEST)
        digest = Digest.of(MANIFEST)

        with pytest.raises(DigestInvalidError):
            repository.manifests.add(manifest, Digest.of(OTHER))
        repository.manifests.add(manifest, digest)
        with pytest.raises(ChangedError):
            repository.manifests.add(manifest, digest)

        assert repository.manifests.get(digest).content == MANIFEST

    def test_a_manifest_whose_check_fails_is_not_there(self, repository: Repository) -> None:
        manifest, digest = parse_manifest(MANIFEST), Digest.of(MANIFEST)

        def refuse() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            repository.manifests.check_first(refuse, manifest, digest)
        assert not repository.manifests.has(digest)

    @pytest.mark.parametrize("tags", [[], [V1]])
    def test_a_manifest_whose_check_does_not_fail_is_there_when_it_is_put(
        self, repository: Repository, tags: list[Tag]
    ) -> None:
        manifest, digest, checked = parse_manifest(MANIFEST), Digest.of(MANIFEST), []

        repository.manifests.check_first(lambda: checked.append(repository.manifests.has(digest)), manifest, digest)
        assert checked == [False]
        assert not repository.manifests.has(digest)
        repository.manifests.put(manifest, digest, tags)
        assert repository.manifests.get(digest).content == MANIFEST

    def test_a_tag_is_served_as_it_is_resolved(self, repository: Repository) -> None:
        with pytest.raises(ManifestUnknownError):
            repository.tags.serve(V1)

        for content in (MANIFEST, OTHER):
            assert put(repository, content, V1) == repository.tags.serve(V1) == repository.tags.resolve(V1)

    def test_a_tag_that_is_deleted_is_unknown_and_its_manifest_stays(self, repository: Repository) -> None:
        digest = put(repository, MANIFEST, V1, V2)

        repository.tags.delete(V1)

        for ask in (repository.tags.resolve, repository.tags.delete, repository.tags.pushed):
            with pytest.raises(ManifestUnknownError):
                ask(V1)
        assert repository.tags.resolve(V2) == digest
        assert repository.manifests.has(digest)
        repository.tags.claim(V1, put(repository, OTHER))

    def test_the_tags_that_point_to_a_manifest_are_found(self, repositories: Repositories) -> None:
        repository = repositories.open("a")
        assert list(repository.tags.pointing_to(ABSENT)) == []
        first, second = put(repository, MANIFEST, V1, V2), put(repository, OTHER)
        assert sorted(repository.tags.pointing_to(first)) == ["v1", "v2"]
        assert list(repository.tags.pointing_to(second)) == []

    def test_tags_are_listed_in_byte_order_and_in_pages(self, repository: Repository) -> None:
        names = ["1", "Z", "_", "a", "a-b", "a.b", "b"]
        put(repository, MANIFEST, *map(Tag, reversed(names)))

        assert list(repository.tags.names()) == names
        assert repository.tags.page(limit=3) == names[:3]
        assert repository.tags.page(after="a", limit=2) == ["a-b", "a.b"]
        assert repository.tags.page(after="aa", limit=9) == ["b"]
        assert repository.tags.page(after="b", limit=9) == []

    def test_the_tags_of_what_does_not_exist_are_unknown_and_of_one_without_tags_none(
        self, repository: Repository
    ) -> None:
        with pytest.raises(NameUnknownError):
            repository.tags.page(limit=1)
        with pytest.raises(NameUnknownError):
            repository.tags.names()

        put(repository)

        assert repository.tags.page(limit=1) == []
        assert list(repository.tags.names()) == []

    # Referrers

    def test_referrers_are_listed_in_order_and_after_any_of_them(self, repository: Repository) -> None:
        subject = Digest.of(MANIFEST)
        listed = sorted(
            put(repository, signature_of(MANIFEST, number), algorithm=algorithm)
            for algorithm in ("sha256", "sha512")
            for number in range(3)
        )
        put(repository, signature_of(OTHER))

        assert list(repository.referrers.after(subject)) == listed
        for position, digest in enumerate(listed):
            assert list(repository.referrers.after(subject, digest)) == listed[position + 1 :]

    @pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
    def test_pages_of_referrers_put_together_are_all_that_the_repository_has(
        self, repository: Repository, limit: int
    ) -> None:
        subject = Digest.of(MANIFEST)
        [gone, *kept] = sorted(
            put(repository, signature_of(MANIFEST, number), algorithm=algorithm)
            for algorithm in ("sha256", "sha512")
            for number in range(3)
        )
        repository.manifests.delete(gone)

        found: list[Referrer] = []
        page = repository.referrers.page(subject, limit=limit)
        while page.last:
            assert len(page.referrers) <= limit
            found += page.referrers
            page = repository.referrers.page(subject, after=page.last, limit=limit)
        found += page.referrers

        assert [each.digest for each in found] == kept
        for each in found:
            described = repository.manifests.get(each.digest).listed_as(each.digest)
            assert json.loads(each.descriptor) == described
            assert each.artifact_type == described["artifactType"]

    def test_referrers_are_listed_by_their_type(self, repository: Repository) -> None:
        subject = Digest.of(MANIFEST)
        digest = put(repository, signature_of(MANIFEST))
        for types, expected in (({"x/y", media_types.OCI_CONFIG}, [digest]), ({"x/y"}, []), (set(), [])):
            page = repository.referrers.page(subject, artifact_types=types, limit=9)
            assert [each.digest for each in page.referrers] == expected

    def test_referrers_are_those_of_one_repository(self, repository: Repository, other: Repository) -> None:
        put(repository, signature_of(MANIFEST))

        assert list(other.referrers.after(Digest.of(MANIFEST))) == []

    # Repositories

    def test_a_repository_exists_while_it_has_manifests(
        self, repositories: Repositories, repository: Repository
    ) -> None:
        push(repository)
        assert list(repositories.catalog.names()) == []
        digest = put(repository)
        assert list(repositories.catalog.names()) == ["team/app"]

        repository.manifests.delete(digest)

        assert list(repositories.catalog.names()) == []
        assert list(repositories.catalog.linking()) == ["team/app"]

    def test_the_catalog_has_a_name_before_those_nested_in_it_and_goes_on_after_any(
        self, repositories: Repositories
    ) -> None:
        names = ["a", "a/b", "a/b/c", "a-b", "b"]
        for name in reversed(names):
            put(repositories.open(name))

        assert list(repositories.catalog.names()) == names
        assert list(repositories.catalog.names(after="a/b")) == names[2:]
        assert repositories.catalog.page(limit=2, shown=lambda _: True) == names[:2]
        assert repositories.catalog.page(after="a", limit=2, shown=lambda name: name != "a/b") == ["a/b/c", "a-b"]

    def test_the_catalog_tells_what_lies_right_below_a_name_and_which_repositories_are_nested_in_it(
        self, repositories: Repositories
    ) -> None:
        for name in ("a", "a/b", "a/b/c", "a/d/e", "a-b"):
            put(repositories.open(name))

        catalog = repositories.catalog
        assert catalog.children("", limit=10) == ["a", "a-b"]
        assert catalog.children("a", limit=10) == ["a/b", "a/d"]
        assert catalog.children("a", limit=1) == ["a/b"]
        assert catalog.children("a", after="a/b", limit=1) == ["a/d"]
        assert catalog.children("a-b", limit=10) == []
        assert list(catalog.names(below="a")) == ["a/b", "a/b/c", "a/d/e"]
        assert list(catalog.names(below="a-b")) == []
        assert [name for name in ("a", "a/b", "a/d", "a/d/e", "z") if catalog.has(name)] == ["a", "a/b", "a/d/e"]

    def test_what_is_looked_for_in_each_of_many_places_is_told_in_their_order(self, repositories: Repositories) -> None:
        names = [f"team/{number}" for number in range(40)]
        for name in names[::2]:
            put(repositories.open(name))

        assert list(repositories.each(repositories.catalog.has, names)) == [True, False] * 20

    def test_names_that_have_manifests_or_blobs_are_listed(self, repositories: Repositories) -> None:
        push(repositories.open("blobs"))
        put(repositories.open("manifests"))
        repositories.open("upload").uploads.start()

        assert list(repositories.catalog.linking()) == ["blobs", "manifests"]

    def test_names_of_which_anything_is_kept_are_told_and_may_be_deleted_meanwhile(
        self, repositories: Repositories
    ) -> None:
        for name in ("a/blobs", "a/blobs/in", "a-b"):
            push(repositories.open(name))
        put(repositories.open("a/manifests/deep"))
        repositories.open("a/upload").uploads.start()
        push(repositories.open("a"))

        assert list(repositories.catalog.keeping()) == [
            *("a", "a/blobs", "a/blobs/in", "a/manifests/deep", "a/upload", "a-b")
        ]
        assert list(repositories.catalog.keeping(below="a/blobs")) == ["a/blobs/in"]
        assert list(repositories.catalog.keeping(below="b")) == []
        for name in repositories.catalog.keeping(below="a"):
            repositories.open(name).delete()

        assert list(repositories.catalog.keeping()) == ["a", "a-b"]
        assert [name for name in ("a", "a-b", "a/upload", "b") if repositories.catalog.keeps(name)] == ["a", "a-b"]

    def test_a_repository_that_is_deleted_is_gone_and_those_nested_in_it_stay(self, repositories: Repositories) -> None:
        repository, nested = repositories.open("team"), repositories.open("team/app")
        for each in (repository, nested):
            push(each)
            put(each, MANIFEST, V1)
            put(each, signature_of(MANIFEST))
        state = repository.uploads.append(repository.uploads.start(), chunk(BLOB[:5]))

        repository.delete()

        assert list(repositories.catalog.linking()) == ["team/app"]
        assert not repository.blobs.has(DIGEST)
        assert list(repository.manifests.digests()) == list(repository.referrers.after(Digest.of(MANIFEST))) == []
        with pytest.raises(NameUnknownError):
            repository.tags.names()
        self.assert_unknown(repository, state.upload_id)
        with pytest.raises(NameUnknownError):
            repository.delete()
        assert nested.tags.resolve(V1) == Digest.of(MANIFEST)
        assert nested.blobs.has(DIGEST)
        assert len(list(nested.referrers.after(Digest.of(MANIFEST)))) == 1

    def test_a_repository_that_was_deleted_can_be_pushed_to_again(self, repository: Repository) -> None:
        for _ in range(2):
            push(repository)
            digest = put(repository, MANIFEST, V1)
            assert repository.tags.resolve(V1) == digest
            assert repository.manifests.serve(digest).content == MANIFEST
            assert list(repository.manifests.digests()) == [digest]
            repository.delete()
