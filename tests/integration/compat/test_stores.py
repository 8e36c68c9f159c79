"""One bucket or container, served by our registry and by the Go registry in turn: ``make test-s3`` and the others."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.drivers.stores import storage_of
from tests.integration.api import OCTET_STREAM, digest_of
from tests.integration.compat.seeding import CONFIG, LAYER, MANIFESTS, OCI_IMAGE, check, seed
from tests.integration.servers import Flavour, Server, ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers.stores import Store

pytestmark = pytest.mark.timeout(300)

LATER = ("later", "later/still")
MIB = 1 << 20


@pytest.fixture
def theirs(store: Store, go_registry: Flavour) -> Flavour:
    """Each Go registry that has the store's driver: Debian's is built without those of Google and Microsoft."""
    if go_registry.name == "debian" and store.name != "s3":
        pytest.skip(f"panic: StorageDriver not registered: {store.name}")
    return go_registry


@contextmanager
def serving(flavour: Flavour, store: Store, directory: Path) -> Iterator[Server]:
    """Run a registry over the part of the store that is named like `directory`."""
    parameters = {"credentials": {"type": "shared_key"}} if store.name == "azure" else {}
    storage = storage_of(store, directory.name, **parameters)
    server = Server(flavour, directory / "none", directory, storage=storage)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_CA_BUNDLE", raising=False)  # with which 2.8 does not start
        if store.name == "gcs" and not flavour.ours:
            from tests.drivers.gcs.server import key_of_account  # noqa: PLC0415 - its SDK may not be installed

            key = directory / "key.json"
            key.write_text(json.dumps(key_of_account()))
            patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
            patch.setenv("STORAGE_EMULATOR_HOST", str(store.parameters()["endpoint"]).removeprefix("http://"))
        server.start()
    try:
        yield server
        server.stop_cleanly()
    finally:
        if server.is_running():
            server.kill()


def push_large(server: Server, repository: str, content: bytes) -> None:
    """Push as docker does."""
    location = server.api.begin_upload(repository).location
    answer = server.api.request("PATCH", location, content, {"Content-Type": OCTET_STREAM})
    assert answer.status == 202, answer
    assert server.api.finish_upload(answer.location, digest_of(content)).status == 201


def cannot_push(flavour: Flavour, store: Store) -> bool:
    """The Go registry sends blobs to www.googleapis.com whatever the SDK's settings: `newSession` in its gcs.go."""
    return store.name == "gcs" and not flavour.ours


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
def test_what_one_has_pushed_the_other_serves_and_continues(
    store: Store, theirs: Flavour, tmp_path: Path, *, ours_first: bool
) -> None:
    first, second = (ours(), theirs) if ours_first else (theirs, ours())
    if cannot_push(theirs, store):
        pytest.skip("the Go registry pushes blobs to no emulator of Google's store")
    contents = {each: each.name.encode() * (12 * MIB // len(each.name)) for each in (first, second)}
    with serving(first, store, tmp_path) as server:
        seed(server.api)
        push_large(server, "a", contents[first])

    with serving(second, store, tmp_path) as server:
        check(server.api)
        assert server.api.blob("a", digest_of(contents[first])).body == contents[first]
        assert server.api.get("/v2/_catalog").json()["repositories"] == ["a", "a/b", "a/b/c", "a-b", "ab"]
        seed(server.api)
        seed(server.api, LATER)
        push_large(server, "later", contents[second])
        digest = digest_of(OCI_IMAGE)
        assert server.api.delete(f"/v2/ab/manifests/{digest}").status == 202
        assert server.api.delete(f"/v2/a-b/blobs/{digest_of(CONFIG)}").status == 202

    with serving(first, store, tmp_path) as server:
        check(server.api, ("a", "a/b", "a/b/c", *LATER))
        assert server.api.blob("later", digest_of(contents[second])).body == contents[second]
        assert server.api.manifest("ab", digest).status == 404
        assert server.api.manifest("ab", "oci").status == 404
        assert server.api.manifest("ab", "docker").status == 200
        assert server.api.blob("a-b", digest_of(CONFIG)).status == 404
        assert server.api.blob("a-b", digest_of(LAYER)).status == 200


def test_theirs_adds_manifests_to_what_ours_has_pushed(store: Store, theirs: Flavour, tmp_path: Path) -> None:
    with serving(ours(), store, tmp_path) as us, serving(theirs, store, tmp_path) as them:
        seed(us.api)
        check(them.api)
        for blob in (CONFIG, LAYER):
            mounting = them.api.request("POST", f"/v2/added/blobs/uploads/?mount={digest_of(blob)}&from=a")
            assert mounting.status == 201
        for tag, (media_type, manifest) in MANIFESTS.items():
            assert them.api.put_manifest("added", tag, manifest, media_type).status == 201
        assert them.api.delete(f"/v2/ab/manifests/{digest_of(OCI_IMAGE)}").status == 202

        check(us.api, ("a", "a/b", "added"))
        assert us.api.manifest("ab", "oci").status == 404
        assert us.api.manifest("ab", "docker").status == 200


def test_an_upload_that_the_other_has_begun_ends_with_its_bytes_or_is_refused(
    store: Store, theirs: Flavour, tmp_path: Path
) -> None:
    if cannot_push(theirs, store):
        pytest.skip("the Go registry pushes blobs to no emulator of Google's store")
    with serving(ours(), store, tmp_path) as us, serving(theirs, store, tmp_path) as them:
        for begins, goes_on in ((us, them), (them, us)):
            content = LAYER + begins.flavour.name.encode()
            begun = begins.api.send_chunk(begins.api.begin_upload("a").location, 0, content)
            assert begun.status == 202
            answer = goes_on.api.finish_upload(begun.location, digest_of(content))
            found = goes_on.api.blob("a", digest_of(content))
            if answer.status == 201:
                assert found.body == content
            else:
                assert (answer.status >= 400, found.status) == (True, 404), answer
            goes_on.api.push_blob("a", content)
            assert begins.api.blob("a", digest_of(content)).body == content
