"""What the Go registry has taken is served by ours from the same tree, and nothing that it leads to is deleted."""

from __future__ import annotations

import json
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.api import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of
from tests.integration.compat.seeding import CONFIG, DOCKER_IMAGE, LAYER, OCI_IMAGE, OCI_IMAGE_INDEX
from tests.integration.servers import clean_environment, configuration, ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour

pytestmark = pytest.mark.timeout(120)

IMAGE = json.loads(OCI_IMAGE)
(OCI_LAYER,) = IMAGE["layers"]
SECOND = b"what only the second list of layers names"
SECOND_LAYER = {**OCI_LAYER, "digest": digest_of(SECOND), "size": len(SECOND)}
DEEP = b"[" * 3000 + b"]" * 3000


def image(**fields: Any) -> bytes:
    return json.dumps({**IMAGE, **fields}).encode()


def with_members(content: bytes, members: bytes) -> bytes:
    return content.rstrip()[:-1] + b"," + members + b"}"


TAKEN = {
    "null-artifact-type": (OCI_MANIFEST, image(artifactType=None)),
    "null-media-type": (OCI_MANIFEST, image(mediaType=None)),
    "null-layer-type": (OCI_MANIFEST, image(layers=[{**OCI_LAYER, "mediaType": None}])),
    "null-size": (OCI_MANIFEST, image(config={**IMAGE["config"], "size": None})),
    "negative-size": (OCI_MANIFEST, image(config={**IMAGE["config"], "size": -1})),
    "null-annotation": (OCI_MANIFEST, image(annotations={"a": None, "b": "c"})),
    "latin-1": (OCI_MANIFEST, image(annotations={"a": "X"}).replace(b'"X"', b'"\xe9"')),
    "empty-subject": (OCI_MANIFEST, image(subject={})),
    "wrong-subject": (OCI_MANIFEST, image(subject=5, blobs="x")),
    "subject": (OCI_MANIFEST, image(subject={"digest": digest_of(OCI_IMAGE), "size": -1}, annotations={"a": None})),
    "schema-version": (OCI_MANIFEST, OCI_IMAGE.replace(b"schemaVersion", b"SchemaVersion")),
    "capitals": (DOCKER_MANIFEST, DOCKER_IMAGE.replace(b"mediaType", b"MEDIATYPE").replace(b"digest", b"Digest")),
    "layers-twice": (OCI_MANIFEST, with_members(OCI_IMAGE, b'"Layers":[%b]' % json.dumps(SECOND_LAYER).encode())),
    "layers-taken-back": (OCI_MANIFEST, with_members(OCI_IMAGE, b'"LAYERS":null')),
    "long-s": (OCI_MANIFEST, with_members(OCI_IMAGE, '"layer\u017f":[]'.encode())),
    "deep": (OCI_MANIFEST, with_members(OCI_IMAGE, b'"a":' + DEEP)),
    "long-number": (OCI_MANIFEST, with_members(OCI_IMAGE, b'"a":' + b"9" * 9000)),
    "index-twice": (OCI_INDEX, with_members(OCI_IMAGE_INDEX, b'"manifests":null,"Manifests":[]')),
}  # fmt: skip


def registry(root: Path, *arguments: str) -> str:
    """Run a command of ours, whose configuration follows its arguments, on the tree at `root`; give what it says."""
    config = root.with_suffix(".yml")
    config.write_text(yaml.safe_dump(configuration(root, 1, "secret")))
    command = [ours().command[0], *(str(config) if each == "CONFIG" else each for each in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_the_go_registry_took_is_served_kept_and_carried_away(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    root = tmp_path / "shared"
    theirs = start_server(go_registry, root=root)
    for blob in (CONFIG, LAYER, SECOND):
        theirs.api.push_blob("a", blob)
    assert theirs.api.put_manifest("a", "image", OCI_IMAGE).status == 201
    for tag, (media_type, content) in TAKEN.items():
        answer = theirs.api.put_manifest("a", tag, content, media_type)
        assert answer.status == 201, (tag, answer.body)
    served = {tag: theirs.api.manifest("a", tag) for tag in TAKEN}
    assert {tag for tag, answer in served.items() if answer.status != 200} == set()
    theirs.stop_cleanly()

    registry(root, "garbage-collect", "--grace=0s", "--delete-untagged", "CONFIG")
    rebuilt = registry(root, "referrers", "rebuild", "CONFIG")
    registry(root, "export", "--config", "CONFIG", "a", str(tmp_path / "a.tar"))

    assert rebuilt.startswith("1 referrers")
    mine = start_server(ours(), root=root)
    for tag, (_, content) in TAKEN.items():
        for answer in (mine.api.manifest("a", tag), mine.api.manifest("a", digest_of(content))):
            assert (answer.status, answer.body) == (200, content), tag
            assert answer.headers["Content-Type"] == served[tag].headers["Content-Type"], tag
            assert answer.digest == digest_of(content)
        assert mine.api.head(f"/v2/a/manifests/{tag}").status == 200
    assert {*mine.api.get("/v2/a/tags/list").json()["tags"]} == {"image", *TAKEN}
    (listed,) = mine.api.get(f"/v2/a/referrers/{digest_of(OCI_IMAGE)}").json()["manifests"]
    assert (listed["digest"], listed["annotations"]) == (digest_of(TAKEN["subject"][1]), {"a": ""})
    for blob in (CONFIG, LAYER, SECOND):
        assert mine.api.blob("a", digest_of(blob)).body == blob
    with tarfile.open(tmp_path / "a.tar") as archive:
        names = set(archive.getnames())
    for content in (CONFIG, LAYER, SECOND, *(content for _, content in TAKEN.values())):
        assert f"blobs/{digest_of(content).replace(':', '/')}" in names
