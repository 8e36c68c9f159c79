"""A volume is taken over as it is: what the Go registry has served is served, whatever this one would let in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths
from registry.storage.repository import Repositories
from tests.content import LAYER_TYPE, descriptor, docker_image, image, index
from tests.handlers.pushing import push_blob

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from drivers.base import StorageDriver

IMAGE = json.loads(image(b"{}", b"layer"))
LAYER = IMAGE["layers"][0]
SUBJECT = image(b"{}")
SIGNATURE: dict[str, Any] = {**IMAGE, "subject": descriptor(SUBJECT, media_types.OCI_MANIFEST)}
PRETTY_JWS = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def document(**fields: Any) -> bytes:
    return json.dumps({**IMAGE, **fields}).encode()


STORED = {
    "artifactType null": (document(artifactType=None), media_types.OCI_MANIFEST),
    "mediaType null": (document(mediaType=None), media_types.OCI_MANIFEST),
    "mediaType of a layer null": (document(layers=[{**LAYER, "mediaType": None}]), media_types.OCI_MANIFEST),
    "size null": (document(layers=[{**LAYER, "size": None}]), media_types.OCI_MANIFEST),
    "size -1": (document(layers=[{**LAYER, "size": -1}]), media_types.OCI_MANIFEST),
    "annotation null": (document(annotations={"a": None}), media_types.OCI_MANIFEST),
    "annotation in Latin-1": (document(annotations={"a": "X"}).replace(b"X", b"\xe9"), media_types.OCI_MANIFEST),
    "subject without a digest": (document(subject={}), media_types.OCI_MANIFEST),
    "subject of another type": (document(subject=5), media_types.OCI_MANIFEST),
    "SchemaVersion": (image().replace(b"schemaVersion", b"SchemaVersion"), media_types.OCI_MANIFEST),
    "keys in capitals": (docker_image().replace(b"mediaType", b"MEDIATYPE"), media_types.DOCKER_MANIFEST),
    "layers twice": (image()[:-1] + b', "layers": []}', media_types.OCI_MANIFEST),
    "mediaType twice": (b'{"mediaType": "x", ' + index()[1:], media_types.OCI_INDEX),
    "an index without a type": (b'{"schemaVersion": 2, "Manifests": [], "manifests": []}', media_types.OCI_INDEX),
    "an index whose list is taken back": (
        b'{"schemaVersion": 2, "manifests": [], "MANIFESTS": null, "config": {}}',
        media_types.OCI_MANIFEST,
    ),
    "nested 5000 deep": (
        image()[:-1] + b', "a": %b, "layers": null}' % (b'{"]":[' * 5000 + b"]}" * 5000),
        media_types.OCI_MANIFEST,
    ),
    "a number of 5000 digits": (image()[:-1] + b', "a": %b}' % (b"9" * 5000), media_types.OCI_MANIFEST),
    "many values": (image()[:-1] + b', "a": [%b]}' % b",".join([b"0"] * 200_000), media_types.OCI_MANIFEST),
    "schema 1": (b'{"schemaVersion": 1, "name": "a", "fsLayers": [], "signatures": []}', PRETTY_JWS),
}


def store(driver: StorageDriver, content: bytes, tag: str) -> Digest:
    """Store a manifest as the Go registry does."""
    digest = Digest.of(content)
    driver.put(paths.blob_data(digest), content)
    for link in (paths.revision_link("a", digest), paths.tag_history_link("a", tag, digest), paths.tag_link("a", tag)):
        driver.put(link, str(digest).encode())
    return digest


@pytest.mark.parametrize("name", STORED)
def test_a_stored_manifest_is_served_as_it_is_with_the_type_that_clients_know(
    client: FlaskClient, driver: StorageDriver, name: str
) -> None:
    content, media_type = STORED[name]
    digest = store(driver, content, "v1")

    for reference in ("v1", str(digest), "v1"):
        for answer in (client.get(f"/v2/a/manifests/{reference}"), client.head(f"/v2/a/manifests/{reference}")):
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
            assert answer.headers["Docker-Content-Digest"] == str(digest)
            assert answer.headers["Content-Length"] == str(len(content))
        assert client.get(f"/v2/a/manifests/{reference}").data == content
    assert client.get("/v2/a/tags/list").json == {"name": "a", "tags": ["v1"]}
    assert client.delete(f"/v2/a/manifests/{digest}").status_code == 202
    assert client.get("/v2/a/manifests/v1").status_code == 404


@pytest.mark.parametrize("content", [b"", b"[]", b"nonsense", b"{", b"\xff", b'{"a": NaN}', b'{"schemaVersion": 2,}'])
def test_what_is_stored_and_is_not_a_json_object_is_no_manifest(
    client: FlaskClient, driver: StorageDriver, content: bytes
) -> None:
    digest = store(driver, content, "v1")

    for reference in ("v1", str(digest)):
        assert client.get(f"/v2/a/manifests/{reference}").status_code == 404


def test_a_stored_type_that_a_browser_would_run_is_not_sent(client: FlaskClient, driver: StorageDriver) -> None:
    store(driver, document(mediaType="text/html"), "v1")

    assert client.get("/v2/a/manifests/v1").headers["Content-Type"] == media_types.OCI_MANIFEST


@pytest.mark.parametrize(
    ("fields", "listed"),
    [
        ({"artifactType": None}, {"artifactType": media_types.OCI_CONFIG}),
        ({"annotations": {"a": None, "b": "c"}}, {"annotations": {"a": "", "b": "c"}}),
        ({"annotations": {"a": "\udce9"}}, {"annotations": {"a": "\ufffd"}}),
        (
            {"layers": [{**LAYER, "size": -1}], "artifactType": "application/x.sig"},
            {"artifactType": "application/x.sig"},
        ),
    ],
    ids=repr,
)
def test_a_stored_referrer_is_listed_after_a_rebuild(
    client: FlaskClient, driver: StorageDriver, fields: dict[str, Any], listed: dict[str, Any]
) -> None:
    content = json.dumps({**SIGNATURE, **fields}, ensure_ascii=False).encode("utf-8", "surrogateescape")
    digest = store(driver, content, "v1")

    assert list(Repositories(driver).rebuild_referrers()) == [("a", 1)]

    answer = client.get(f"/v2/a/referrers/{Digest.of(SUBJECT)}").json
    assert answer
    [found] = answer["manifests"]
    assert (found["digest"], found["size"]) == (str(digest), len(content))
    assert found == {**found, **listed}


def test_an_image_whose_optional_members_are_null_may_be_pushed(client: FlaskClient) -> None:
    """As the .NET SDK does."""
    for blob in (b"{}", b"layer"):
        push_blob(client, "a", blob)
    layer = {**descriptor(b"layer", LAYER_TYPE), "urls": None, "annotations": None, "platform": None}
    content = document(artifactType=None, subject=None, annotations=None, layers=[layer])

    answer = client.put("/v2/a/manifests/v1", data=content, content_type=media_types.OCI_MANIFEST)

    assert answer.status_code == 201
    assert client.get("/v2/a/manifests/v1").data == content


def test_a_layer_hidden_beside_an_empty_list_is_refused(client: FlaskClient, driver: StorageDriver) -> None:
    push_blob(client, "a", b"{}")
    hidden = b', "Layers": [%b]}' % json.dumps(descriptor(b"x", LAYER_TYPE, urls=["https://evil.example/"])).encode()

    answer = client.put("/v2/a/manifests/v1", data=image()[:-1] + hidden, content_type=media_types.OCI_MANIFEST)

    assert answer.status_code == 400
    assert answer.json
    assert answer.json["errors"][0]["code"] == "MANIFEST_INVALID"
    assert "layers more than once" in answer.json["errors"][0]["message"]
    assert not Repositories(driver).open("a").manifests.has(Digest.of(image()[:-1] + hidden))


def test_a_layer_under_a_key_in_another_case_must_be_there_and_obeys_the_policy(client: FlaskClient) -> None:
    push_blob(client, "a", b"{}")
    for layer, code in (
        (descriptor(b"absent", LAYER_TYPE), "MANIFEST_BLOB_UNKNOWN"),
        (descriptor(b"{}", LAYER_TYPE.upper(), URLS=["https://evil.example/"]), "MANIFEST_INVALID"),
    ):
        content = json.dumps({**json.loads(image()), "layers": [layer]}).replace('"layers"', '"Layers"')
        answer = client.put("/v2/a/manifests/v1", data=content, content_type=media_types.OCI_MANIFEST)

        assert answer.json
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (400, code)
