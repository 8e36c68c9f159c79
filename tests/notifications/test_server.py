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


def test_pulls_are_told_of_as_the_go_registry_tells_of_them(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, overlay(receiver, ignore={"actions": ["push"]})) as server:
        api = Api("127.0.0.1", server.port)
        digest = api.push_blob("team/app", b"x" * 100)
        push(server, "v1")
        manifest, blob = "/v2/team/app/manifests", f"/v2/team/app/blobs/{digest}"
        asked = [
            ("GET", f"{manifest}/v1", {}, 200),
            ("HEAD", f"{manifest}/{digest_of(MANIFEST)}", {}, 200),
            ("GET", f"{manifest}/v1", {"If-None-Match": f'"{digest_of(MANIFEST)}"'}, 304),
            ("GET", f"{manifest}/unknown", {}, 404),
            ("GET", blob, {}, 200),
            ("HEAD", blob, {"User-Agent": "a client", "X-Forwarded-For": "192.0.2.1"}, 200),
            ("GET", blob, {"Range": "bytes=0-9"}, 206),
            ("GET", blob, {"If-None-Match": f'"{digest}"'}, 304),
            ("GET", blob, {"Range": "bytes=1000-"}, 416),
            ("GET", f"{blob[:-4]}0000", {}, 404),
        ]
        for method, path, headers, status in asked:
            assert api.request(method, path, headers=headers).status == status
        wait_until("all are told", lambda: len(receiver.taken) == 7)

    told = receiver.taken
    # Each of the two workers tells its own.
    assert sorted((each["request"]["method"], each["target"].get("tag", "")) for each in told) == sorted(
        [("GET", "v1"), ("HEAD", ""), ("GET", ""), ("HEAD", ""), ("GET", ""), ("GET", ""), ("GET", "")]
    )
    blobs = [each for each in told if each["target"]["mediaType"] == "application/octet-stream"]
    assert [(each["target"]["digest"], each["target"]["size"]) for each in blobs] == [(digest, 100)] * 5
    assert {each["action"] for each in told} == {"pull"}
    assert {each["source"]["instanceID"] for each in told} == {told[0]["source"]["instanceID"]}
    (head,) = [each for each in blobs if each["request"]["method"] == "HEAD"]
    assert (head["request"]["useragent"], head["request"]["addr"]) == ("a client", "192.0.2.1")
    assert head["target"]["url"] == f"{server.url}{blob}"
