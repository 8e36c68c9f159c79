"""What clients see of a garbage collection that runs beside the registry: nothing is lost, and little refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import PathNotFoundError
from registry.handlers.current import EXTENSION
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths, revival, runs
from registry.storage.runs import Closed, Pace, Phase, Run, Runs
from tests.content import image, index
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.handlers.pushing import error_of, push_blob, push_manifest

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.wrappers import Response

    from drivers.base import StorageDriver
    from tests.conftest import Serve

CONFIG, LAYER = b"{}", b"layer"
IMAGE, INDEX, NESTED = image(CONFIG, LAYER), index(image(CONFIG, LAYER)), index(index(image(CONFIG, LAYER)))
DIGEST = Digest.of(IMAGE)
MARKING: Final = Run(1, Phase.MARKING)


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writers wait for nothing and remember nothing."""
    monkeypatch.setattr(runs, "PACE", Pace(cached=0, closed=0))


def exists(driver: StorageDriver, path: str) -> bool:
    try:
        driver.stat(path)
    except PathNotFoundError:
        return False
    return True


def move(driver: StorageDriver, path: str, target: str) -> None:
    driver.put(target, driver.get(path, limit=1000))
    driver.delete(path)


def condemn_blob(driver: StorageDriver, content: bytes, name: str = "a") -> Digest:
    digest = Digest.of(content)
    move(driver, paths.layer_link(name, digest), paths.condemned_layer_link(name, digest))
    return digest


def condemn_manifest(driver: StorageDriver, content: bytes, name: str = "a") -> Digest:
    digest = Digest.of(content)
    move(driver, paths.revision_link(name, digest), paths.condemned_revision_link(name, digest))
    return digest


def collected_before(driver: StorageDriver) -> None:
    """Let there have been a run."""
    Runs(driver).write(Run(2))


def put(client: FlaskClient, content: bytes, reference: str = "v1") -> Response:
    return client.put(f"/v2/a/manifests/{reference}", data=content, content_type=type_of(content))


def type_of(content: bytes) -> str:
    return media_types.OCI_INDEX if b'"manifests"' in content else media_types.OCI_MANIFEST


def pulls(client: FlaskClient, content: bytes = IMAGE) -> bool:
    """Tell whether an image can be pulled by its digest, with its blobs."""
    wanted = [f"manifests/{Digest.of(content)}", *(f"blobs/{Digest.of(blob)}" for blob in (CONFIG, LAYER))]
    return all(client.get(f"/v2/a/{each}").status_code == 200 for each in wanted)


@pytest.fixture
def pushed(client: FlaskClient) -> FlaskClient:
    """A repository with an image that has no tag."""
    push_blob(client, "a", CONFIG)
    push_blob(client, "a", LAYER)
    push_manifest(client, "a", str(DIGEST), IMAGE, content_type=media_types.OCI_MANIFEST)
    return client


def named_in_notices(driver: StorageDriver) -> set[str]:
    notices = Runs(driver)
    return {digest for each in notices.notice_ids() if (notice := notices.notice(each)) for digest in notice.digests}


def test_what_is_pushed_while_a_run_is_on_is_named_to_it_with_all_it_leads_to(
    pushed: FlaskClient, driver: StorageDriver
) -> None:
    push_manifest(pushed, "a", "index", INDEX, content_type=media_types.OCI_INDEX)
    Runs(driver).write(MARKING)

    push_manifest(pushed, "a", "v1", NESTED, content_type=media_types.OCI_INDEX)

    assert named_in_notices(driver) == {str(Digest.of(each)) for each in (NESTED, INDEX, IMAGE, CONFIG, LAYER)}


def test_what_a_condemned_manifest_of_an_index_leads_to_is_named_too(
    pushed: FlaskClient, driver: StorageDriver
) -> None:
    condemn_manifest(driver, IMAGE)
    Runs(driver).write(MARKING)

    assert put(pushed, INDEX).status_code == 201

    assert named_in_notices(driver) == {str(Digest.of(each)) for each in (INDEX, IMAGE, CONFIG, LAYER)}


