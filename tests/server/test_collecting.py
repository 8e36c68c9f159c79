"""Garbage collection as the server does it: in a process of its own, again and again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from drivers.filesystem.driver import FilesystemDriver
from registry.lifecycle.reports import Report, write_report
from registry.storage import paths
from registry.storage.runs import Run
from tests.integration.api import Api, digest_of
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PACE = (sys.executable, str(Path(__file__).parents[1] / "lifecycle" / "pace.py"))
ENVIRON = {"PYTHONPATH": str(Path(__file__).parents[2])}
EMPTY = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
KIND = "application/vnd.oci.image.index.v1+json"


def overlay(**section: object) -> dict[str, Any]:
    collection = {"enabled": True, "interval": "1s", "grace": "0s", "maxshare": 100, **section}
    return {"storage": {"maintenance": {"garbagecollection": collection}}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path, overlay(), ENVIRON, PACE) as running:
        yield running


def blobs(server: Serving) -> set[str]:
    return {path.parent.name for path in (server.stderr.parent / "root").glob("docker/registry/v2/blobs/*/*/*/data")}


def children(pid: int) -> set[int]:
    """Return the processes that any thread of `pid` has started."""
    found = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):
            found |= {int(child) for child in listed.read_text().split()}
    return found


def collecting(server: Serving) -> set[int]:
    """Return the processes that collect."""
    found = set()
    for worker in server.workers():
        with suppress(FileNotFoundError):
            for child in children(worker):
                if b"registry.server.collecting" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(child)
    return found


def is_on(server: Serving) -> bool:
    run = server.stderr.parent / "root" / "registry" / "gc" / "run"
    return Run.load(run.read_bytes()).is_on


def test_what_nothing_refers_to_goes_and_what_is_pushed_meanwhile_stays(server: Serving) -> None:
    api = Api("127.0.0.1", server.port)
    assert api.put_manifest("team/app", "v1", EMPTY, KIND).status == 201
    api.push_blob("team/app", b"loose")
    loose = digest_of(b"loose").removeprefix("sha256:")

    wait_until("the blob is deleted", lambda: loose not in blobs(server))

    assert api.manifest("team/app", "v1").status == 200
    told = json.loads(server.debug("/debug/jobs").body)
    assert told["garbage_collection"]["error"] == ""
    assert told["garbage_collection_watch"]["error"] == ""
    wait_until("the run is counted", lambda: b'gc_deleted_total{kind="blob"} 1.0' in server.debug("/metrics").body)
    page = server.debug("/metrics").body.decode()
    assert "registry_gc_freed_bytes_total 5.0" in page
    assert "registry_gc_last_success_timestamp_seconds" in page
    assert "registry_gc_condemned_bytes 0.0" in page


def test_a_run_that_ended_in_the_future_holds_nothing_up(tmp_path: Path) -> None:
    reports = tmp_path / "root" / paths.GC_REPORTS.removeprefix("/")
    reports.mkdir(parents=True)
    driver, year = FilesystemDriver(str(tmp_path / "root")), 366 * 24 * 3600
    write_report(driver, Report(1, "another", began=time.time() + year, ended=time.time() + year))
    (report,) = reports.iterdir()
    os.utime(report, (time.time() + year, time.time() + year))
    with serving(tmp_path, overlay(), ENVIRON, PACE) as server:
        api = Api("127.0.0.1", server.port)
        assert api.put_manifest("team/app", "v1", EMPTY, KIND).status == 201
        api.push_blob("team/app", b"loose")
        loose = digest_of(b"loose").removeprefix("sha256:")

        wait_until("the blob is deleted", lambda: loose not in blobs(server))


def test_sighup_puts_another_schedule_in_force(tmp_path: Path) -> None:
    with serving(tmp_path, overlay(interval="24h", enabled=False), ENVIRON, PACE) as server:
        api = Api("127.0.0.1", server.port)
        assert api.put_manifest("team/app", "v1", EMPTY, KIND).status == 201
        api.push_blob("team/app", b"loose")
        loose = digest_of(b"loose").removeprefix("sha256:")
        jobs = json.loads(server.debug("/debug/jobs").body)
        assert "garbage_collection" not in jobs

        path = tmp_path / "config.yml"
        configuration = yaml.safe_load(path.read_text())
        configuration["storage"]["maintenance"]["garbagecollection"].update(enabled=True, interval="1s")
        path.write_text(yaml.safe_dump(configuration))
        server.process.send_signal(signal.SIGHUP)
        wait_until("the blob is deleted", lambda: loose not in blobs(server))

        configuration["storage"]["maintenance"]["garbagecollection"].update(interval="24h")
        path.write_text(yaml.safe_dump(configuration))
        server.process.send_signal(signal.SIGHUP)
        wait_until("the next run is in a day", lambda: hours_to_next_run(server) > 20)


def hours_to_next_run(server: Serving) -> float:
    told = json.loads(server.debug("/debug/jobs").body).get("garbage_collection", {}).get("next_run")
    return (datetime.fromisoformat(told) - datetime.now(UTC)).total_seconds() / 3600 if told else 0


def test_it_is_done_at_low_priority_in_a_process_that_ends_with_the_server_however_that_ends(tmp_path: Path) -> None:
    with serving(tmp_path, overlay(), {**ENVIRON, "PACE": '{"announced": 600}'}, PACE) as server:
        assert Api("127.0.0.1", server.port).put_manifest("team/app", "v1", EMPTY, KIND).status == 201
        wait_until("a run is on", lambda: collecting(server) and is_on(server))
        (child,) = collecting(server)
        assert os.getpriority(os.PRIO_PROCESS, child) >= 10

        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)

        wait_until("the child has ended", lambda: not Path(f"/proc/{child}").exists())
        assert server.get("/v2/").status == 200


def test_a_server_that_is_told_to_stop_leaves_no_run_behind(tmp_path: Path) -> None:
    with serving(tmp_path, overlay(), {**ENVIRON, "PACE": '{"announced": 600}'}, PACE) as server:
        assert Api("127.0.0.1", server.port).put_manifest("team/app", "v1", EMPTY, KIND).status == 201
        wait_until("a run is on", lambda: collecting(server) and is_on(server))
        (child,) = collecting(server)

    wait_until("the child has ended", lambda: not Path(f"/proc/{child}").exists())
    assert not is_on(server)


def test_a_refusal_is_told_in_the_health_and_nothing_goes(tmp_path: Path) -> None:
    with serving(tmp_path, overlay(maxshare=1), ENVIRON, PACE) as server:
        api = Api("127.0.0.1", server.port)
        assert api.put_manifest("team/app", "v1", EMPTY, KIND).status == 201
        api.push_blob("team/app", b"loose" * 100)

        wait_until("the run is refused", lambda: b"more than maxshare (1 %)" in server.debug("/debug/jobs").body)

        assert b"job_garbage_collection" in server.debug("/debug/health").body
        assert len(blobs(server)) == 2


def test_a_registry_that_is_read_only_collects_nothing(tmp_path: Path) -> None:
    section = overlay()
    section["storage"]["maintenance"]["readonly"] = {"enabled": True}
    (tmp_path / "root").mkdir()
    with serving(tmp_path, section, ENVIRON, PACE) as server:
        assert b"garbage_collection" not in server.debug("/debug/jobs").body
