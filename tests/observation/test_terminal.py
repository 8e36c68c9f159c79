"""What `registry serve` writes on a terminal, and that it stays the Go registry's log everywhere else."""

from __future__ import annotations

import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml

from registry.observation.terminal import TerminalFormatter
from tests.integration.api import Api, digest_of
from tests.serving import free_port, wait_until
from tests.terminal import CONTROL, Terminal, on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LINE = re.compile(r"\d\d:\d\d:\d\d (info |warn |error|debug) .*")


@contextmanager
def serving(
    directory: Path,
    log: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Iterator[tuple[Terminal, Api]]:
    port = free_port()
    configuration = {
        "version": 0.1,
        "log": log or {},
        "storage": {"filesystem": {"rootdirectory": str(directory / "root")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "a secret", "workers": 2},
    }
    path = directory / "config.yml"
    path.write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "registry", "serve", path]
    with on_terminal(command, environ=environ, stdout=stdout) as terminal:
        terminal.wait_for("listening on")
        yield terminal, Api("127.0.0.1", port)
        terminal.process.terminate()
        assert terminal.finish() == 0


def requests(text: str) -> list[str]:
    return [line for line in CONTROL.sub("", text).splitlines() if " /v2/" in line]


def test_a_request_is_one_short_line_in_colours(tmp_path: Path) -> None:
    with serving(tmp_path) as (terminal, api):
        digest = api.push_blob("team/app", b"x" * 5000)
        assert api.put_manifest("team/app", "v1", MANIFEST, INDEX_TYPE).status == 201
        assert api.blob("team/app", digest).status == 200
        assert api.head("/v2/team/app/manifests/none").status == 404
        wait_until("all are written", lambda: terminal.read() and len(requests(terminal.written)) == 5)
    lines = [re.sub(r"^\S+ ", "", line) for line in requests(terminal.written)]
    number = r"[0-9.]+(?:s|ms|µs)"
    # Two processes write them: the order may differ.
    for expected in (
        rf"info  POST    /v2/team/app/blobs/uploads/  202  {number}  0 B",
        rf"info  PUT     /v2/team/app/blobs/uploads/[0-9a-f-]{{36}}  201  {number}  4.9 KiB",
        rf"info  PUT     /v2/team/app/manifests/v1  201  {number}  {len(MANIFEST)} B",
        rf"info  GET     /v2/team/app/blobs/{digest[:19]}…  200  {number}  4.9 KiB",
        rf"info  HEAD    /v2/team/app/manifests/none  404  {number}  \d+ B  manifest unknown",
    ):
        assert len([line for line in lines if re.fullmatch(expected, line)]) == 1, (expected, lines)
    assert len(lines) == 5
    assert "\x1b[32minfo \x1b[0m" in terminal.written
    assert "\x1b[33m404\x1b[0m" in terminal.written
    assert "instance.id" not in terminal.written


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_are_no_colours_where_they_are_not_wanted(tmp_path: Path, environ: Mapping[str, str]) -> None:
    with serving(tmp_path, environ=environ) as (terminal, api):
        assert api.head("/v2/a/manifests/none").status == 404
        terminal.wait_for("/none")
    assert "\x1b" not in terminal.written
    assert all(LINE.fullmatch(line) for line in terminal.written.splitlines())


def test_the_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    count = 200
    with serving(tmp_path) as (terminal, api), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: api.head(f"/v2/a/manifests/t{number}").status, range(count)))
        assert answers == [404] * count
        wait_until("all are written", lambda: terminal.read() and len(requests(terminal.written)) == count)
    assert all(LINE.fullmatch(line) for line in CONTROL.sub("", terminal.written).splitlines())
    paths = [line.split()[3] for line in requests(terminal.written)]
    assert sorted(paths) == sorted(f"/v2/a/manifests/t{number}" for number in range(count))


def test_the_formatter_that_is_configured_is_obeyed_on_a_terminal(tmp_path: Path) -> None:
    with serving(tmp_path, {"formatter": "text"}) as (terminal, api):
        assert api.head("/v2/a/manifests/none").status == 404
        terminal.wait_for('"HEAD /v2/a/manifests/none HTTP/1.1" 404')
        terminal.wait_for('msg="response completed with error"')
    assert "\x1b" not in terminal.written


def test_an_access_log_that_goes_elsewhere_is_written(tmp_path: Path) -> None:
    with (tmp_path / "access").open("wb") as file, serving(tmp_path, stdout=file.fileno()) as (terminal, api):
        assert api.head("/v2/a/manifests/none").status == 404
        terminal.wait_for("manifest unknown")
    assert '"HEAD /v2/a/manifests/none HTTP/1.1" 404' in (tmp_path / "access").read_text()


def test_what_clients_choose_moves_no_cursor_and_has_no_secret() -> None:
    facts: dict[str, object] = {
        "http.response.status": 500,
        "http.request.method": "GET",
        "http.request.uri": f"/v2/a\x1b[2J\u202e/blobs/{digest_of(b'')}?_state=hunter2",
        "http.request.read": 0,
        "http.response.written": 0,
        "http.response.duration": "999.7ms",
        "err.message": "\x9b2J",
    }
    line = TerminalFormatter(reportcaller=False, colored=False).line(0.0, "error", "response completed", facts)
    assert line.isprintable()
    assert "hunter2" not in line
    assert r"/v2/a\x1b[2J\u202e/blobs/sha256:e3b0c44298fc…  500  1000ms  0 B  \x9b2J" in line


def test_a_traceback_is_read_line_by_line() -> None:
    formatter = TerminalFormatter(reportcaller=False, colored=False)
    try:
        raise ValueError("https://user:hunter2@host/\x1b[2J")  # noqa: TRY301  as a library does
    except ValueError:
        record = logging.getLogger("registry.test").makeRecord(
            "x", logging.CRITICAL, __file__, 1, "it failed", (), sys.exc_info(), extra={"job": "a b"}
        )
    first, *rest = formatter.format(record).split("\n")
    assert first.endswith(' panic it failed job="a b"')
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == r"    ValueError: https://...@host/\x1b[2J"