def test_uploads_and_mounts_name_their_blob_and_where_its_bytes_lie(client: FlaskClient, driver: StorageDriver) -> None:
    push_blob(client, "there", LAYER)
    sha512 = Digest.of(LAYER, "sha512")
    driver.put(paths.layer_link("there", sha512), str(Digest.of(LAYER)).encode())
    Runs(driver).write(MARKING)

    push_blob(client, "a", CONFIG)
    mounted = client.post("/v2/a/blobs/uploads/", query_string={"mount": str(sha512), "from": "there"})

    assert mounted.status_code == 201
    assert named_in_notices(driver) == {str(each) for each in (Digest.of(CONFIG), sha512, Digest.of(LAYER))}


@pytest.mark.parametrize("closed", ["repository", "digest"])
def test_a_push_to_what_a_run_has_closed_for_long_is_503_and_nothing_is_stored(
    pushed: FlaskClient, driver: StorageDriver, closed: str
) -> None:
    started = pushed.post("/v2/a/blobs/uploads/").headers["Location"]
    new, newer = Digest.of(b"new"), Digest.of(INDEX)
    closing = Closed("a") if closed == "repository" else Closed(digests=frozenset(map(str, (new, newer, DIGEST))))
    Runs(driver).write(replace(MARKING, closed=closing))

    answers = [
        pushed.post("/v2/a/blobs/uploads/", query_string={"digest": str(new)}, data=b"new"),
        pushed.put(f"{started}&digest={new}", data=b"new"),
        pushed.post("/v2/a/blobs/uploads/", query_string={"mount": str(DIGEST), "from": "a"}),
        put(pushed, INDEX),
    ]

    assert [error_of(each) for each in answers] == [(503, "UNAVAILABLE")] * 4
    assert all(each.headers["Retry-After"] for each in answers)
    assert not exists(driver, paths.layer_link("a", new))
    assert not exists(driver, paths.revision_link("a", newer))


def test_another_repository_goes_on_meanwhile_and_everything_can_be_pulled(
    pushed: FlaskClient, driver: StorageDriver
) -> None:
    Runs(driver).write(replace(MARKING, closed=Closed("a")))

    push_blob(pushed, "b", LAYER)

    assert pulls(pushed)


def test_a_push_brings_back_the_blobs_that_a_run_has_condemned(pushed: FlaskClient, driver: StorageDriver) -> None:
    layer, config = condemn_blob(driver, LAYER), condemn_blob(driver, CONFIG)
    collected_before(driver)
    assert not pulls(pushed)

    assert put(pushed, IMAGE).status_code == 201

    assert pulls(pushed)
    assert not exists(driver, paths.condemned_layer_link("a", layer))
    assert not exists(driver, paths.condemned_layer_link("a", config))


@pytest.mark.parametrize("content", [INDEX, NESTED], ids=["index", "nested"])
@pytest.mark.parametrize("with_layers", [True, False])
def test_a_push_of_an_index_brings_back_its_manifests_with_their_blobs(
    pushed: FlaskClient, driver: StorageDriver, content: bytes, *, with_layers: bool
) -> None:
    if content == NESTED:
        push_manifest(pushed, "a", str(Digest.of(INDEX)), INDEX, content_type=media_types.OCI_INDEX)
        condemn_manifest(driver, INDEX)
    condemn_manifest(driver, IMAGE)
    if with_layers:
        condemn_blob(driver, LAYER)
    collected_before(driver)

    assert put(pushed, content).status_code == 201

    assert pulls(pushed)
    assert not exists(driver, paths.condemned_revision_link("a", DIGEST))


