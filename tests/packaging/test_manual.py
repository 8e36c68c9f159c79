from __future__ import annotations

import click

from registry.cli import commands
from tests.packaging.manual import PAGE, manual


def test_manual_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == manual(), "run make man"


def test_every_command_has_its_section_and_all_of_its_options() -> None:
    page = manual().replace("\\-", "-")
    for path, command in every_command(commands, click.Context(commands, info_name="registry")):
        (_, section) = page.split(f"\n.SS {path}", 1)
        section = section.partition("\n.S")[0]
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [name for each in options for name in each.opts if name not in section] == [], path


def every_command(group: click.Group, context: click.Context) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        if command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        found.append((inner.command_path, command))
        if isinstance(command, click.Group):
            found += every_command(command, inner)
    return found


def test_lines_that_roff_would_read_as_requests_are_text() -> None:
    @click.command(help="Reads\n\n.hidden and C:\\x\n\n\b\n'kept'\n  as it is")
    def example() -> None: ...

    commands.add_command(example)
    try:
        page = manual()
    finally:
        del commands.commands["example"]
    assert ".PP\n\\&.hidden and C:\\ex\n" in page
    assert ".nf\n\\&'kept'\n  as it is\n.fi\n" in page
