from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.serving import SECONDS, Serving, serving, wait_until


def test_file_check_shuts_every_worker_and_opens_it_again(tmp_path: Path) -> None:
    down = tmp_path / "down"
    section = {"health": {"file": [{"file": str(down), "interval": "50ms"}]}}
    with serving(tmp_path, section) as server:
        assert (server.debug("/debug/health").status, server.debug("/debug/health").body) == (200, b"{}")
        assert f"debug server listening 127.0.0.1:{server.debug_port}" in server.log()

        down.touch()
        wait_until("the check fails", lambda: server.debug("/debug/health").status == 503)
        assert server.debug("/debug/health").body == f'{{"{down}":"file exists"}}'.encode()
        assert {server.get("/v2/").status for _ in range(20)} == {503}
        assert server.get("/readyz").status == server.debug("/readyz").status == 503
        assert str(down).encode() in server.debug("/readyz").body
        assert b'{"file":"failing;' in server.get("/readyz").body
        assert str(down).encode() not in server.get("/readyz").body
        assert server.get("/healthz").status == server.debug("/healthz").status == 200

        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        down.unlink()
        wait_until("new workers find it well", lambda: server.debug("/debug/health").status == 200)
        assert {server.get("/v2/").status for _ in range(20)} == {200}


def test_server_that_is_told_to_stop_is_not_ready_while_it_drains(tmp_path: Path) -> None:
    with serving(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as upload:
        upload.sendall(b"POST /v2/a/blobs/uploads/?digest=sha256:" + b"0" * 64 + b" HTTP/1.1\r\n")
        upload.sendall(b"Host: a\r\nContent-Length: 4\r\n\r\n12")
        wait_until("the upload has begun", lambda: any((tmp_path / "root").rglob("_uploads/*/data")))

        server.process.terminate()

        # A worker that has nothing to wait for ends, perhaps with a connection that it has just accepted.
        wait_until("it says that it stops", lambda: server.debug("/readyz").body == b'{"server":"stopping"}')
        wait_until("its health is told", lambda: server.debug("/debug/health").status == 200)
        upload.sendall(b"34")
        assert upload.recv(12) == b"HTTP/1.1 400"


def test_request_under_way_is_finished_within_the_drain_timeout_and_idle_connections_are_not(tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"http": {"draintimeout": "60s", "workers": 1}}) as server,
        socket.create_connection(("127.0.0.1", server.port)) as upload,
        socket.create_connection(("127.0.0.1", server.port)) as idle,
    ):
        idle.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        upload.sendall(b"POST /v2/a/blobs/uploads/?digest=sha256:" + b"0" * 64 + b" HTTP/1.1\r\n")
        upload.sendall(b"Host: a\r\nContent-Length: 4\r\n\r\n12")
        wait_until("the upload has begun", lambda: any((tmp_path / "root").rglob("_uploads/*/data")))

        server.process.terminate()
        while idle.recv(4096):
            pass
        # Longer than the idle one was waited for.
        time.sleep(1)
        upload.sendall(b"34")
        assert upload.recv(12) == b"HTTP/1.1 400"


def test_a_request_that_has_not_begun_does_not_hold_up_a_server_that_stops(tmp_path: Path) -> None:
    with (
        serving(tmp_path, {"http": {"draintimeout": "1h", "workers": 1}}) as server,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        slow.sendall(b"GET /v2/ HTTP/1.1\r\nHost:")
        connected = b"registry_worker_connections 1.0"
        wait_until("it is connected", lambda: connected in server.debug("/metrics").body)

        server.process.terminate()
        assert server.process.wait(SECONDS) == 0


def test_server_with_a_drain_delay_serves_on_while_it_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"draindelay": "1h"}}) as server:
        server.process.terminate()

        wait_until("it says that it stops", lambda: server.get("/readyz").status == 503)
        assert server.get("/readyz").body == server.debug("/readyz").body + b"\n" == b'{"server":"stopping"}\n'
        server.process.send_signal(signal.SIGHUP)
        os.kill(min(server.workers()), signal.SIGKILL)
        for _ in range(10):
            assert server.get("/v2/").status == server.get("/healthz").status == 200
            assert server.get("/readyz").status == 503
        # The second SIGTERM, of the fixture, ends the wait.


