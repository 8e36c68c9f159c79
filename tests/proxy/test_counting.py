"""What a server that caches tells in its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.content import image
from tests.serving import serving
from tests.upstreams import registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving import Serving


def value(server: Serving, name: str, **labels: str) -> float:
    answer = server.debug("/metrics").body.decode()
    samples = [each for family in text_string_to_metric_families(answer) for each in family.samples]
    found = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    assert found, name
    return sum(found)


@pytest.mark.parametrize("kind", ["proxy", "proxies"])
def test_a_server_counts_hits_misses_and_what_it_asks_upstreams(tmp_path: Path, kind: str) -> None:
    with registry() as remote:
        digest = remote.put_blob("app", b"a layer")
        remote.put_manifest("app", image(b"{}"), "v1")
        section = {"remoteurl": remote.url} if kind == "proxy" else [{"name": "hub", "remoteurl": remote.url}]
        name, upstream = ("app", "proxy") if kind == "proxy" else ("hub/app", "hub")
        with serving(tmp_path, {kind: section}) as server:
            for total in ("requests", "hits", "misses", "pulled_bytes", "pushed_bytes"):
                assert value(server, f"registry_proxy_{total}_total", type="blob") == 0

            for _ in range(3):
                assert server.get(f"/v2/{name}/blobs/{digest}").body == b"a layer"
                assert server.get(f"/v2/{name}/manifests/v1").status == 200

            assert value(server, "registry_proxy_requests_total", type="blob") == 3
            assert value(server, "registry_proxy_hits_total", type="blob") == 2
            assert value(server, "registry_proxy_misses_total", type="blob") == 1
            assert value(server, "registry_proxy_misses_total", type="manifest") == 1
            assert value(server, "registry_proxy_pulled_bytes_total", type="blob") == len(b"a layer")
            assert value(server, "registry_proxy_pushed_bytes_total", type="blob") == 3 * len(b"a layer")
            assert value(server, "registry_proxy_upstream_requests_total", upstream=upstream, code="200") >= 2
            assert value(server, "registry_proxy_fills_total", upstream=upstream, outcome="stored") == 1
            assert value(server, "registry_proxy_fills_in_flight", upstream=upstream) == 0
