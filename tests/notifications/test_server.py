"""What a server tells its endpoints of what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import Api, digest_of
from tests.notifications.receiver import Receiver, receiving
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def overlay(*receivers: Receiver, **keys: Any) -> dict[str, Any]:
    quick = {"backoff": "50ms", "maxbackoff": "100ms", "threshold": 1, **keys}
    return {
        "notifications": {
            "endpoints": [{"name": f"e{n}", "url": each.url(), **quick} for n, each in enumerate(receivers)]
        }
    }


def push(server: Serving, tag: str, repository: str = "team/app") -> None:
    assert Api("127.0.0.1", server.port).put_manifest(repository, tag, MANIFEST, INDEX_TYPE).status == 201


def test_a_push_and_a_deletion_are_told_of(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, overlay(receiver)) as server:
        api = Api("127.0.0.1", server.port)
        api.push_blob("team/app", b"x" * 100)
        push(server, "v1")
        api.request("DELETE", f"/v2/team/app/manifests/{digest_of(MANIFEST)}")
        wait_until("all are told", lambda: len(receiver.taken) == 4)

    blob, manifest, deleted, untagged = receiver.taken
    assert (blob["action"], blob["target"]["size"]) == ("push", 100)
    assert (manifest["action"], manifest["target"]["tag"], manifest["target"]["mediaType"]) == (
        "push",
        "v1",
        INDEX_TYPE,
    )
    assert manifest["target"]["url"].endswith(f"/v2/team/app/manifests/{digest_of(MANIFEST)}")
    assert manifest["request"]["method"] == "PUT"
    assert manifest["source"]["addr"].endswith(f":{server.port}")
    assert (deleted["action"], deleted["target"]["digest"]) == ("delete", digest_of(MANIFEST))
    assert (untagged["action"], untagged["target"]["tag"]) == ("delete", "v1")
    assert f"configuring endpoint e0 ({receiver.url()})" in server.log()