def test_drain_delay_ends_by_itself_and_does_not_hold_up_an_interrupt(tmp_path: Path) -> None:
    with serving(tmp_path, {"http": {"draindelay": "1ms"}}) as server:
        server.process.terminate()
        assert server.process.wait(SECONDS) == 0
    with serving(tmp_path, {"http": {"draindelay": "1h"}}) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(SECONDS) == 0


def jobs(server: Serving) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = json.loads(server.debug("/debug/jobs").body)
    return found


def test_jobs_are_told_beside_a_health_that_says_nothing_while_all_is_well(tmp_path: Path) -> None:
    content = tmp_path / "root/docker/registry/v2"
    content.mkdir(parents=True)
    (content / "anything").touch()
    with serving(tmp_path, {"health": {"storagedriver": {"enabled": True, "interval": "50ms"}}}) as server:
        wait_until("health is looked at", lambda: jobs(server)["health_storagedriver_filesystem"]["last_run"])
        wait_until("the cluster is looked at", lambda: jobs(server)["cluster"]["last_run"])
        assert jobs(server).keys() == {
            "health_storagedriver_filesystem",
            "purge",
            "cluster",
            "audit_configuration",
            "garbage_collection_watch",
            "pulls",
        }
        assert jobs(server)["purge"]["last_run"] is None
        assert jobs(server)["purge"]["next_run"] is not None
        assert {job["error"] for job in jobs(server).values()} == {""}
        assert server.debug("/debug/health").body == b"{}"

        before = jobs(server)["health_storagedriver_filesystem"]["last_run"]
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        wait_until("others go on", lambda: jobs(server)["health_storagedriver_filesystem"]["last_run"] != before)
        assert jobs(server)["cluster"]["last_run"] is not None


def test_a_job_that_fails_is_told_in_health_and_counted_and_nothing_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "docker/registry/v2").mkdir(parents=True)
    (root / "docker/registry/v2/anything").touch()
    (root / "registry").touch()
    with serving(tmp_path) as server:
        wait_until("the job has failed", lambda: server.debug("/debug/health").body != b"{}")
        answer = server.debug("/debug/health")
        assert answer.status == server.debug("/readyz").status == server.get("/v2/").status == 200
        assert json.loads(answer.body) == {"job_cluster": jobs(server)["cluster"]["error"]}
        assert "the other registries of the cluster cannot be looked at: filesystem: " in answer.body.decode()
        counted = b'registry_job_runs_total{name="cluster",result="failure"} 1.0'
        wait_until("it is counted", lambda: counted in server.debug("/metrics").body)
        assert b'registry_job_last_run_timestamp_seconds{name="cluster"}' in server.debug("/metrics").body
        assert b'registry_job_next_run_timestamp_seconds{name="purge"}' in server.debug("/metrics").body


def test_debug_server_has_its_pages_and_no_others(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.debug("/debug/pprof/").status == server.debug("/").status == 404
        assert server.debug("/debug/health?x=y").status == 200


def reload(server: Serving) -> None:
    """Have it read its configuration again; return when the workers with the old one have ended."""
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until("the workers are new", lambda: len(server.workers()) == 2 and not server.workers() & before)


def test_a_server_that_reloads_again_and_again_holds_no_more_open_files(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    with serving(tmp_path) as server:
        reload(server)
        before = open_files()
        for _ in range(3):
            reload(server)
        wait_until("nothing is open that was not", lambda: open_files() <= before)


def test_reload_keeps_the_debug_server_on_its_port(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        reload(server)
        assert server.debug("/readyz").status == 200


def test_taken_debug_port_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addr = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            AssertionError, match=rf"http\.debug\.addr: cannot listen on {addr}: another program listens there"
        ):
            serving(tmp_path, {"http": {"debug": {"addr": addr}}}).__enter__()
