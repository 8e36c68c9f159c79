"""``make run`` as a newcomer types it: in a checkout whose packages need no network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import CONTROL, on_terminal

PROJECT = Path(__file__).parents[2]
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = '''
"""Builds a distribution that has nothing but the command, which says how it was called (PEP 660)."""
import os, pathlib, time, zipfile

NAME = "made-0.dist-info"
FILES = {
    "made.py": "import os, sys\\ndef main(): print('serving', os.environ['REGISTRY_HTTP_ADDR'], *sys.argv[1:])\\n",
    f"{NAME}/METADATA": "Metadata-Version: 2.1\\nName: made\\nVersion: 0\\nProvides-Extra: test\\n",
    f"{NAME}/WHEEL": "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{NAME}/entry_points.txt": "[console_scripts]\\nregistry = made:main\\n",
}

def prepare_metadata_for_build_editable(directory, config_settings=None):
    (pathlib.Path(directory) / NAME).mkdir()
    (pathlib.Path(directory) / NAME / "METADATA").write_text(FILES[f"{NAME}/METADATA"])
    return NAME

def build_editable(directory, config_settings=None, metadata_directory=None):
    while os.environ.get("UNTIL") and not pathlib.Path(os.environ["UNTIL"]).exists():
        time.sleep(0.05)
    with zipfile.ZipFile(pathlib.Path(directory) / "made-0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{NAME}/RECORD", "")
    return "made-0-py3-none-any.whl"
'''
ENVIRON = {"PIP_NO_INDEX": "1", "HOME": "/nonexistent", "PATH": os.environ["PATH"]}
# The interpreter itself, not the environment of the tests: what is made must not depend on it.
PYTHON = f"PYTHON={Path(sys.executable).resolve()}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "a checkout"
    (directory / "deploy").mkdir(parents=True)
    shutil.copy(PROJECT / "Makefile", directory)
    shutil.copy(PROJECT / "deploy/environment.py", directory / "deploy")
    (directory / "deploy/address.py").touch()  # its answer needs the registry, which is not what is installed here
    (directory / "backend.py").write_text(BACKEND)
    (directory / "pyproject.toml").write_text(PYPROJECT)
    (directory / "setup.cfg").touch()
    return directory


def make(checkout: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={**ENVIRON, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def test_the_first_run_shows_on_a_terminal_that_it_goes_on_and_the_second_starts_at_once(checkout: Path) -> None:
    # What is shown is looked at now and then, so the build has to last until it was.
    seen = checkout / "seen"
    environ = {**ENVIRON, "UNTIL": str(seen)}
    with on_terminal(["make", "run", PYTHON, "ADDR=:5001"], environ=environ, directory=checkout) as terminal:
        terminal.wait_for("building editable for made")
        seen.touch()
        assert terminal.finish() == 0
    shown = [CONTROL.sub("", line) for line in terminal.written.split("\r")]
    assert any(line.startswith("Making .venv, ") for line in shown)
    assert any(re.fullmatch(r"Installing into \.venv, \d+ s: building editable for made", line) for line in shown)
    assert max(map(len, shown)) < 120
    assert "serving :5001 serve deploy/config-dev.yml" in terminal.written
    assert "docker push localhost:5001/alpine\r\n" in terminal.written
    assert "Look at it in a browser: http://localhost:5001/ui/\r\n" in terminal.written

    again = make(checkout, "run", PYTHON, "ADDR=127.0.0.1:5002")
    assert "nstall" not in again.stdout + again.stderr
    assert "podman push --tls-verify=false alpine 127.0.0.1:5002/alpine\n" in again.stdout
    assert "serving 127.0.0.1:5002 serve deploy/config-dev.yml\n" in again.stdout


def test_in_a_pipe_an_installation_is_two_lines(checkout: Path) -> None:
    done = make(checkout, ".venv/bin/.test", PYTHON)
    assert (done.returncode, done.stderr) == (0, "")
    # The second is for the extra of the tests.
    assert [line.partition(" .venv")[0] for line in done.stdout.splitlines()] == [
        "Installing into",
        "Installed into",
    ] * 2
    assert "\x1b" not in done.stdout


def test_an_installation_that_was_interrupted_is_begun_anew(checkout: Path) -> None:
    environ = {**ENVIRON, "UNTIL": "/nonexistent/file"}
    with on_terminal(["make", "run", PYTHON], environ=environ, directory=checkout) as terminal:
        terminal.wait_for("building editable")
        terminal.interrupt()
        assert terminal.finish() != 0
    assert "Interrupted: the next make begins the installation anew." in terminal.written
    assert "Traceback" not in terminal.written

    done = make(checkout, "run", PYTHON)
    assert done.stdout.startswith("Making .venv anew: an installation was interrupted.\n")
    assert "serving 127.0.0.1:5000" in done.stdout


def test_a_checkout_that_was_moved_does_not_run_what_is_elsewhere(checkout: Path) -> None:
    assert make(checkout, "run", PYTHON).returncode == 0
    moved = checkout.rename(checkout.with_name("moved"))
    done = make(moved, "run", PYTHON)
    assert done.stdout.startswith("Making .venv anew: the checkout has moved.\n")
    assert "serving 127.0.0.1:5000" in done.stdout


def test_an_environment_without_pip_is_made_anew(checkout: Path) -> None:
    subprocess.run([PYTHON.partition("=")[2], "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    done = make(checkout, "run", PYTHON)
    assert done.stdout.startswith("Making .venv anew: its Python has changed, or it was not completed.\n")
    assert "serving 127.0.0.1:5000" in done.stdout


def test_a_directory_that_is_not_an_environment_is_left_as_it_is(checkout: Path) -> None:
    (checkout / "precious").write_text("x")
    done = make(checkout, "run", PYTHON, "VENV=.")
    assert done.stderr.startswith(". is not a virtual environment: remove it, or name another with VENV=DIRECTORY\n")
    assert (checkout / "precious").read_text() == "x"


@pytest.mark.parametrize("python", ["/nonexistent/python3", "/bin/false"])
def test_a_python_that_is_missing_or_too_old_is_one_line_with_the_way_out(checkout: Path, python: str) -> None:
    done = make(checkout, "run", f"PYTHON={python}")
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{python} is missing or too old: Python 3.11 or later is needed; ")
    assert "try: make run PYTHON=python3.1" in first or "apt-get install python3" in first
    assert second.startswith("make: ")


@pytest.mark.parametrize(
    ("requirement", "environ", "said"),
    [
        ("absent-a", {}, "the package index lacks something (No matching distribution found for absent-a): "),
        (
            "absent-b",
            {"PIP_NO_INDEX": "", "PIP_INDEX_URL": "http://127.0.0.1:1/", "PIP_RETRIES": "1"},
            "the package index cannot be reached: ",
        ),
    ],
)
def test_an_index_that_cannot_be_had_is_one_line_with_the_way_out(
    checkout: Path, requirement: str, environ: dict[str, str], said: str
) -> None:
    metadata = f'"Metadata-Version: 2.1\\nRequires-Dist: {requirement}'
    (checkout / "backend.py").write_text(BACKEND.replace('"Metadata-Version: 2.1', metadata))
    done = make(checkout, "run", PYTHON, environ=environ)
    first, second, last = done.stderr.splitlines()
    assert first.startswith(said)
    assert "PIP_INDEX_URL" in first
    assert second == "All that pip said is in .venv/install.log."
    assert requirement in (checkout / ".venv/install.log").read_text()
    assert last.startswith("make: ")


def test_a_package_that_cannot_be_compiled_says_which_compiler_to_install(checkout: Path) -> None:
    compiling = 'import subprocess; subprocess.run(["/nonexistent/gcc"])\n    while os.environ.get("UNTIL")'
    (checkout / "backend.py").write_text(BACKEND.replace('while os.environ.get("UNTIL")', compiling))
    done = make(checkout, "run", PYTHON)
    assert done.stderr.startswith("made has no wheel for this platform and has to be compiled: install a C compiler (")
