"""One request happens between any two storage calls of another: what was acknowledged is there, nothing dangles."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.ports import TagTakenError
from registry.publishing import publishing
from registry.storage.repository import Repositories
from tests.content import descriptor, image, index
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.handlers.pushing import push_blob, push_manifest
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient

    from tests.conftest import Serve

SUBJECT = image(b"{}")
CONTENT = image(b"{}", subject=descriptor(SUBJECT, media_types.OCI_MANIFEST))
DIGEST = Digest.of(CONTENT)


def put(client: FlaskClient) -> int:
    return client.put("/v2/a/manifests/latest", data=CONTENT, content_type=media_types.OCI_MANIFEST).status_code


def delete_manifest(client: FlaskClient) -> int:
    return client.delete(f"/v2/a/manifests/{DIGEST}").status_code


def delete_tag(client: FlaskClient) -> int:
    return client.delete("/v2/a/manifests/latest").status_code


@pytest.mark.parametrize("kind", [InMemoryDriver, BackwardsDriver])
@pytest.mark.parametrize("tagged_before", [True, False])
@pytest.mark.parametrize(
    ("slow", "quick"),
    [
        (put, delete_manifest),
        (delete_manifest, put),
        (put, delete_tag),
        (delete_tag, put),
        (delete_manifest, delete_tag),
    ],
)
def test_a_push_and_a_deletion_at_the_same_time_leave_no_tag_that_leads_nowhere(
    serve: Serve,
    slow: Callable[[FlaskClient], int],
    quick: Callable[[FlaskClient], int],
    tagged_before: bool,
    kind: type[InMemoryDriver],
) -> None:
    for moment in count(1):
        medium = kind()
        client = serve(medium)
        push_blob(client, "a", b"{}")
        push_manifest(client, "a", str(DIGEST), CONTENT, content_type=media_types.OCI_MANIFEST)
        if tagged_before:
            assert put(client) == 201
        between = InterleavingDriver(medium, moment, lambda client=client: quick(client))  # type: ignore[misc]

        slow(serve(between))

        assert_nothing_dangles(medium, "a")
        if between.calls < moment:
            break


@pytest.mark.parametrize("content", [image(b"{}"), index(image(b"{}"))], ids=["image", "index"])
@pytest.mark.parametrize("slow", ["push", "deletion"])
def test_a_push_that_is_acknowledged_while_its_repository_is_deleted_is_whole_or_gone(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, content: bytes, slow: str
) -> None:
    monkeypatch.setattr(publishing, "_PUSH_SECONDS", 0.002)
    answers: list[int] = []

    def push(client: FlaskClient) -> None:
        kind = media_types.OCI_INDEX if b'"manifests"' in content else media_types.OCI_MANIFEST
        answers.append(client.put("/v2/a/manifests/latest", data=content, content_type=kind).status_code)

    def delete(client: FlaskClient) -> None:
        client.delete("/v2/_registry/repositories/a")

    first, second = (push, delete) if slow == "push" else (delete, push)
    for moment in count(1):
        medium = InMemoryDriver()
        client = serve(medium, http={"secret": "a secret", "extensions": {"enabled": True}})
        push_blob(client, "a", b"{}")
        push_manifest(client, "a", "image", image(b"{}"), content_type=media_types.OCI_MANIFEST)
        between = InterleavingDriver(medium, moment, lambda client=client: second(client))  # type: ignore[misc]

        first(serve(between, http={"secret": "a secret", "extensions": {"enabled": True}}))

        if between.calls < moment:
            break
        if answers[-1] == 201 and client.get("/v2/a/manifests/latest").status_code == 200:
            for part in (f"manifests/{Digest.of(image(b'{}'))}", f"blobs/{Digest.of(b'{}')}"):
                if content != image(b"{}") or part.startswith("blobs"):
                    assert client.get(f"/v2/a/{part}").status_code == 200, moment
    assert moment > 5
    assert 201 in answers


def test_of_two_first_pushes_of_a_tag_that_may_not_be_moved_one_is_refused() -> None:
    mine, others = Digest.of(b"mine"), Digest.of(b"others")
    for moment in count(1):
        medium = InMemoryDriver()
        refused: list[Digest] = []

        def claim(driver: InMemoryDriver | InterleavingDriver, digest: Digest) -> None:
            try:
                Repositories(driver).open("a").tags.claim(Tag("v1"), digest)
            except TagTakenError:
                refused.append(digest)  # noqa: B023 - called in this very round

        between = InterleavingDriver(medium, moment, lambda: claim(medium, others))  # noqa: B023
        claim(between, mine)
        if between.calls < moment:
            break
        [loser] = refused
        assert Repositories(medium).open("a").tags.resolve(Tag("v1")) == ({mine, others} - {loser}).pop()
