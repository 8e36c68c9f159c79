from __future__ import annotations

import http.server
import re
import socket
import threading
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError
from drivers.inmemory import InMemoryDriver
from registry.config.remote import FileCheck, Health, HTTPCheck, StorageDriverCheck, TCPCheck
from registry.foundation.circuit import Circuit
from registry.health import report
from registry.health.board import Board, Verdict
from registry.health.checks import Check, configured_checks, optional_check
from registry.health.monitor import Monitor, Watch
from registry.health.silence import tell_of_silence
from tests.faults import no_more_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def failing(error: str = "broken") -> None:
    raise DriverError(error)


def check(name: str = "a", *, threshold: int = 0, refuses: bool = True, needed: bool = True) -> Check:
    return Check(name, failing, 60, threshold, refuses, needed)


def found(section: Health, name: str) -> str:
    """Return what the check called `name` finds."""
    (wanted,) = (each for each in configured_checks(section, InMemoryDriver()) if each.name == name)
    watch = Watch(wanted)
    watch.take()
    return watch.error


def test_a_check_is_made_also_where_no_thread_can_be_started() -> None:
    watch = Watch(check())
    with no_more_threads():
        watch.take()
    assert watch.error == "broken"


def test_empty_board_says_that_all_is_well() -> None:
    board = Board()
    assert not board.refusing
    assert report.health(board) == (200, {})
    assert report.readiness(board) == (200, {})


def test_what_was_posted_last_is_read() -> None:
    board = Board()
    board.post(Verdict({"a": "x" * 400}, {"a": "x" * 400, "b": "y"}))
    board.post(Verdict({"c": "é"}, {"c": "é"}, {"d": "z"}))
    assert board.read() == Verdict({"c": "é"}, {"c": "é"}, {"d": "z"})
    assert board.refusing


def test_errors_beyond_measure_are_cut_to_fit_the_page() -> None:
    board = Board()
    errors = {f"{n}" * 5000: "é" * 5000 for n in range(200)}
    board.post(Verdict(errors, errors))
    assert 0 < len(board.read().failing) < 200


def test_the_longest_verdict_and_notices_fit() -> None:
    board = Board()
    errors = {f"{chr(0x1F600 + n) * 5000}": "\U0001f600" * 5000 for n in range(200)}
    board.post(Verdict(errors, errors, errors, errors))
    board.notice(errors)
    shortened = {name[:512]: error[:512] for name, error in list(errors.items())[:50]}
    assert board.read() == Verdict(shortened, shortened, shortened, shortened)
    assert board.notices == shortened


def test_what_cannot_be_read_is_told_and_makes_the_server_unready() -> None:
    board = Board()
    board.post(Verdict({"a": "x"}, {"a": "x"}))
    board._verdict._memory[8:] = b"\x07" * len(board._verdict._memory[8:])
    unknown = (503, {"health": "what the checks have found cannot be read"})
    assert report.readiness(board) == report.public_readiness(board) == unknown


def test_draining_server_is_alive_and_not_ready() -> None:
    board = Board()
    board.drain()
    assert report.health(board) == (200, {})
    assert report.readiness(board) == report.public_readiness(board) == (503, {"server": "stopping"})


def test_failures_below_the_threshold_do_not_count_and_one_success_forgets_them() -> None:
    well = [False, False, True, False, False, False]
    watch = Watch(Check("a", lambda: None if well.pop(0) else failing(), 60, threshold=3))
    errors = []
    for _ in range(6):
        watch.take()
        errors.append(watch.error)
    assert errors == ["", "", "", "", "", "broken"]


def test_check_that_hangs_is_a_failure_and_is_not_begun_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.health.monitor._LEAST_PATIENCE_SECONDS", 0.01)
    begun: list[str] = []
    release = threading.Event()

    def hang() -> None:
        begun.append("begun")
        release.wait()

    watch = Watch(Check("a", hang, 0.01, 1))
    watch.take()
    watch.take()
    assert (watch.error, len(begun)) == ("no answer within 0.01 s", 1)
    release.set()
    monkeypatch.setattr("registry.health.monitor._LEAST_PATIENCE_SECONDS", 60)
    watch.take()
    assert watch.error == ""


def test_check_that_does_not_refuse_is_told_to_readiness_only() -> None:
    board = Board()
    watch = Watch(check(refuses=False))
    monitor = Monitor(board, [])
    monitor.watches = [watch]
    monitor.look(watch)
    assert not board.refusing
    assert report.health(board) == (200, {})
    assert report.readiness(board) == (503, {"a": "broken"})


def test_check_of_what_is_not_needed_is_told_and_nothing_suffers(caplog: pytest.LogCaptureFixture) -> None:
    board = Board()
    watch = Watch(check("redis", refuses=False, needed=False))
    monitor = Monitor(board, [])
    monitor.watches = [watch]
    monitor.look(watch)
    assert not board.refusing
    assert report.health(board) == report.readiness(board) == (200, {"redis": "broken"})
    assert caplog.records == []


def test_what_is_not_needed_is_told_beside_what_is() -> None:
    board = Board()
    board.post(Verdict({"a": "x"}, {"a": "x", "b": "y"}, {"redis": "broken"}))
    assert report.health(board) == (503, {"a": "x", "redis": "broken"})
    assert report.readiness(board) == (503, {"a": "x", "b": "y", "redis": "broken"})