def test_a_manifest_of_which_a_blob_is_gone_is_not_brought_back(pushed: FlaskClient, driver: StorageDriver) -> None:
    condemn_manifest(driver, IMAGE)
    driver.delete(paths.layer_link("a", Digest.of(LAYER)))
    collected_before(driver)

    assert error_of(put(pushed, INDEX)) == (400, "MANIFEST_BLOB_UNKNOWN")

    assert not exists(driver, paths.revision_link("a", DIGEST))


def test_what_was_condemned_below_an_index_while_it_was_pushed_comes_back(
    pushed: FlaskClient, serve: Serve, driver: StorageDriver
) -> None:
    """The manifest stands, because another push has brought it back, and its blob was condemned after that."""

    def run() -> None:
        condemn_blob(driver, LAYER)
        collected_before(driver)

    link = paths.tag_link("a", "v1")
    for moment in range(2, 100):  # the first call asks for the run
        between = InterleavingDriver(driver, moment, run)
        if exists(driver, link):
            driver.delete(link)
        Runs(driver).write(Run(0))

        assert put(serve(between), INDEX).status_code == 201

        if between.calls < moment:
            break
        assert pulls(pushed)
    assert moment > 5


def test_an_index_that_leads_to_too_much_that_was_condemned_is_refused_until_it_is_pushed(
    pushed: FlaskClient, driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revival, "_READ_BYTES", len(IMAGE) - 1)
    condemn_manifest(driver, IMAGE)
    Runs(driver).write(MARKING)

    assert error_of(put(pushed, INDEX)) == (503, "UNAVAILABLE")

    push_manifest(pushed, "a", str(DIGEST), IMAGE, content_type=media_types.OCI_MANIFEST)
    assert put(pushed, INDEX).status_code == 201


def test_an_index_may_be_pushed_while_a_run_is_on_however_much_it_leads_to(
    pushed: FlaskClient, driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revival, "_READ_BYTES", 0)
    Runs(driver).write(MARKING)

    assert put(pushed, INDEX).status_code == 201

    assert named_in_notices(driver) == {str(Digest.of(each)) for each in (INDEX, IMAGE, CONFIG, LAYER)}


def test_what_many_indexes_lead_to_is_named_once_for_each_and_not_for_each_way_to_it(
    pushed: FlaskClient, driver: StorageDriver
) -> None:
    pair = [IMAGE]
    for depth in range(12):
        pair = [index(*pair, annotations={"n": f"{depth}-{each}"}) for each in ("one", "other")]
        for each in pair:
            push_manifest(pushed, "a", str(Digest.of(each)), each, content_type=media_types.OCI_INDEX)
    Runs(driver).write(MARKING)

    assert put(pushed, index(*pair)).status_code == 201

    told = [Runs(driver).notice(each) for each in Runs(driver).notice_ids()]
    assert sum(len(notice.digests) for notice in told if notice) < 100


def test_a_push_that_a_run_holds_up_is_told_so(pushed: FlaskClient, driver: StorageDriver) -> None:
    Runs(driver).write(replace(MARKING, closed=Closed("a")))

    refused = put(pushed, IMAGE)

    told = refused.get_json()["errors"][0]["message"]
    assert told == "garbage is being collected from what this request needs; try again in a few seconds"


def test_a_signature_that_is_brought_back_is_listed_again(pushed: FlaskClient, driver: StorageDriver) -> None:
    signature = image(CONFIG, LAYER, subject={"mediaType": media_types.OCI_MANIFEST, "digest": str(DIGEST), "size": 1})
    push_manifest(pushed, "a", str(Digest.of(signature)), signature, content_type=media_types.OCI_MANIFEST)
    condemn_manifest(driver, signature)
    driver.delete(paths.all_referrers("a"))
    collected_before(driver)

    assert put(pushed, index(signature)).status_code == 201

    assert str(Digest.of(signature)) in pushed.get(f"/v2/a/referrers/{DIGEST}").text


