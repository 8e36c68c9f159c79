from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from registry.observation.lines import spell
from registry.observation.tracing import exporter_of
from tests.integration.api import Api, digest_of, with_digest
from tests.serving import Serving, free_port, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
JSON_LOG = {"log": {"formatter": "json"}, "http": {"workers": 1}}


def lines(server: Serving, count: int) -> list[dict[str, Any]]:
    """Return the request lines, of which there will be `count`."""

    def found() -> list[dict[str, Any]]:
        parsed = [json.loads(line) for line in server.log().splitlines()]
        return [line for line in parsed if line["msg"].startswith("response completed")]

    wait_until(f"{count} lines", lambda: len(found()) == count)
    return found()


def test_request_is_one_line_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    with serving(tmp_path, JSON_LOG) as server:
        api = Api("127.0.0.1", server.port)
        digest = api.push_blob("team/app", b"x" * 5000)
        assert api.put_manifest("team/app", "v1", MANIFEST, INDEX_TYPE).status == 201
        assert server.get("/v2/team/app/manifests/v1", Referer="http://ui/", **{"User-Agent": "test/1"}).status == 200
        assert api.blob("team/app", digest).status == 200
        assert api.head("/v2/team/app/manifests/none").status == 404
        assert [server.get(path).status for path in ("/", "/healthz", "/readyz", "/v2/nonsense")] == [
            200,
            200,
            200,
            404,
        ]

        written = lines(server, 6)

    def line(method: str, variable: str) -> dict[str, Any]:
        (found,) = (each for each in written if each["http.request.method"] == method and f"vars.{variable}" in each)
        return found

    begun, pushed, tagged = line("POST", "name"), line("PUT", "uuid"), line("PUT", "reference")
    pulled, read, missed = line("GET", "reference"), line("GET", "digest"), line("HEAD", "reference")
    assert (begun["msg"], begun["level"], begun["http.response.status"]) == ("response completed", "info", 202)
    assert (pushed["http.request.read"], pushed["digest"]) == (5000, digest)
    assert re.fullmatch(r"[0-9a-f-]{36}", pushed["vars.uuid"])
    assert "_state=...&digest=sha256:" in pushed["http.request.uri"]
    assert (tagged["vars.name"], tagged["vars.reference"]) == ("team/app", "v1")
    assert tagged["digest"] == pulled["digest"] == digest_of(MANIFEST)
    assert (pulled["cache.hit"], pulled["http.response.written"]) == (True, len(MANIFEST))
    assert pulled["http.response.contenttype"] == INDEX_TYPE
    assert (pulled["http.request.referer"], pulled["http.request.useragent"]) == ("http://ui/", "test/1")
    assert pulled["http.request.remoteaddr"] == "127.0.0.1"
    assert pulled["http.request.host"] == f"127.0.0.1:{server.port}"
    for duration in (pulled["http.response.duration"], pulled["storage.duration"]):
        assert re.fullmatch(r"[0-9.]+(ms|µs)", duration)
    assert (read["http.response.written"], read["vars.digest"]) == (5000, digest)
    assert (missed["msg"], missed["level"]) == ("response completed with error", "info")
    assert (missed["err.code"], missed["err.message"]) == ("manifest unknown", "manifest unknown")
    assert missed["err.detail"] == "unknown tag=none"
    assert len({each["http.request.id"] for each in written}) == 6


def test_line_of_a_cached_repository_names_its_upstream(tmp_path: Path) -> None:
    proxies = {"proxies": [{"name": "hub", "remoteurl": f"http://127.0.0.1:{free_port()}"}]}
    with serving(tmp_path, {**JSON_LOG, **proxies}) as server:
        api = Api("127.0.0.1", server.port)
        assert api.head("/v2/hub/app/manifests/v1").status == 504
        assert api.head("/v2/own/app/manifests/v1").status == 404

        written = lines(server, 2)

    assert {line["vars.name"]: line.get("proxy.upstream") for line in written} == {"hub/app": "hub", "own/app": None}


def test_error_of_the_storage_is_an_error_in_the_log(tmp_path: Path) -> None:
    with serving(tmp_path, JSON_LOG) as server:
        link = tmp_path / "root/docker/registry/v2/repositories/a/_manifests/tags/v1/current/link"
        link.parent.mkdir(parents=True)
        link.symlink_to(link)
        assert server.get("/v2/a/manifests/v1").status == 500
        (line,) = lines(server, 1)
    assert (line["level"], line["err.code"]) == ("error", "unknown")


def test_level_above_info_writes_no_request_lines(tmp_path: Path) -> None:
    with serving(tmp_path, {"log": {"level": "error"}, "http": {"workers": 1, "debug": {"addr": ""}}}) as server:
        assert server.get("/v2/").status == 200
    assert server.log() == ""


def test_access_log_is_combined_and_counts_what_sendfile_sends(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"workers": 1}}) as server:
        digest = Api("127.0.0.1", server.port).push_blob("a", b"x" * 5000)
        assert server.get(f"/v2/a/blobs/{digest}", **{"User-Agent": 'a "b"'}).status == 200
        assert server.request("HEAD", f"/v2/a/blobs/{digest}").status == 200
        wait_until("they are written", lambda: server.stdout.read_text().count(digest) == 3)
    of_blob = [line for line in server.stdout.read_text().splitlines() if digest in line]
    (got,) = (line for line in of_blob if '"GET ' in line)
    (asked,) = (line for line in of_blob if '"HEAD ' in line)
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - \[[^]]+\] "GET /v2/a/blobs/{digest} HTTP/1\.1" 200 5000 "" "a \\"b\\""', got
    )
    assert '" 200 0 "' in asked