def test_anybody_is_told_which_kinds_of_check_fail_and_nothing_that_they_name_or_say(tmp_path: Path) -> None:
    down = tmp_path / "down"
    down.touch()
    secret, host = "bucket internal-bucket: 10.0.0.1", "127.0.0.1:1"
    section = Health(
        file=(FileCheck(str(down)),),
        http=(HTTPCheck(f"http://{host}/internal?token=hunter2"),),
        tcp=(TCPCheck(host),),
    )
    _, *configured = configured_checks(section, InMemoryDriver())
    storage = replace(next(configured_checks(section, InMemoryDriver())), look=lambda: failing(secret), threshold=1)
    board = Board()
    monitor = Monitor(board, [storage, *configured, optional_check("redis", lambda: failing(secret))])
    for watch in monitor.watches:
        monitor.look(watch)

    status, told = report.public_readiness(board)

    assert (status, set(told)) == (503, {"storage", "file", "http", "tcp", "redis"})
    said = str(told)
    assert not any(text in said for text in ("internal", "127.0.0.1", str(tmp_path), "hunter2", "refused", "10.0.0.1"))
    status, detailed = report.readiness(board)
    assert status == 503
    assert detailed["storagedriver_inmemory"] == secret


def test_what_the_registry_does_without_is_told_to_anybody_with_200() -> None:
    board = Board()
    monitor = Monitor(board, [optional_check("redis", lambda: failing("10.0.0.1:6379 refused"))])
    monitor.look(*monitor.watches)
    status, told = report.public_readiness(board)
    assert (status, set(told)) == (200, {"redis"})
    assert "10.0.0.1" not in str(told)


def test_file_check_fails_while_the_file_exists(tmp_path: Path) -> None:
    path = tmp_path / "down"
    section = Health(file=(FileCheck(str(path)),))
    assert found(section, str(path)) == ""
    path.touch()
    assert found(section, str(path)) == "file exists"


def test_tcp_check_fails_while_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        section = Health(tcp=(TCPCheck(address),))
        assert found(section, address) == ""
    assert found(section, address).startswith(f"connection to {address} failed: ")


class Downstream(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/")
        else:
            self.send_response(200 if self.headers["X-Key"] == "a, b" else 500)
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815  the base class looks for this name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def downstream() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Downstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["/", "/moved"])
def test_http_check_compares_the_status_after_redirects(downstream: str, path: str) -> None:
    uri = downstream + path
    assert found(Health(http=(HTTPCheck(uri, {"X-Key": ("a", "b")}),)), uri) == ""
    assert found(Health(http=(HTTPCheck(uri),)), uri) == "downstream service returned unexpected status: 500"
    assert found(Health(http=(HTTPCheck(uri, statuscode=500),)), uri) == ""


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/", "nonsense"])
def test_http_check_of_what_does_not_answer_fails(uri: str) -> None:
    assert found(Health(http=(HTTPCheck(uri),)), uri).startswith(f"error while checking: {uri}: ")


def test_storage_is_always_looked_at_and_refuses_only_when_enabled() -> None:
    (quiet,) = configured_checks(Health(), InMemoryDriver())
    (loud,) = configured_checks(Health(StorageDriverCheck(enabled=True, threshold=3)), InMemoryDriver())
    assert (quiet.name, quiet.refuses, quiet.interval_seconds) == ("storagedriver_inmemory", False, 10)
    assert (loud.refuses, loud.threshold) == (True, 3)
    quiet.look()


def silent_storage(board: Board) -> Circuit:
    """Have a storage that does not answer told on `board`; return its circuit."""
    driver = InMemoryDriver()
    driver.circuit = Circuit()
    tell_of_silence(driver, board, None)
    for _ in range(5):
        driver.circuit.enter()
        driver.circuit.failed()
    return driver.circuit


def test_a_storage_that_does_not_answer_makes_the_server_unready_and_it_is_told_since_when() -> None:
    board = Board()
    began = int(time.time())
    circuit = silent_storage(board)

    status, told = report.readiness(board)
    assert status == 503
    (since,) = re.findall(r"^does not answer since (.*)$", told["storage"])
    assert began <= datetime.fromisoformat(since).timestamp() <= time.time()
    assert report.public_readiness(board) == (status, told)
    assert report.health(board) == (200, {})

    circuit.succeeded()
    assert report.readiness(board) == report.public_readiness(board) == (200, {})


def test_a_check_of_the_storage_that_passes_ends_what_a_process_said_that_is_asked_nothing_any_more() -> None:
    board = Board()
    silent_storage(board)
    (storage,) = configured_checks(Health(), InMemoryDriver())
    monitor = Monitor(board, [Check("a", lambda: None, 60, 1), storage])
    for watch in monitor.watches:
        assert report.readiness(board)[0] == 503
        monitor.look(watch)
    assert report.public_readiness(board) == (200, {})


def test_anybody_may_know_since_when_a_check_has_failed() -> None:
    board = Board()
    began = int(time.time())
    monitor = Monitor(board, [check(threshold=1)])
    monitor.look(monitor.watches[0])
    monitor.look(monitor.watches[0])
    told = report.public_readiness(board)[1]["check"]
    (since,) = re.findall(r"^failing; since (.*), the log and the debug server say why$", told)
    assert began <= datetime.fromisoformat(since).timestamp() <= time.time()
