"""A storage that cannot be reached when the server starts."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final

import pytest

from drivers.base import DriverError, NotPermittedError, UnavailableError
from registry.server import waiting
from registry.server.waiting import ask_once, wait_until_available
from tests.serving import SECONDS, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTING: Final = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
UNKNOWN_KEY: Final = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
NO_BUCKET: Final = b"<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>"


class Storage:
    """Is unavailable for so many looks."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.left = failures
        self.looks = 0
        self._error = error or UnavailableError("s3: it cannot be reached")

    def look(self) -> None:
        self.looks += 1
        if self.left:
            self.left -= 1
            raise self._error


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_PAUSE_SECONDS", 0.01)


def test_a_storage_that_is_there_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    wait_until_available(Storage(0).look, "storage.s3", 60)

    assert caplog.messages == []


def test_a_storage_that_comes_is_waited_for_with_one_line_before_and_one_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    storage = Storage(5)

    wait_until_available(storage.look, "storage.s3", 60)

    assert storage.looks == 6
    assert caplog.messages == [
        "storage.s3: s3: it cannot be reached; waiting for 60 s at most (storage.starttimeout)",
        "storage.s3 answers after 0 s",
    ]


def test_a_storage_that_does_not_come_fails_with_what_it_said_last() -> None:
    with pytest.raises(UnavailableError, match=r"^s3: it cannot be reached; waited 0.2 s \(storage.starttimeout\)$"):
        wait_until_available(Storage(1000).look, "storage.s3", 0.2)


def test_a_storage_that_hangs_is_not_waited_for_longer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SILENT_SECONDS", 0.01)
    hangs = threading.Event()
    try:
        with pytest.raises(UnavailableError, match=r"^no answer; waited 0.1 s"):
            wait_until_available(hangs.wait, "storage.s3", 0.1)  # type: ignore[arg-type]  # what it returns is not used
    finally:
        hangs.set()
    assert caplog.messages == ["storage.s3 does not answer; waiting for 0.1 s at most (storage.starttimeout)"]


def test_what_does_not_mend_itself_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    for error in (NotPermittedError("no"), DriverError("no"), ZeroDivisionError("no")):
        storage = Storage(1, error)
        with pytest.raises(type(error), match=r"^no$"):
            wait_until_available(storage.look, "storage.s3", 60)
        assert storage.looks == 1
    assert caplog.messages == []


def test_without_a_timeout_there_is_one_look(caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(1)

    with pytest.raises(UnavailableError, match=r"^s3: it cannot be reached$"):
        wait_until_available(storage.look, "storage.s3", 0)

    assert storage.looks == 1
    assert caplog.messages == []


def test_systemd_is_asked_for_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        wait_until_available(Storage(1).look, "storage.s3", 60)
        assert systemd.recv(1000) == b"STATUS=waiting for the storage\nEXTEND_TIMEOUT_USEC=90000000"


def test_a_check_asks_once_and_does_not_wait_for_an_answer_that_does_not_come() -> None:
    ask_once(Storage(0).look, 60)
    refusing = Storage(9, NotPermittedError("s3: the key is wrong"))
    with pytest.raises(NotPermittedError, match="the key is wrong"):
        ask_once(refusing.look, 60)
    assert refusing.looks == 1

    never = threading.Event()

    def hang() -> None:
        never.wait()

    with pytest.raises(UnavailableError, match=r"^no answer within 0\.01 s"):
        ask_once(hang, 0.01)
    never.set()


# A server that starts


@pytest.fixture
def port() -> int:
    pytest.importorskip("boto3", reason="the s3 extra is not installed")
    return free_port()


@contextmanager
def starting(directory: Path, port: int, timeout: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a server whose bucket is at `port`; give the process and its log."""
    path, log = directory / "config.yml", directory / "log"
    store = f"{{bucket: images, region: r, regionendpoint: 'http://127.0.0.1:{port}', accesskey: a, secretkey: b}}"
    path.write_text(
        f"version: 0.1\nstorage: {{s3: {store}, starttimeout: {timeout}}}\n"
        f"http: {{addr: '127.0.0.1:0', secret: x, workers: 1}}\n"
    )
    with log.open("wb") as file:
        command = [sys.executable, "-m", "registry", "serve", str(path)]
        process = subprocess.Popen(command, stderr=file, env={"PATH": os.environ["PATH"]})
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


@contextmanager
def bucket(port: int, answers: Mapping[str, tuple[int, bytes]]) -> Iterator[None]:
    """Serve at `port` the answer "now", which may be replaced, to every GET."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers["now"]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
            pass

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_server_waits_for_a_store_and_then_for_its_bucket_and_listens(tmp_path: Path, port: int) -> None:
    answers = {"now": (404, NO_BUCKET)}
    with starting(tmp_path, port, "1h") as (process, log):
        wait_until("it waits", lambda: "waiting for 3600 s at most" in log.read_text())
        with bucket(port, answers):
            time.sleep(1)
            assert process.poll() is None
            answers["now"] = (200, LISTING)
            wait_until("it listens", lambda: "listening on" in log.read_text())
    assert log.read_text().count("waiting for") == 1


def test_credentials_that_are_not_known_stop_the_start_at_once(tmp_path: Path, port: int) -> None:
    with bucket(port, {"now": (403, UNKNOWN_KEY)}), starting(tmp_path, port, "1h") as (process, log):
        assert process.wait(SECONDS) == 1
    (line,) = log.read_text().splitlines()
    assert line.startswith("configuration error: ")
    assert "config.yml:2: storage.s3: s3: ListObjectsV2 of bucket images: InvalidAccessKeyId no" in line


def test_a_server_that_has_waited_in_vain_says_one_line_more_and_ends(tmp_path: Path, port: int) -> None:
    with starting(tmp_path, port, "3s") as (process, log):
        assert process.wait(SECONDS) == 1
    waits, ends = log.read_text().splitlines()
    assert "waiting for 3 s at most (storage.starttimeout)" in waits
    assert ends.startswith("configuration error: ")
    assert "config.yml:2: storage.s3: " in ends
    assert ends.endswith("waited 3 s (storage.starttimeout)")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_waits_ends_at_once_when_it_is_told_to(tmp_path: Path, port: int, number: signal.Signals) -> None:
    with starting(tmp_path, port, "1h") as (process, log):
        wait_until("it waits", lambda: "waiting for" in log.read_text())
        process.send_signal(number)
        assert process.wait(SECONDS) == 0
    assert f"stopped by {number.name} before it listened" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_server_that_waits_reads_the_configuration_again_as_soon_as_it_listens(tmp_path: Path, port: int) -> None:
    with starting(tmp_path, port, "1h") as (process, log):
        wait_until("it waits", lambda: "waiting for" in log.read_text())
        process.send_signal(signal.SIGHUP)
        wait_until("it has heard", lambda: "SIGHUP before it listens" in log.read_text())
        assert "configuration read again" not in log.read_text()
        with bucket(port, {"now": (200, LISTING)}):
            wait_until("it has read", lambda: "configuration read again: nothing changed" in log.read_text())
            assert process.poll() is None
    assert log.read_text().count("configuration read again") == 1
