"""What a server says of itself while it starts, reads its configuration again, and stops."""

from __future__ import annotations

import http.client
import re
import signal
from typing import TYPE_CHECKING, Any

import yaml

from registry.oci.digest import Digest
from tests.serving import SECONDS, Serving, serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

LAYER = b"layer" * 1000


def said(server: Serving) -> list[str]:
    """Return the messages of the log, without those of requests and jobs."""
    messages = [quoted or word for quoted, word in re.findall(r' msg=(?:"([^"]*)"|(\S+))', server.log())]
    return [each for each in messages if not each.startswith(("response completed", "Starting upload purge"))]


def upload(server: Serving) -> http.client.HTTPConnection:
    """Begin to push a blob, and leave out its last byte."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    client.putrequest("POST", f"/v2/a/blobs/uploads/?digest={Digest.of(LAYER)}")
    client.putheader("Content-Length", str(len(LAYER)))
    client.endheaders(LAYER[:-1])
    return client


def ended(server: Serving) -> int:
    return server.process.wait(SECONDS)


def test_a_server_without_requests_says_a_line_as_it_starts_as_it_stops_and_when_it_has_stopped(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"workers": 1}}) as server:
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0

        assert said(server) == [
            f"debug server listening 127.0.0.1:{server.debug_port}",
            f"listening on 127.0.0.1:{server.port}",
            "stopping (SIGTERM): requests in progress have 5 s (http.draintimeout)",
            "stopped",
        ]


def test_a_server_with_requests_says_how_many_it_waits_for(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"workers": 1, "draintimeout": "60s"}}) as server:
        (worker,) = server.workers()
        clients = [upload(server), upload(server)]
        uploads = tmp_path / "root/docker/registry/v2/repositories/a/_uploads"
        wait_until("both have begun", lambda: len(list(uploads.glob("*/data"))) == 2)
        server.process.send_signal(signal.SIGTERM)
        line = f"worker {worker} waits for requests in progress: 2, 60 s at most"
        wait_until("it says so", lambda: line in said(server))
        for client in clients:
            client.send(LAYER[-1:])
            assert client.getresponse().status == 201
            client.close()
        assert ended(server) == 0
        assert said(server)[-1] == "stopped"


def test_a_server_that_is_told_to_end_at_once_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.process.send_signal(signal.SIGINT)
        assert ended(server) == 0
        assert said(server)[-2:] == ["stopping (SIGINT) at once", "stopped"]


def test_the_time_that_load_balancers_have_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"draindelay": "1s"}}) as server:
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
        assert said(server)[-3:] == [
            "stopping (SIGTERM): requests are served for 1 s more (http.draindelay)",
            "stopping (SIGTERM): requests in progress have 5 s (http.draintimeout)",
            "stopped",
        ]


def reread(server: Serving, change: dict[str, Any]) -> None:
    path = server.stderr.with_name("config.yml")
    configuration = yaml.safe_load(path.read_text())
    configuration.update(change)
    path.write_text(yaml.safe_dump(configuration))
    server.process.send_signal(signal.SIGHUP)


def test_a_configuration_that_is_read_again_names_the_keys_that_have_changed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        reread(server, {})
        wait_until("it says so", lambda: "configuration read again: nothing changed" in said(server))
        reread(server, {"log": {"level": "info", "fields": {"a": "b"}}, "catalog": {"maxentries": 7}})
        line = "configuration read again: log.fields, catalog.maxentries changed"
        wait_until("it says so", lambda: line in said(server))
        assert server.get("/v2/").status == 200


def test_a_server_on_a_socket_tells_its_path(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        reread(server, {"http": {"net": "unix", "addr": f"{tmp_path}/socket", "secret": "x", "workers": 1}})
        wait_until("it says so", lambda: f"listening on {tmp_path}/socket" in said(server))
