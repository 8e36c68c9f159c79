"""Every ``--help``, at 80 columns: nothing is cut off, nothing is too long, nothing is unexplained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from registry.cli import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 80
CUT_OFF = re.compile(r"\w\.\.\.$", re.MULTILINE)


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from walk(below, (*path, name))


ALL = dict(walk(commands))


def help_of(path: tuple[str, ...]) -> str:
    done = CliRunner(env={"COLUMNS": str(COLUMNS)}).invoke(commands, [*path, "--help"], prog_name="registry")
    assert done.exit_code == 0
    return done.stdout


def test_all_commands_are_walked() -> None:
    assert {(), ("serve",), ("config", "check"), ("auth", "key", "list"), ("storage", "copy")} <= ALL.keys()


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_reads_whole_at_80_columns(path: tuple[str, ...]) -> None:
    text = help_of(path)
    assert [line for line in text.splitlines() if len(line) > COLUMNS] == []
    _, _, body = text.partition("\n\n")  # the usage may end in ARGS...
    assert CUT_OFF.findall(body) == []
    command = ALL[path]
    if isinstance(command, click.Group):
        words = " ".join(text.split())
        for name, below in command.commands.items():
            first = (below.short_help or below.help or "").split("\n\n")[0].split(". ")[0]
            assert f"{name} {' '.join(first.split()).rstrip('.')}" in words


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_and_argument_is_explained(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    unexplained = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert unexplained == []
    _, _, body = help_of(path).partition("\n\n")
    with click.Context(command) as context:
        for each in command.params:
            if isinstance(each, click.Argument) and not isinstance(each.type, click.Choice):
                metavar = re.findall(r"[A-Z][\w.]*", each.make_metavar(context))[0]
                assert metavar in body


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_descriptions_begin_in_one_column(path: tuple[str, ...]) -> None:
    _, _, options = help_of(path).partition("\nOptions:\n")
    rows = re.findall(r"^  (?:-\S|--)\S*.*?  +(?=\S)", options.partition("\n\n")[0], re.MULTILINE)
    assert len({len(row) for row in rows}) == 1
