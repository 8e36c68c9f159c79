from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
import yaml
from click.testing import CliRunner

from registry import __version__
from registry.cli import commands
from registry.foundation.extras import DISTRIBUTION
from tests.commands.forked import run_forked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: /data}}
http: {secret: hunter2, flavour: red}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.yml"
    path.write_text(CONFIG)
    return str(path)


def registry(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run_forked(arguments, "", environ or {})


@pytest.mark.parametrize("argument", ["-v", "--version", "version"])
def test_the_version_is_told_in_the_form_of_the_go_registry(argument: str) -> None:
    done = registry(argument)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"registry {DISTRIBUTION} v{__version__}\n", "")


def test_without_a_command_the_usage_goes_to_stderr() -> None:
    done = registry()
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Usage: registry ")


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("serve", "--help"), ("config", "check", "-h")])
def test_help_goes_to_stdout(arguments: tuple[str, ...]) -> None:
    done = registry(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: registry ")


def each_command(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from each_command(command, *names, name)
        else:
            yield (*names, name)


@pytest.mark.parametrize("names", list(each_command(commands)), ids=" ".join)
def test_help_of_a_command_is_what_its_option_shows(names: tuple[str, ...]) -> None:
    run = CliRunner().invoke

    told = run(commands, ["help", *names], prog_name="registry")

    assert told.exit_code == 0
    assert told.stdout == run(commands, [*names, "--help"], prog_name="registry").stdout


@pytest.mark.parametrize("names", [("nope",), ("config", "nope"), ("serve", "nope")], ids=" ".join)
def test_help_of_what_is_no_command_is_an_error_that_names_it(names: tuple[str, ...]) -> None:
    done = registry("help", *names)

    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'nope'." in done.stderr


def test_no_error_of_the_configuration_shows_a_secret(config: str) -> None:
    for environ in (
        {"REGISTRY_HTTP_PREFIX": "https://u:hunter2@a.example/?k=hunter2"},
        {"REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_S3_SECRETKEY": "[hunter2]", "REGISTRY_STORAGE_S3_BUCKET": "b"},
        {"REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_S3_REGIONENDPOINT": "https://u:hunter2@a.example?k=hunter2"},
    ):
        done = registry("garbage-collect", config, environ=environ)
        assert done.returncode == 1
        assert "hunter2" not in done.stdout + done.stderr


def test_traceback_that_nobody_caught_has_no_secrets() -> None:
    code = (
        "import click, registry.cli as cli\n"
        "@cli.commands.command()\n"
        "def fail(): raise LookupError('GET https://u:hunter2@a.example/?X-Amz-Signature=hunter2 failed')\n"
        "import sys; sys.argv = ['registry', 'fail']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "LookupError: GET https://...@a.example/?X-Amz-Signature=... failed" in done.stderr
    assert "hunter2" not in done.stderr


def test_config_show_prints_what_is_in_force_and_warns_on_stderr(config: str) -> None:
    done = registry("config", "show", config, environ={"REGISTRY_HTTP_ADDR": ":5000"})
    assert done.returncode == 0
    assert "  addr: :5000\n" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr == f"warning: {config}:3: http.flavour: unknown key, ignored\n"


def test_config_show_of_what_it_printed_prints_the_same(config: str, tmp_path: Path) -> None:
    printed = registry("config", "show", config)
    (tmp_path / "printed.yml").write_text(printed.stdout)
    assert registry("config", "show", str(tmp_path / "printed.yml")).stdout == printed.stdout


def test_config_show_prints_json_that_says_the_same(config: str) -> None:
    printed = registry("config", "show", config)
    in_json = registry("config", "show", "--json", config)
    assert json.loads(in_json.stdout) == yaml.safe_load(printed.stdout)
    assert in_json.stderr == printed.stderr


def test_arguments_after_the_file_are_not_looked_at(config: str) -> None:
    assert registry("config", "show", config, "other").returncode == 0


def test_the_file_is_found_by_its_variable(config: str) -> None:
    done = registry("config", "show", environ={"REGISTRY_CONFIGURATION_PATH": config})
    assert done.returncode == 0
    assert "rootdirectory: /data" in done.stdout


@pytest.mark.parametrize("command", [("serve",), ("config", "check")])
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REGISTRY_HTTP_NET": "udp"}, 'http.net: must be one of tcp, unix, not "udp" (set by REGISTRY_HTTP_NET)'),
        ({"REGISTRY_AUTH": "[htpasswd]"}, "auth: must be a mapping, not a list (set by REGISTRY_AUTH)"),
        ({"REGISTRY_HTTP_SECRET": "[x"}, "REGISTRY_HTTP_SECRET: not YAML: "),
    ],
)
def test_a_wrong_configuration_is_one_line_and_exit_1(
    command: tuple[str, ...], environ: dict[str, str], expected: str, config: str
) -> None:
    done = registry(*command, config, environ=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"configuration error: {expected}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("serve",), ("config", "check")])
def test_a_file_that_is_not_there_is_one_line_and_exit_1(command: tuple[str, ...]) -> None:
    done = registry(*command, "/nowhere/config.yml")
    assert done.returncode == 1
    assert done.stderr == "configuration error: /nowhere/config.yml: cannot be read: No such file or directory\n"


def test_a_storage_that_cannot_be_used_is_said_in_one_line_and_exit_1(config: str) -> None:
    environ = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/proc/nowhere", "REGISTRY_HTTP_ADDR": "127.0.0.1:0"}
    done = registry("serve", config, environ=environ)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"configuration error: {config}:2: storage.filesystem: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_driver_is_one_line_and_exit_1(config: str) -> None:
    done = registry("serve", config, environ={"REGISTRY_STORAGE": "tape", "REGISTRY_HTTP_ADDR": "127.0.0.1:0"})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("configuration error: storage.tape: unknown")


def test_an_unknown_command_is_an_error() -> None:
    assert registry("destroy").returncode == 2


def test_no_command_is_loaded_before_it_is_asked_for() -> None:
    program = (
        "import sys, registry.cli as cli\n"
        "wanted = {'registry.commands.fsck', 'registry.commands.gc', 'registry.lifecycle.scan'}\n"
        "loaded = lambda: wanted & {*sys.modules}\n"
        "assert 'fsck' in cli.commands.commands and not loaded(), loaded()\n"
        "assert cli.commands.commands['fsck'].name == 'fsck'\n"
        "print(*loaded())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("registry.commands.fsck\n", "")


def test_each_command_is_called_as_it_is_listed() -> None:
    assert [command.name for command in commands.commands.values()] == list(commands.commands)
