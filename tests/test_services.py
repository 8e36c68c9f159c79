"""Services are put together in one way, for the server and for every command."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.publishing import Operator
from registry.services import build_services, open_storage
from tests.config.forms import configure

if TYPE_CHECKING:
    from pathlib import Path

REWRITE = "middleware: {storage: [{name: rewrite, options: {scheme: https}}]}"
UNKNOWN = "middleware: {storage: [{name: nowhere}]}"


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A configuration whose storage cannot be opened, because of its middleware."""
    path = tmp_path / "config.yml"
    path.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}\n{UNKNOWN}\n")
    return str(path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "registry", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_storage_is_opened_behind_its_middleware() -> None:
    driver = InMemoryDriver()

    assert open_storage(configure(), driver) is driver
    assert open_storage(configure(REWRITE), driver) is not driver
    assert build_services(configure(REWRITE), driver=driver).driver is not driver


@pytest.mark.parametrize(
    ("maintenance", "touches"),
    [
        ("{}", False),
        ("{garbagecollection: {untagged: {enabled: true}}}", True),
        ("{retention: {enabled: true, dryrun: false, rules: [RULE]}}", True),
        ("{retention: {enabled: true, rules: [RULE]}}", False),
        ("{retention: {enabled: true, dryrun: false, rules: [{repositories: ['**']}]}}", False),
    ],
)
def test_a_push_looks_where_a_tag_points_only_if_manifests_are_collected_for_want_of_a_tag(
    maintenance: str, *, touches: bool
) -> None:
    text = maintenance.replace("RULE", "{repositories: ['**'], untagged: {keepfor: 1h}}")
    configuration = configure(f"storage: {{inmemory: {{}}, maintenance: {text}}}")

    assert build_services(configuration).publishing(Operator()).touches_untagged is touches


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "CONFIG"),
        ("garbage-collect", "CONFIG"),
        ("referrers", "rebuild", "CONFIG"),
        ("storage", "copy", "CONFIG", "CONFIG"),
        ("export", "app", "archive.tar", "--config", "CONFIG"),
        ("import", __file__, "--config", "CONFIG"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_opens_a_storage_opens_its_middleware_too(command: tuple[str, ...], broken: str) -> None:
    result = run(*(broken if word == "CONFIG" else word for word in command))

    assert result.returncode == 1
    assert "middleware.storage[0].name: unknown, must be one of cloudfront, redirect, rewrite" in result.stderr


def test_services_are_built_without_flask() -> None:
    script = (
        "import sys; from registry.services import build_services; from registry.config.loading import parse;"
        "build_services(parse('version: 0.1\\nstorage: inmemory\\n', 'config.yml', {}));"
        "print(sorted({'flask', 'werkzeug', 'gunicorn'} & sys.modules.keys()))"
    )

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert printed.stdout == "[]\n"