def test_no_secret_that_a_client_sends_or_gets_is_in_any_log(tmp_path: Path) -> None:
    password = "hunter2-hunter2"
    basic = "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
    with serving(tmp_path, {"log": {"level": "debug"}, "http": {"secret": "signing-secret-1"}}) as server:
        api = Api("127.0.0.1", server.port)
        location = api.begin_upload("a").location
        state = location.partition("_state=")[2]
        api.send_chunk(location, 0, b"x")
        api.send_chunk(location, 7, b"x")
        api.finish_upload(location, digest_of(b"y"), b"x")
        for headers in ({"Authorization": basic}, {"Authorization": "Bearer abcdefgh.ijkl"}, {"Referer": location}):
            assert server.request("GET", "/v2/", headers=headers).status == 200
            assert server.request("PUT", with_digest(location, "nonsense"), b"", headers).status == 400
        server.get(f"/v2/?token={password}")
        server.get(f"http://user:{password}@host/v2/")
    logged = server.log() + server.stdout.read_text()
    assert "_state=..." in logged
    for secret in (password, basic.partition(" ")[2], "abcdefgh.ijkl", state, state[:40], "signing-secret-1"):
        assert secret not in logged


def test_logs_name_the_client_that_a_trusted_proxy_tells(tmp_path: Path) -> None:
    trusting = {**JSON_LOG, "http": {"workers": 1, "trustedproxies": ["127.0.0.0/8", "10.0.0.0/8"]}}
    with serving(tmp_path, trusting) as server:
        chain = "192.0.2.9, 198.51.100.7, 10.0.0.2"
        assert server.get("/v2/", **{"X-Forwarded-For": chain}).status == 200
        assert server.get("/healthz", Forwarded='for="[2001:db8::7]:80"').status == 200
        (line,) = lines(server, 1)
    assert line["http.request.remoteaddr"] == "198.51.100.7"
    written = [each.partition(" - - ")[0] for each in server.stdout.read_text().splitlines()]
    assert {"198.51.100.7", "2001:db8::7"} <= set(written)


def test_logs_name_the_proxy_that_is_not_trusted_and_say_so_once(tmp_path: Path) -> None:
    with (
        serving(tmp_path, {**JSON_LOG, "http": {"workers": 3, "trustedproxies": []}}) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda number: server.get("/v2/", **{"X-Forwarded-For": f"198.51.100.{number}"}), range(48))
        assert {answer.status for answer in answers} == {200}
        found = lines(server, 48)
    assert {line["http.request.remoteaddr"] for line in found} == {"127.0.0.1"}
    assert "198.51.100." not in server.stdout.read_text()
    assert server.log().count("add it to http.trustedproxies") == 1


def test_spans_of_requests_and_storage_calls_go_to_the_exporter_that_is_configured(tmp_path: Path) -> None:
    parent = "0af7651916cd43dd8448eb211c80319c"
    environ = {"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serving(tmp_path, {"log": {"accesslog": {"disabled": True}}}, environ) as server:
        server.get("/v2/a/manifests/v1", traceparent=f"00-{parent}-b7ad6b7169203331-01")
        wait_until("the spans are there", lambda: "GET /v2/a/manifests/v1" in server.stdout.read_text())
    spans = json.loads(
        "[" + re.sub(r"^\}$", "},", server.stdout.read_text(), flags=re.MULTILINE).rstrip().rstrip(",") + "]"
    )
    by_name = {span["name"]: span for span in spans}
    request, storage = by_name["GET /v2/a/manifests/v1"], by_name["GetContent"]
    assert request["context"]["trace_id"] == storage["context"]["trace_id"] == f"0x{parent}"
    assert storage["parent_id"] == request["context"]["span_id"]
    assert request["attributes"]["http.response.status_code"] == 404
    assert request["resource"]["attributes"]["service.name"] == "distribution"


class Collector(BaseHTTPRequestHandler):
    """Takes traces by OTLP over HTTP, as protocol buffers."""

    spans: ClassVar[list[Span]]

    def do_POST(self) -> None:
        sent = ExportTraceServiceRequest()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent.ParseFromString(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        if self.path == "/v1/traces":
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_spans_reach_a_collector_by_otlp(tmp_path: Path) -> None:
    class Ours(Collector):
        spans: ClassVar[list[Span]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Ours) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{collector.server_port}"
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with serving(tmp_path, {"http": {"workers": 1}}, environ) as server:
            server.get("/v2/a/manifests/v1", Authorization="Bearer hunter2-hunter2")
            wait_until("both spans are there", lambda: {"GET /v2/a/manifests/v1", "GetContent"} <= names(Ours.spans))
        collector.shutdown()
    (request,) = (span for span in Ours.spans if span.name.startswith("GET "))
    storage = [span for span in Ours.spans if span.parent_span_id == request.span_id]
    assert "GetContent" in names(storage)
    assert {span.trace_id for span in storage} == {request.trace_id}
    assert "hunter2" not in str(Ours.spans)


def names(spans: Iterable[Span]) -> set[str]:
    return {span.name for span in spans}


def test_collector_that_is_away_stops_no_request(tmp_path: Path) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serving(tmp_path, {"http": {"workers": 1}}, environ) as server:
        for _ in range(20):
            assert server.get("/v2/").status == 200


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ""),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "otlp"),
    ],
)
def test_traces_are_off_unless_an_exporter_is_configured(environ: dict[str, str], exporter: str) -> None:
    assert exporter_of(environ) == exporter


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (1.5, "1.5s"), (0.0123, "12.3ms"), (0.00087, "870µs"), (75.25, "75.25s")]
)
def test_durations_are_spelled_as_in_go(seconds: float, text: str) -> None:
    assert spell(seconds) == text
