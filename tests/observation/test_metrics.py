from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry.observation.metrics import Slots, exposition
from tests.integration.api import Api, digest_of
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

OF_THE_GO_REGISTRY = {
    "registry_http_in_flight_requests": {"handler"},
    "registry_http_requests_total": {"code", "handler", "method"},
    "registry_http_request_duration_seconds": {"handler", "method"},
    "registry_http_request_size_bytes": {"handler"},
    "registry_http_response_size_bytes": {"handler"},
    "registry_storage_action_seconds": {"driver", "action"},
    "registry_storage_cache_requests_total": set(),
    "registry_storage_cache_hits_total": set(),
    "registry_storage_cache_errors_total": set(),
}
MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that has seen a push, a pull and some errors."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        api = Api("127.0.0.1", running.port)
        api.push_blob("team/app", b"x" * 5000)
        assert api.put_manifest("team/app", "latest", MANIFEST, INDEX_TYPE).status == 201
        for _ in range(10):
            assert api.manifest("team/app", "latest").status == 200
        assert api.blob("team/app", digest_of(b"x" * 5000)).status == 200
        assert api.head("/v2/team/app/manifests/none").status == 404
        assert running.get("/v2/").status == running.get("/v2/_catalog").status == 200
        assert running.get("/v2/team/app/tags/list").status == 200
        yield running


def scrape(server: Serving) -> dict[str, Metric]:
    answer = server.debug("/metrics")
    assert answer.status == 200
    return {metric.name: metric for metric in text_string_to_metric_families(answer.body.decode())}


