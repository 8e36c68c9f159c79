"""What requests cost at Google's and Microsoft's stores; tests/drivers/s3/test_costs.py counts Amazon's."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.drivers.stores import STORES, storage_of
from tests.integration.api import OCI_MANIFEST, OCTET_STREAM, digest_of
from tests.integration.servers import Server, ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.drivers.azure.server import AzureServer
    from tests.drivers.gcs.server import GcsServer

MIB = 1 << 20
TOTAL_OF_A_LISTING = 300


@pytest.fixture(params=[each for each in STORES if each.values != ("s3",)])
def cloud(request: pytest.FixtureRequest) -> GcsServer | AzureServer:
    """A store behind what counts its calls."""
    running: GcsServer | AzureServer = request.getfixturevalue(request.param)
    return running


def test_what_a_request_of_a_client_costs_at_the_store(cloud: GcsServer | AzureServer, tmp_path: Path) -> None:
    """The figures of docs/storage-drivers.md."""
    costs: dict[str, tuple[dict[str, int], int, int]] = {}
    traffic = cloud.proxy.traffic

    def counted(what: str, call: Callable[[], Any]) -> Any:
        traffic.reset()
        answer = call()
        costs[what] = dict(traffic.calls), traffic.sent, traffic.received
        return answer

    server = Server(ours(), tmp_path / "none", tmp_path, storage=storage_of(cloud, tmp_path.name)).start()
    try:
        api = server.api
        small, large = random.Random(1).randbytes(1000), random.Random(2).randbytes(20 * MIB)
        api.push_blob("cost/warm", b"warm")
        config = counted("blob of 1,000 bytes: POST, PUT", lambda: api.push_blob("cost/image", small))
        location = counted("blob of 20 MiB: POST", lambda: api.begin_upload("cost/image")).location
        headers = {"Content-Type": OCTET_STREAM}
        answer = counted("blob of 20 MiB: PATCH", lambda: api.request("PATCH", location, large, headers))
        layer = digest_of(large)
        counted("blob of 20 MiB: PUT", lambda: api.finish_upload(answer.location, layer))
        counted("HEAD of a blob", lambda: api.head(f"/v2/cost/image/blobs/{layer}"))
        counted("GET of a blob of 1,000 bytes", lambda: api.blob("cost/image", config))
        counted("GET of a blob of 20 MiB", lambda: api.blob("cost/image", layer))
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": "application/vnd.example", "digest": config, "size": len(small)},
                "layers": [{"mediaType": "application/vnd.example", "digest": layer, "size": len(large)}],
            }
        ).encode()
        counted("PUT of a manifest by tag", lambda: api.put_manifest("cost/image", "latest", manifest))
        counted("HEAD of a manifest by tag", lambda: api.head("/v2/cost/image/manifests/latest"))
        counted("GET of a manifest by tag", lambda: api.manifest("cost/image", "latest"))
        with ThreadPoolExecutor(8) as pool:
            tags = [f"v1.{number:03}-rc" for number in range(TOTAL_OF_A_LISTING)]
            list(pool.map(lambda tag: api.put_manifest("cost/image", tag, manifest), tags))
        counted("tag page, n=100", lambda: api.get("/v2/cost/image/tags/list?n=100"))
        page = counted("tag page, n=100, the next", lambda: api.get("/v2/cost/image/tags/list?n=100&last=v1.098-rc"))
        assert page.json()["tags"] == [tag for tag in tags if tag > "v1.098-rc"][:100]
        server.stop_cleanly()
    finally:
        if server.is_running():
            server.kill()

    for what, (calls, sent, received) in costs.items():
        print(f"| {what} | {sum(calls.values())} {calls} | {sent:,} | {received:,} |")
    assert sum(costs["HEAD of a blob"][0].values()) <= 2
    assert sum(costs["tag page, n=100"][0].values()) <= 6
