"""Changes that commands make are in the journal, with who made them."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from drivers.filesystem.driver import FilesystemDriver
from registry import __version__
from registry.journal.reader import Reader
from registry.storage import paths
from tests.commands.stores import run

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = "notifications: {endpoints: [{name: ci, url: 'http://127.0.0.1:9/'}]}\n"
PERSON = pwd.getpwuid(os.getuid()).pw_name


def told(directory: Path) -> list[tuple[str, str, str, str, str]]:
    """Return what the journal has: what happened, to what, who did it and with what."""
    log = FilesystemDriver(str(directory / "root")).log(paths.JOURNAL)
    return [
        (each.action, each.kind, f"{each.repository}:{','.join(each.tags)}", each.origin.actor, each.origin.user_agent)
        for _, each in Reader(log, "ci", hold_seconds=lambda: 0.0).since(0)
        if each.consumers == ("ci",)
    ]


def test_who_removes_is_told_of_by_the_name_of_the_user_and_what_is_collected_by_that_of_the_registry(
    directory: Path,
) -> None:
    config = directory / "config.yml"
    config.write_text(config.read_text() + ENDPOINT)

    for command in (
        ["rm", "team/app:v1", "--config", str(config)],
        ["rm", "base", "--yes", "--config", str(config)],
        ["export", "team/web", str(directory / "web.tar"), "--config", str(config)],
        ["rm", "team/web:v1", "--all-tags", "--yes", "--config", str(config)],
        ["import", str(directory / "web.tar"), "--config", str(config)],
        ["rm", "team/web:v1", "--config", str(config)],
        ["garbage-collect", "--delete-untagged", "--grace=0s", str(config)],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr

    found = told(directory)
    removed = f"registry/{__version__} (rm)"
    assert found[:2] == [
        ("delete", "tag", "team/app:v1", PERSON, removed),
        ("delete", "repository", "base:", PERSON, removed),
    ]
    assert ("delete", "manifest", "team/web:v1", PERSON, removed) in found
    assert ("push", "manifest", "team/web:v1", PERSON, f"registry/{__version__} (import)") in found
    collected = f"registry/{__version__} (garbage-collect)"
    assert ("delete", "manifest", "team/web:", "registry", collected) in found
    assert {each[3:] for each in found} == {
        (PERSON, removed),
        (PERSON, f"registry/{__version__} (import)"),
        ("registry", collected),
    }


def test_without_an_endpoint_commands_leave_no_journal(directory: Path) -> None:
    assert run("rm", "team/app:v1", "--config", str(directory / "config.yml")).returncode == 0

    assert told(directory) == []
    assert not (directory / "root/registry").exists()
