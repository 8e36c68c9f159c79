"""What a server leaves of itself in the storage when it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.integration.api import digest_of
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from pathlib import Path

KIND = "application/vnd.oci.image.index.v1+json"
EMPTY = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


def announced(directory: Path) -> list[Path]:
    return list((directory / "root/registry/cluster").glob("[!.]*"))


def push(server: Serving) -> None:
    path = f"/v2/team/app/manifests/{digest_of(EMPTY)}"
    assert server.request("PUT", path, EMPTY, {"Content-Type": KIND}).status == 201


def collect(directory: Path) -> str:
    command = [sys.executable, "-m", "registry", "garbage-collect", "--dry-run", str(directory / "config.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout + done.stderr


def test_a_server_that_was_stopped_is_out_of_the_cluster_at_once_and_one_that_reads_its_configuration_is_not(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as server:
        push(server)
        wait_until("the server has announced itself", lambda: bool(announced(tmp_path)))
        [said] = announced(tmp_path)
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        wait_until("the workers are new", lambda: not before & server.workers())
        assert announced(tmp_path) == [said]

    assert announced(tmp_path) == []
    assert "1 blobs marked" in collect(tmp_path), "it is offline, as nothing serves the storage"
