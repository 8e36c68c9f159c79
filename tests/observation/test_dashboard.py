from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.observation.observer import Observer
from registry.observation.record import RequestRecord

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy" / "grafana-dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
WORD = re.compile(r"(registry_[a-z_]+)(?:\{([^}]*)\})?")
BY = re.compile(r"by \(([^)]*)\)")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every series that a process shows once it has served a request."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  the variable comes first
    from prometheus_client.values import close_all_multiprocess_files  # noqa: PLC0415

    from registry.observation.metrics import Metrics, exposition  # noqa: PLC0415

    directory = str(tmp_path_factory.mktemp("metrics"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", directory)
        metrics = Metrics(directory, 0)
        observer = Observer(metrics)
        record = RequestRecord("manifest", "GET", {}, "")
        observer.begin(record, {"wsgi.input": None})
        observer.storage_called("filesystem", "GetContent", 0.1)
        metrics.storage_circuit("s3aws", is_open=True)
        observer.cache_asked(hit=True)
        metrics.certificate_served("/certs/domain.crt", datetime.now(UTC))
        metrics.job_ran("purge", failed=True)
        metrics.job_noted("purge", last_run=1.0, next_run=2.0)
        metrics.notifications_counted("ci", "Successes", 1)
        metrics.notifications_answered("ci", "200 OK")
        metrics.notifications_waiting("ci", 1)
        metrics.notifications_oldest("ci", 1.0)
        metrics.quota_stands("team/**", limit=2, used=1)
        metrics.quota_refused("team/**")
        metrics.collection_ended("done")
        metrics.collection_did(seconds=1.0, manifests=1, links=1, blobs=1, size=1)
        metrics.collection_noticed()
        metrics.collection_waited(1.0)
        metrics.retention_ended("done", 1)
        metrics.scrub_ended("clean")
        metrics.scrub_seen(1.0, 1)
        metrics.collection_seen(1.0, 1)
        metrics.cache_holds("hub", 1)
        metrics.cache_evicted("hub", 1)
        proxies = metrics.of_proxies(["hub"])
        proxies.asked("hub", "200", 0.1)
        proxies.limited("hub", 1)
        observer.redis_called("Stat", 0.1)
        observer.end(record, {}, status=500, sent=1)
        _, text = exposition(directory)("")
        close_all_multiprocess_files()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text.decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.mark.parametrize("query", QUERIES)
def test_query_of_the_dashboard_finds_its_series_and_labels(query: str, series: dict[str, set[str]]) -> None:
    given_by_prometheus = {"job", "instance"}
    names = WORD.findall(query)
    assert names
    grouped = {label.strip() for group in BY.findall(query) for label in group.split(",")}
    for name, selector in names:
        selected = {part.split("=")[0] for part in selector.split(",")}
        assert name in series
        assert (selected | grouped) - given_by_prometheus <= series[name]


def test_every_metric_is_on_the_dashboard(series: dict[str, set[str]]) -> None:
    shown = {name for query in QUERIES for name, _ in WORD.findall(query)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series}
    unshown = {name for name in families if not any(each.startswith(name) for each in shown)}
    assert unshown == set()
