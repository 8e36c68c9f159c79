from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from registry.commands.doctor import doctor_command
from registry.doctor.findings import as_text, odd
from registry.foundation.challenges import parse_challenge
from tests.doctor.proxies import proxy
from tests.growth import grows_linearly
from tests.serving import Serving, serving
from tests.terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = ("--size", "2", "--pause", "1.5")
# "user:hunter2", so weakly hashed that it costs nothing
HTPASSWD = "user:$2b$04$bg0aIfc0pSOVEXpzlvjiaeXEnYk7fQzsjdh1rQm4npBEkUvgRzs9C\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def examined(url: str, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit status and the findings by check."""
    done = CliRunner().invoke(doctor_command, [url, "--json", *SMALL, *arguments])
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["healthy"] == (done.exit_code == 0)
    return done.exit_code, {finding["check"]: finding for finding in report["findings"]}


def test_registry_without_anything_before_it_is_in_order(server: Serving) -> None:
    status, findings = examined(server.url)
    assert status == 0
    assert {check: each["status"] for check, each in findings.items() if each["status"] != "ok"} == {
        "access": "warning"
    }
    assert {"tls", "api", "clock", "errors", "location", "body limit", "pause", "buffering", "push", "range"} <= set(
        findings
    )


@pytest.mark.parametrize("repeated", ["a", 'a="', 'a="b",', " ", '"'])
def test_a_challenge_is_read_in_linear_time(repeated: str) -> None:
    assert parse_challenge('Bearer realm="https://x/token",service="y"') == (
        "bearer",
        {"realm": "https://x/token", "service": "y"},
    )
    assert grows_linearly(parse_challenge, lambda size: "Bearer " + repeated * size)


def test_user_and_password_of_the_url_log_in_and_are_printed_nowhere(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "r", "path": str(tmp_path / "htpasswd")}}}
    with serving(tmp_path, auth) as server:
        url = server.url.replace("://", "://user:hunter2@")
        done = CliRunner().invoke(doctor_command, [url, "--json", *SMALL])
    report = json.loads(done.stdout)
    assert {each["check"]: each["status"] for each in report["findings"]}["push"] == "ok"
    assert report["url"] == server.url
    assert "hunter2" not in done.output


def test_a_cache_that_takes_no_pushes_is_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, {"proxy": {"remoteurl": "http://127.0.0.1:1"}}) as cache:
        _, findings = examined(cache.url)
    assert findings["push"]["status"] == "skipped"
    assert findings["push"]["found"] == "this registry takes no pushes: it is read-only, or a cache of another one"


def test_nothing_is_left_in_the_repository(server: Serving) -> None:
    assert examined(server.url)[0] == 0
    assert b"registry-doctor" not in server.get("/v2/_catalog").body
    root = server.stderr.parent / "root/docker/registry/v2/repositories"
    assert list(root.rglob("link")) == []
    assert list(root.rglob("_uploads/*/*")) == []


@pytest.mark.parametrize(
    ("fault", "check", "status", "advice"),
    [
        ("limit", "body limit", "failure", "client_max_body_size"),
        ("impatient", "pause", "failure", "client_body_timeout"),
        ("host", "location", "failure", "http.host"),
        ("errors", "errors", "failure", "errors"),
        ("challenge", "access", "failure", "headers"),
        ("redirect", "redirect", "failure", "storage.redirect.disable"),
        ("none", "buffering", "warning", "proxy_request_buffering off"),
        ("range", "range", "warning", "Range"),
        ("header", "header on 200", "warning", "old clients"),
        ("header", "header on 404", "warning", "old clients"),
        ("clock", "clock", "warning", "NTP"),
    ],
)
def test_fault_of_a_proxy_is_found_and_says_what_to_change(
    server: Serving, fault: str, check: str, status: str, advice: str
) -> None:
    with proxy(server.port, fault) as url:
        exit_status, findings = examined(url)
    assert findings[check]["status"] == status
    assert advice in findings[check]["advice"]
    assert exit_status == (1 if status == "failure" else 0)


