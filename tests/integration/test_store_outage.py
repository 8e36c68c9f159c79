"""The object store hangs, dies and comes back under a registry that is not restarted: ``make test-s3``."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration import over_store
from tests.integration.api import Api, digest_of
from tests.integration.over_store import assert_unavailable
from tests.serving import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers.s3.servers import S3Server
    from tests.integration.servers import Server

pytestmark = [pytest.mark.s3, pytest.mark.timeout(900)]

CONTENT = b"there before and after" * 100_000
LONG_SECONDS = 300


@contextmanager
def registry_over(store: S3Server, directory: Path, *, watching: bool) -> Iterator[tuple[Server, Api]]:
    """Run a registry, and give its debug server too; one that is `watching` refuses requests without the store."""
    settings = {"health": {"storagedriver": {"enabled": watching, "interval": "200ms", "threshold": 1}}}
    with over_store.registry_over(store, directory, settings, {}) as started:
        yield started


def assert_out(server: Server, debug: Api) -> None:
    """Check that a registry without its store says so at once, on every path: `Api` waits for a minute."""
    wait_until("it is noticed", lambda: debug.get("/debug/health").status == 503, seconds=LONG_SECONDS)
    assert set(debug.get("/debug/health").json()) == {"storagedriver_s3aws"}
    assert server.api.get("/readyz").status == debug.get("/readyz").status == 503
    assert server.api.get("/healthz").status == debug.get("/healthz").status == 200
    for method, target in (
        ("GET", "/v2/"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("GET", "/v2/a/manifests/latest"),
        ("GET", f"/v2/a/blobs/{digest_of(CONTENT)}"),
        ("GET", "/v2/_catalog"),
    ):
        assert_unavailable(server.api.request(method, target))


def assert_back(server: Server, debug: Api) -> None:
    """Check that all is as before; a store that has just come back may list what it cannot read yet."""
    wait_until("it is back", lambda: debug.get("/debug/health").status == 200, seconds=LONG_SECONDS)
    wait_until("blobs are served", lambda: served(server) == CONTENT, seconds=LONG_SECONDS)
    assert server.api.get("/readyz").status == server.api.get("/v2/").status == 200
    assert "health check failed" in server.log
    assert "health check passes again" in server.log


def served(server: Server) -> bytes:
    return server.api.blob("a", digest_of(CONTENT)).body


def test_a_store_that_hangs_is_noticed_and_so_is_its_return(s3: S3Server, tmp_path: Path) -> None:
    with registry_over(s3, tmp_path, watching=True) as (server, debug), ExitStack() as stack:
        server.api.push_blob("a", CONTENT)
        os.kill(s3.pid, signal.SIGSTOP)
        go_on = stack.callback(os.kill, s3.pid, signal.SIGCONT)

        assert_out(server, debug)

        go_on(s3.pid, signal.SIGCONT)
        assert_back(server, debug)


def test_a_request_waits_for_a_store_that_hangs_for_a_while(s3: S3Server, tmp_path: Path) -> None:
    answers = []
    with registry_over(s3, tmp_path, watching=False) as (server, debug), ExitStack() as stack:
        digest = server.api.push_blob("a", CONTENT)
        os.kill(s3.pid, signal.SIGSTOP)
        go_on = stack.callback(os.kill, s3.pid, signal.SIGCONT)
        waiting = threading.Thread(target=lambda: answers.append(server.api.blob("a", digest)))
        waiting.start()
        stack.callback(waiting.join)
        wait_until("readiness knows", lambda: server.api.get("/readyz").status == 503, seconds=LONG_SECONDS)
        assert server.api.get("/v2/").status == 200  # works without storage
        assert debug.get("/debug/health").status == 200
        assert answers == []

        go_on(s3.pid, signal.SIGCONT)
        waiting.join(LONG_SECONDS)
        assert [answer.body for answer in answers] == [CONTENT]


def test_a_store_that_dies_is_noticed_and_so_is_its_return(tmp_path: Path) -> None:
    from tests.drivers.s3.servers import Ports, seaweedfs  # noqa: PLC0415 - its SDK may not be installed

    directory, ports = tmp_path / "store", Ports()
    directory.mkdir()
    with ExitStack() as stack:
        with seaweedfs(directory, ports=ports) as store:
            watching = stack.enter_context(registry_over(store, tmp_path, watching=True))
            other, _ = stack.enter_context(registry_over(store, tmp_path, watching=False))
            other.api.push_blob("a", CONTENT)
            assert other.api.request("POST", "/v2/a/blobs/uploads/").status == 202
        # SeaweedFS has been killed.
        assert_out(*watching)
        assert_unavailable(other.api.request("POST", "/v2/a/blobs/uploads/"))
        assert_unavailable(other.api.blob("a", digest_of(CONTENT)))

        with seaweedfs(directory, ports=ports):
            assert_back(*watching)
            wait_until("the other is back", lambda: served(other) == CONTENT, seconds=LONG_SECONDS)
            assert other.api.push_blob("a", b"pushed after")