def value(server: Serving, name: str, **labels: str) -> float:
    """Return the sum of the samples called `name` that have `labels`."""
    return sum(
        sample.value
        for metric in scrape(server).values()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.parametrize("name", OF_THE_GO_REGISTRY)
def test_metric_has_name_and_labels_of_the_go_registry(server: Serving, name: str) -> None:
    metric = scrape(server)[name.removesuffix("_total")]
    assert metric.samples
    for sample in metric.samples:
        assert set(sample.labels) - {"le"} == OF_THE_GO_REGISTRY[name]


def test_buckets_are_those_of_the_go_registry(server: Serving) -> None:
    def bounds(name: str) -> list[str]:
        samples = [each for each in scrape(server)[name].samples if each.name.endswith("_bucket")]
        first = {key: each for key, each in samples[0].labels.items() if key != "le"}
        return [each.labels["le"] for each in samples if first.items() <= each.labels.items()]

    seconds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"]
    assert bounds("registry_http_request_duration_seconds") == [*seconds, "25.0", "60.0", "+Inf"]
    assert bounds("registry_storage_action_seconds") == [*seconds, "+Inf"]
    assert [float(bound) for bound in bounds("registry_http_request_size_bytes")[:-1]] == [
        1024 * 2**power for power in range(22)
    ]


def test_requests_are_counted_by_handler_method_and_code(server: Serving) -> None:
    def requests(**labels: str) -> float:
        return value(server, "registry_http_requests_total", **labels)

    assert requests(handler="manifest", method="get", code="200") == 10
    assert requests(handler="manifest", method="head", code="404") == 1
    assert requests(handler="manifest", method="put", code="201") == 1
    assert requests(handler="blob_upload", method="post", code="202") == 1
    assert requests(handler="blob_upload_chunk", method="put", code="201") == 1
    assert requests(handler="base", code="200") == 1
    assert requests(handler="catalog") == requests(handler="tags") == requests(handler="blob") == 1
    assert value(server, "registry_http_in_flight_requests") == 0


def test_bytes_are_counted_in_and_out_also_those_that_sendfile_sends(server: Serving) -> None:
    assert value(server, "registry_http_received_bytes_total", handler="blob_upload_chunk") == 5000
    assert value(server, "registry_http_sent_bytes_total", handler="blob") == 5000
    assert value(server, "registry_http_request_size_bytes_sum", handler="manifest") == len(MANIFEST)


def test_cache_and_storage_are_counted(server: Serving) -> None:
    asked = value(server, "registry_storage_cache_requests_total")
    assert asked == 10
    assert asked - 2 <= value(server, "registry_storage_cache_hits_total") <= asked
    for action in ("GetContent", "PutContent", "Stat", "Move", "Writer", "List"):
        assert value(server, "registry_storage_action_seconds_count", driver="filesystem", action=action) > 0


def _is_idle(server: Serving, gauge: str) -> bool:
    return value(server, gauge) == 0


def test_saturation_of_the_workers_is_told(server: Serving) -> None:
    wait_until("both workers have told", lambda: value(server, "registry_worker_threads") > 32)
    assert value(server, "registry_workers") == 2
    for gauge in ("registry_worker_threads_busy", "registry_worker_connections"):
        wait_until(f"{gauge} is 0", partial(_is_idle, server, gauge))  # workers tell of themselves now and then
    assert value(server, "registry_uploads_in_flight") == 0


def test_no_series_belongs_to_a_repository(server: Serving) -> None:
    before = len(server.debug("/metrics").body.splitlines())
    for number in range(50):
        server.get(f"/v2/repository-{number}/tags/list")
    wait_until(
        "they are counted", lambda: value(server, "registry_http_requests_total", handler="tags", code="404") == 50
    )
    assert len(server.debug("/metrics").body.splitlines()) <= before + 1
    assert b"repository-" not in server.debug("/metrics").body
    assert b"team/app" not in server.debug("/metrics").body


def test_openmetrics_is_spoken_to_who_asks_for_it(server: Serving) -> None:
    assert server.debug("/metrics").headers["Content-Type"].startswith("text/plain; version=")


def test_path_is_the_configured_one_and_metrics_are_off_without_enabled(tmp_path: Path) -> None:
    overlay = {"http": {"debug": {"prometheus": {"enabled": True, "path": "/figures"}}, "workers": 1}}
    with serving(tmp_path, overlay) as running:
        assert (running.debug("/figures").status, running.debug("/metrics").status) == (200, 404)
    overlay = {"http": {"debug": {"prometheus": {"enabled": False}}, "workers": 1}}
    with serving(tmp_path, overlay) as running:
        assert running.debug("/metrics").status == 404


def test_counters_never_go_back_when_workers_die(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        for round_ in range(1, 4):
            for _ in range(20):
                assert running.get("/v2/").status == 200
            wait_until_requests_are(running, 20 * round_)
            kill_workers(running)
            wait_until_requests_are(running, 20 * round_)
            wait_until("both are counted", lambda: value(running, "registry_workers") == 2)


def wait_until_requests_are(server: Serving, count: int) -> None:
    wait_until(f"{count} requests", lambda: value(server, "registry_http_requests_total") == count)


def kill_workers(server: Serving) -> None:
    killed = server.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until("the workers are new", lambda: len(server.workers() - killed) == 2)


def test_a_file_that_a_worker_has_just_made_fails_no_page(tmp_path: Path) -> None:
    for name in ("counter_1.db", "histogram_1.db", "gauge_livesum_1.db"):
        (tmp_path / name).touch()

    content_type, page = exposition(str(tmp_path))("")

    assert content_type.startswith("text/plain")
    assert page == b""


def test_worker_takes_the_slot_that_was_left_and_finds_no_gauge_of_its_predecessor() -> None:
    slots = Slots()
    try:
        assert [slots.take(), slots.take(), slots.take()] == [0, 1, 2]
        files = [f"{slots.directory}/{name}" for name in ("counter_1.db", "gauge_livesum_1.db", "gauge_livesum_11.db")]
        for name in files:
            with open(name, "wb"):  # noqa: PTH123
                pass
        slots.leave(1)
        assert [os.path.exists(name) for name in files] == [True, False, True]  # noqa: PTH110
        assert [slots.take(), slots.take()] == [1, 3]
    finally:
        slots.remove()
    assert not os.path.exists(slots.directory)  # noqa: PTH110