def test_what_was_condemned_longer_ago_than_the_grace_is_not_brought_back(
    pushed: FlaskClient, driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = condemn_blob(driver, LAYER)
    collected_before(driver)
    monkeypatch.setattr(pushed.application.extensions[EXTENSION].passage, "grace", -1.0)

    assert error_of(put(pushed, IMAGE)) == (400, "MANIFEST_BLOB_UNKNOWN")

    assert not exists(driver, paths.layer_link("a", layer))
    assert exists(driver, paths.condemned_layer_link("a", layer))


def test_another_repository_gets_nothing_of_what_was_condemned(pushed: FlaskClient, driver: StorageDriver) -> None:
    condemn_blob(driver, LAYER)
    collected_before(driver)
    push_blob(pushed, "b", CONFIG)

    answer = pushed.put("/v2/b/manifests/v1", data=IMAGE, content_type=media_types.OCI_MANIFEST)

    assert error_of(answer) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_what_was_deleted_is_not_brought_back(pushed: FlaskClient, driver: StorageDriver) -> None:
    layer = condemn_blob(driver, LAYER)
    condemn_manifest(driver, IMAGE)
    collected_before(driver)

    assert pushed.delete(f"/v2/a/blobs/{layer}").status_code == 404
    assert pushed.delete(f"/v2/a/manifests/{DIGEST}").status_code == 404

    assert error_of(put(pushed, IMAGE)) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert error_of(put(pushed, INDEX)) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert not exists(driver, paths.condemned_layer_link("a", layer))
    assert not exists(driver, paths.condemned_revision_link("a", DIGEST))


def test_a_deletion_takes_what_was_condemned_before_it_was_pushed_again(
    pushed: FlaskClient, driver: StorageDriver
) -> None:
    layer = condemn_blob(driver, LAYER)
    condemn_manifest(driver, IMAGE)
    push_blob(pushed, "a", LAYER)
    assert put(pushed, IMAGE).status_code == 201

    assert pushed.delete(f"/v2/a/manifests/{DIGEST}").status_code == 202
    assert pushed.delete(f"/v2/a/blobs/{layer}").status_code == 202

    assert driver.list(paths.condemned("a"), limit=1) == []


def test_a_push_that_fails_for_another_reason_leaves_no_notice_behind(
    client: FlaskClient, driver: StorageDriver
) -> None:
    collected_before(driver)

    assert error_of(put(client, IMAGE)) == (400, "MANIFEST_BLOB_UNKNOWN")

    assert named_in_notices(driver) == set()
    assert driver.list(paths.GC_NOTICES, limit=1) == []


def test_where_manifests_may_be_sparse_what_the_repository_had_is_brought_back(
    serve: Serve, driver: StorageDriver
) -> None:
    """A client may have been told that it is there, and the repository had it itself."""
    client = serve(driver, validation={"manifests": {"sparse": True}})
    push_blob(client, "a", LAYER)
    layer = condemn_blob(driver, LAYER)
    collected_before(driver)

    assert put(client, IMAGE).status_code == 201

    assert exists(driver, paths.layer_link("a", layer))


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize("run", [Run(2), MARKING], ids=["idle", "run"])
def test_a_storage_that_fails_at_the_last_look_fails_the_push(serve: Serve, driver: StorageDriver, run: Run) -> None:
    Runs(driver).write(run)
    for fail_at in range(1, 100):
        failing = FailingDriver(driver, fail_at)
        answer = put(serve(failing), IMAGE, "v2")
        if not failing.power_is_gone:
            break
        assert answer.status_code in {500, 503}
    assert answer.status_code == 201
    assert fail_at > 5


def test_a_run_that_cannot_be_read_fails_pushes_and_no_pulls(pushed: FlaskClient, driver: StorageDriver) -> None:
    driver.put(paths.GC_RUN, b"torn")

    assert put(pushed, IMAGE).status_code == 503

    assert pulls(pushed)
