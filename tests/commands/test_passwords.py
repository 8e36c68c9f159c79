from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (("htpasswd", "alice", "--file", "htpasswd"), "--password-stdin"),
        (("ls", "--url", "http://127.0.0.1:1", "--user", "alice"), "--password-stdin"),
        (("doctor", "http://127.0.0.1:1", "--user", "alice"), "--user USER:PASSWORD"),
    ],
)
def test_without_a_terminal_a_password_is_not_asked_for_and_one_line_says_how_to_give_it(
    tmp_path: Path, arguments: tuple[str, ...], instead: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "registry", *arguments],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # without the terminal of whoever runs the tests
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no terminal to ask for the password: give {instead}\n"
    assert list(tmp_path.iterdir()) == []
