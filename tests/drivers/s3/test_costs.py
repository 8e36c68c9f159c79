"""What each request of a client costs in calls and bytes to the bucket, counted; the documentation has the table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.storage import paths, runs
from registry.storage.runs import Pace, Phase, Run, Runs
from tests.content import image

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from drivers.s3.driver import S3Driver
from tests.drivers.log_conformance import HOUR_SECONDS, Clock
from tests.drivers.s3.strict import StrictS3

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient

    from tests.conftest import Serve

MIB = 1024 * 1024
DOCUMENT = Path(__file__).parents[3] / "docs" / "storage-drivers.md"
SHORT = {
    "CreateMultipartUpload": "create",
    "UploadPartCopy": "part copy",
    "CompleteMultipartUpload": "complete",
    "UploadPart": "part",
    "PutObject": "PUT",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "CopyObject": "copy",
    "DeleteObject": "delete",
    "DeleteObjects": "delete",
    "ListObjectsV2": "list",
}


class _Meter:
    """Does things and notes what they cost."""

    def __init__(self, server: StrictS3) -> None:
        self._server = server
        self.rows: list[str] = []
        server.before = self._leave_out_what_depends_on_the_time

    def _leave_out_what_depends_on_the_time(self, operation: str, key: str) -> None:
        """Do not count that a process asks once in a while whether a garbage collection is on."""
        if f"/{key}" == paths.GC_RUN:
            self._server.calls[operation] -= 1

    def reset(self) -> None:
        self._server.calls.clear()
        self._server.received = self._server.sent = 0

    def note(self, title: str) -> None:
        counted: dict[str, int] = {}
        for operation, number in (+self._server.calls).items():
            counted[SHORT[operation]] = counted.get(SHORT[operation], 0) + number
        calls = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
        row = f"| {title} | {sum(counted.values())}: {calls or 'none'} "
        self.rows.append(row + f"| {_size(self._server.received)} | {_size(self._server.sent)} |")
        self.reset()


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count > MIB // 10 else f"{round(count / 1024)} KiB"


def driver_of(server: StrictS3) -> S3Driver:
    return S3Driver.from_parameters(
        {
            "bucket": "b",
            "regionendpoint": server.endpoint,
            "forcepathstyle": True,
            "accesskey": "a",
            "secretkey": "s",
        }
    )


def push(client: FlaskClient, content: bytes, *, streamed: bool) -> None:
    location = client.post("/v2/a/b/blobs/uploads/").headers["Location"]
    digest = str(Digest.of(content))
    if streamed:
        location = client.patch(location, data=content).headers["Location"]
        content = b""
    assert client.put(f"{location}&digest={digest}", data=content).status_code == 201


def note_what_is_remembered(serve: Serve, driver: S3Driver, meter: _Meter, digest: Digest) -> None:
    streaming, redirecting = (
        serve(driver, storage={"cache": {"blobdescriptor": "inmemory"}, "redirect": {"disable": disable}})
        for disable in (True, False)
    )
    path = f"/v2/a/b/blobs/{digest}"
    assert streaming.head(path).status_code == redirecting.head(path).status_code == 200
    meter.reset()
    assert streaming.head(path).status_code == 200
    meter.note("HEAD a blob, its size remembered")
    assert Digest.of(streaming.get(path).data) == digest
    meter.note("GET a layer of 8 MiB, streamed, its size remembered")
    assert redirecting.get(path).status_code == 307
    meter.note("GET a layer of any size, redirected, its size remembered")


def note_logs(driver: S3Driver, meter: _Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    clock.advance(HOUR_SECONDS / 2 - clock.now() / 1e9 % HOUR_SECONDS)  # the hour before is looked at for 15 minutes
    log = driver.log("/registry/log")
    log.append(b"x" * 500)
    meter.note("append a record of 500 bytes to a log")
    page = log.after("", before_ns=clock.now(), limit=100)
    assert len(page.records) == 1
    meter.note("read it, the first time")
    assert log.after(page.position, before_ns=clock.now(), limit=100).records == []
    meter.note("look for more in vain")


def note_claims(driver: S3Driver, meter: _Meter) -> None:
    claim = driver.claim("/registry/claim")
    assert claim
    meter.note("claim what nobody has")
    assert driver.claim("/registry/claim") is None
    meter.note("claim what another has")
    claim.release()
    meter.note("release it")


def note_reading_along(driver: S3Driver, meter: _Meter) -> None:
    driver.create_upload("/registry/data")
    with driver.open_upload("/registry/data") as writer:
        writer.write(bytes(32 * MIB))
        while not driver._uploads.size("registry/data"):
            writer.flush()
        meter.reset()
        assert sum(map(len, driver.read_upload("/registry/data", 16 * MIB))) == 16 * MIB
        meter.note("read along with an upload, from a byte of its last part on")
        writer.cancel()
    driver.put("/registry/link", b"sha256:" + 64 * b"0")
    meter.reset()
    driver.touch("/registry/link")
    meter.note("touch a link")


def note_what_hosts_share(driver: S3Driver, meter: _Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    note_logs(driver, meter, monkeypatch)
    note_claims(driver, meter)
    note_reading_along(driver, meter)


def note_walks(server: StrictS3, driver: S3Driver, meter: _Meter) -> None:
    for number in range(10_000):
        server._store(f"docker/walked/{number:05}/link", b"x")
    found = list(driver.walk("/docker/walked"))
    meter.note("look at 10,000 objects")
    assert driver.scan("/docker/walked", after=found[4999].path, limit=1000) == found[5000:6000]
    meter.note("look at 1,000 in the middle of them")
    assert driver.discard(found[:1000]) == []
    meter.note("delete 1,000 of them that lie side by side, if they are unchanged")
    assert driver.discard(found[1000::9]) == []
    meter.note("delete 1,000 that are spread over all")


def test_the_table_in_the_documentation_is_what_the_driver_does(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    config, layer, large = b"{}" * 500, bytes(8 * MIB), bytes(100 * MIB)
    manifest = image(config, layer)
    with StrictS3() as server:
        driver = driver_of(server)
        client, redirecting = serve(driver), serve(driver, storage={"redirect": {}})
        meter = _Meter(server)
        push(client, config, streamed=False)
        meter.note("push a config of 1 KB: POST, PUT")
        push(client, config + b" ", streamed=True)
        meter.note("the same as docker does: POST, PATCH, PUT")
        push(client, layer, streamed=False)
        meter.note("push a layer of 8 MiB: POST, PUT")
        push(client, layer + b"x", streamed=True)
        meter.note("the same as docker does: POST, PATCH, PUT")
        push(client, large, streamed=True)
        meter.note("push a layer of 100 MiB: POST, PATCH, PUT")
        digest = str(Digest.of(layer))
        assert client.head(f"/v2/a/b/blobs/{digest}").status_code == 200
        meter.note("HEAD a blob")
        assert client.head(f"/v2/a/b/blobs/{Digest.of(b'not there')}").status_code == 404
        meter.note("HEAD a blob that is not there")
        assert client.get(f"/v2/a/b/blobs/{digest}").data == layer
        meter.note("GET a layer of 8 MiB, streamed")
        assert redirecting.get(f"/v2/a/b/blobs/{digest}").status_code == 307
        meter.note("GET a layer of any size, redirected")
        note_what_is_remembered(serve, driver, meter, Digest.of(layer))
        answer = client.put("/v2/a/b/manifests/latest", data=manifest, content_type=media_types.OCI_MANIFEST)
        assert answer.status_code == 201
        meter.note("PUT a manifest by tag")
        other = serve(driver)
        accept = {"Accept": media_types.OCI_MANIFEST}
        assert other.get("/v2/a/b/manifests/latest", headers=accept).status_code == 200
        meter.note("GET a manifest by tag, the first time in a process")
        assert other.get("/v2/a/b/manifests/latest", headers=accept).status_code == 200
        meter.note("GET a manifest by tag, later")
        assert other.head("/v2/a/b/manifests/latest", headers=accept).status_code == 200
        meter.note("HEAD a manifest by tag")
        for number in range(1000):
            path = f"docker/registry/v2/repositories/a/b/_manifests/tags/1.{number}-slim/current/link"
            server.objects[path] = b"x"
        assert len(client.get("/v2/a/b/tags/list?n=100").json["tags"]) == 100  # type: ignore[index]
        meter.note("a page of 100 tags of 1,000")
        assert client.get("/v2/_catalog?n=100").json == {"repositories": ["a/b"]}
        meter.note("the catalog of one repository a/b")
        assert client.delete("/v2/a/b/manifests/latest").status_code == 202
        meter.note("DELETE a tag")
        note_what_hosts_share(driver, meter, monkeypatch)
        note_walks(server, driver, meter)

    print("\n".join(meter.rows))
    missing = [row for row in meter.rows if row not in DOCUMENT.read_text()]
    assert missing == []


def counted(server: StrictS3, do: Callable[[], object]) -> dict[str, int]:
    """Give how many calls of each kind it takes."""
    server.calls.clear()
    do()
    return {SHORT[operation]: number for operation, number in (+server.calls).items()}


def requests_of(client: FlaskClient, tag: str) -> dict[str, Callable[[], object]]:
    """Give a request of each kind, whose content no other `tag` has."""
    config, layer = f'{{"tag": "{tag}"}}'.encode(), tag.encode() * 1000
    manifest, digest = image(config, layer), Digest.of(layer)
    asked = f"/v2/a/b/manifests/{tag}"
    headers = {"Content-Type": media_types.OCI_MANIFEST}
    return {
        "push of a config": lambda: push(client, config, streamed=False),
        "push of a layer": lambda: push(client, layer, streamed=True),
        "mount": lambda: client.post(f"/v2/a/other/blobs/uploads/?mount={digest}&from=a/b"),
        "push of a manifest": lambda: client.put(asked, data=manifest, headers=headers),
        "HEAD of a blob": lambda: client.head(f"/v2/a/b/blobs/{digest}"),
        "GET of a blob": lambda: client.get(f"/v2/a/b/blobs/{digest}"),
        "HEAD of a manifest": lambda: client.head(asked),
        "GET of a manifest": lambda: client.get(asked),
        "list of tags": lambda: client.get("/v2/a/b/tags/list"),
    }


def test_while_garbage_is_collected_a_push_asks_for_four_calls_more_and_a_pull_for_none(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PACE", Pace(cached=float("inf")))  # however long this takes, no run has begun meanwhile
    with StrictS3() as server:
        driver = driver_of(server)
        client = serve(driver)
        push(client, b"the first thing that a process does", streamed=False)
        idle = {what: counted(server, do) for what, do in requests_of(client, "idle").items()}
        Runs(driver).write(Run(1, Phase.MARKING))
        busy = serve(driver)
        during = {what: counted(server, do) for what, do in requests_of(busy, "busy").items()}

    more = {what: Counter(calls) - Counter(idle[what]) for what, calls in during.items()}
    for what in ("push of a config", "push of a layer", "mount", "push of a manifest"):
        assert more.pop(what) == {"PUT": 1, "GET": 3}, what
    assert not any(more.values()), more


def asked_of_extension(tag: str) -> dict[str, str]:
    """Give what is asked for below ``_registry/``, of a repository a/b with 100 tags that lead to one image."""
    return {
        "a level of the tree": "/v2/_registry/tree",
        "a search without an index": "/v2/_registry/search/repositories?q=b",
        "a page of 50 tags": "/v2/a/b/_registry/tags/list?n=50",
        "a manifest": f"/v2/a/b/_registry/manifests/details?reference={tag}",
        "what refers to it": f"/v2/a/b/_registry/referrers/tree?digest={Digest.of(image(b'{}', b'layer'))}",
    }


def test_what_each_question_to_the_extension_costs(serve: Serve) -> None:
    with StrictS3() as server:
        driver = driver_of(server)
        client = serve(driver, http={"secret": "a secret", "extensions": {"enabled": True}})
        for content in (b"{}", b"layer"):
            push(client, content, streamed=False)
        manifest = image(b"{}", b"layer")
        headers = {"Content-Type": media_types.OCI_MANIFEST}
        for number in range(100):
            assert client.put(f"/v2/a/b/manifests/{number:03}", data=manifest, headers=headers).status_code == 201
        for number in range(100):
            server._store(f"docker/registry/v2/repositories/a/more/{number}/_manifests/tags/v1/current/link", b"x")
        asking = serve(driver, http={"secret": "a secret", "extensions": {"enabled": True}})
        _Meter(server)  # leaves out what depends on the time
        costs = {
            what: counted(server, lambda path=path: asking.get(path))  # type: ignore[misc]
            for what, path in asked_of_extension("000").items()
        }
        body = {"from": "a/b:000", "tag": "000"}
        costs["a copy"] = counted(server, lambda: asking.post("/v2/c/d/_registry/tags/copy", json=body))
        costs["another tag"] = counted(
            server, lambda: asking.post("/v2/c/d/_registry/tags/copy", json=body | {"tag": "2"})
        )

    page = costs.pop("a page of 50 tags")
    assert page["list"] <= 2
    assert page["GET"] + page.get("HEAD", 0) <= 105
    assert costs == {
        "a level of the tree": {"list": 5},
        "a search without an index": {"list": 205},  # two for each of 101 repositories
        "a manifest": {"GET": 4, "HEAD": 2},
        "what refers to it": {"GET": 4, "list": 2},
        "a copy": {"GET": 13, "HEAD": 6, "PUT": 6},
        "another tag": {"GET": 11, "HEAD": 4, "PUT": 4},
    }
