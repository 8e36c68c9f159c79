"""Commands that are stopped from outside: one line, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from registry.commands.ending import Commands
from registry.foundation.temporary_database import temporary_database
from tests.serving import serving
from tests.terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

REGISTRY = (sys.executable, "-m", "registry")
CONFIG = str(Path(__file__).parents[2] / "deploy/config-dev.yml")
PRINTING = (
    ["--help"],
    ["--version"],
    ["auth", "--help"],
    ["config", "show", CONFIG],
    ["doctor", "http://127.0.0.1:1"],
)


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(arguments: Sequence[str], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*REGISTRY, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={"PYTHONUNBUFFERED": unbuffered},
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "Error: cannot write: No space left on device\n")


def test_a_temporary_directory_that_is_full_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command("fill")
    def fill() -> None:
        # As if two pages were all the room that there is.
        with closing(temporary_database("PRAGMA max_page_count = 2; CREATE TABLE found (content)")) as database:
            database.execute("INSERT INTO found VALUES (zeroblob(100000))")

    with pytest.raises(SystemExit) as ended:
        Commands(commands={"fill": fill}).main(["fill"])

    assert ended.value.code == 1
    assert capsys.readouterr() == (
        "",
        "Error: what was found cannot be kept in the temporary directory (TMPDIR): database or disk is full\n",
    )


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_has_gone_is_no_line(arguments: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*REGISTRY, *arguments], stdout=writing, stderr=subprocess.PIPE, env={}, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    # A link to itself: root, too, may not read it.
    (tmp_path / "x.tar").symlink_to("x.tar")
    done = subprocess.run(
        [*REGISTRY, "htpasswd", "alice", "--password-stdin", "--file", tmp_path / "x.tar"],
        input="hunter2\n",
        capture_output=True,
        env={},
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "x.tar" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_while_a_password_is_asked_for_is_130_and_one_line(tmp_path: Path) -> None:
    command = [*REGISTRY, "htpasswd", "alice", "--file", "passwords"]
    with on_terminal(command, directory=tmp_path, environ=_ours()) as terminal:
        terminal.wait_for("Password")
        terminal.interrupt()
        assert terminal.finish() == 130
    assert terminal.written.rstrip().splitlines()[-1].endswith("Interrupted.")
    assert terminal.written.count("Interrupted.") == 1
    assert "Traceback" not in terminal.written
    assert "Aborted" not in terminal.written
    assert not (tmp_path / "passwords").exists()


def test_ctrl_c_in_the_middle_of_a_command_is_130_and_one_line(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as server,
        on_terminal([*REGISTRY, "doctor", server.url, "--size", "2", "--pause", "600"]) as terminal,
    ):
        terminal.wait_for("with a pause of 600 s")
        terminal.interrupt()
        assert terminal.finish() == 130
    assert terminal.written.endswith("\r\x1b[KInterrupted.\r\n")
    assert "Traceback" not in terminal.written


def test_ctrl_c_before_the_command_is_loaded_is_130_and_one_line(tmp_path: Path) -> None:
    # A module that is loaded on the way, and takes as long as the test needs.
    (tmp_path / "click.py").write_text("import sys, time\nprint('loading', flush=True)\ntime.sleep(600)\n")
    with subprocess.Popen(
        [*REGISTRY, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_ours(tmp_path), text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")


def _ours(first: Path | None = None) -> dict[str, str]:
    """Return an environment in which the registry is found from anywhere, and modules in `first` before all others."""
    project = Path(__file__).parents[2]
    return {"PYTHONPATH": os.pathsep.join(str(each) for each in (first, project) if each)}