def test_credentials_are_tried(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "r", "path": str(tmp_path / "htpasswd")}}, "http": {"workers": 1}}
    with serving(tmp_path, auth) as server:
        status, findings = examined(server.url)
        assert (status, findings["login"]["status"], findings["push"]["status"]) == (0, "skipped", "skipped")
        assert "basic" in findings["access"]["found"]

        status, findings = examined(server.url, "--user", "user:wrong")
        assert (status, findings["login"]["status"]) == (1, "failure")

        status, findings = examined(server.url, "--user", "user:hunter2")
        assert (status, findings["login"]["status"], findings["push"]["status"]) == (0, "ok", "ok")


def test_url_where_nothing_listens_is_a_failure() -> None:
    status, findings = examined("http://127.0.0.1:1")
    assert (status, findings["reach"]["status"]) == (1, "failure")


def test_url_without_https_where_there_is_none_is_a_failure(server: Serving) -> None:
    status, findings = examined(server.url.replace("http:", "https:"))
    assert (status, findings["tls"]["status"]) == (1, "failure")


def test_findings_are_printed_as_soon_as_they_are_known(server: Serving) -> None:
    command = [sys.executable, "-m", "registry", "doctor", server.url, "--size", "2", "--pause", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(3)]
        found = process.poll()
        process.kill()
        rest, errors = process.communicate()
    assert (found, errors) == (None, "")  # it is still at it
    assert [line.split()[1] for line in lines] == ["tls", "api", "header"]
    assert "pause" not in rest


def test_a_terminal_shows_what_is_looked_at(server: Serving) -> None:
    with on_terminal([sys.executable, "-m", "registry", "doctor", server.url, *SMALL], columns=50) as terminal:
        assert terminal.finish() == 0
    assert "\r\x1b[Kpushing 2.0 MiB with a pause of 1.5 s\r\x1b[K" in terminal.written
    assert "\r\x1b[Kok       push           2097152 bytes pushed\r\n" in terminal.written


def test_a_pipe_and_a_dumb_terminal_have_nothing_but_findings(server: Serving) -> None:
    command = [sys.executable, "-m", "registry", "doctor", server.url, *SMALL]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    with on_terminal(command, environ={"TERM": "dumb"}) as terminal:
        assert terminal.finish() == 0
    for said in (piped.stdout, terminal.written):
        assert said.splitlines()[0] == "ok       tls            plain HTTP, which clients accept from this host"
        assert "\x1b" not in said


def test_a_token_service_that_gives_no_token_is_a_finding(server: Serving) -> None:
    with proxy(server.port, "no token") as url:
        status, findings = examined(url, "--user", "user:hunter2")
    assert (status, findings["login"]["status"]) == (1, "failure")
    assert "something else than a token" in findings["login"]["found"]


def test_what_a_server_says_moves_no_cursor() -> None:
    assert as_text(odd("tls", "\x1b[2J", "renew it")) == (
        "warning  tls            \\x1b[2J\n                        -> renew it"
    )


def test_table_is_for_people(server: Serving) -> None:
    done = CliRunner().invoke(doctor_command, [server.url, *SMALL])
    assert done.exit_code == 0
    assert "ok       range          a part of a blob can be had\n" in done.output
    assert "                        -> set auth, if that is not meant\n" in done.output


@pytest.mark.parametrize("url", ["ftp://x", "https://"])
def test_what_is_no_url_is_a_usage_error(url: str) -> None:
    assert CliRunner().invoke(doctor_command, [url]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("https://127.0.0.1:99999",),
        ("http://127.0.0.1:99999",),
        ("http://[::1",),
        ("http://127.0.0.1:1", "--pause", "nan"),
        ("http://127.0.0.1:1", "--pause", "inf"),
        ("http://127.0.0.1:1", "--pause", "soon"),
        ("http://127.0.0.1:1", "--pause", "-1"),
        ("http://127.0.0.1:1", "--size", "0"),
        ("http://127.0.0.1:1", "--size", "99999999999"),
    ],
)
def test_a_number_or_a_url_that_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(doctor_command, arguments)
    assert done.exit_code == 2
    assert "Invalid value" in done.output
