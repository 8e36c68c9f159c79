"""How help is laid out: every summary is whole, every argument explained, examples come last."""

from __future__ import annotations

from typing import Final

import click

_WHOLE: Final = 10_000
_CONFIG: Final = (
    "CONFIG is the registry's configuration file. Without it the file is the one that REGISTRY_CONFIGURATION_PATH "
    "names, else /etc/distribution/config.yml, else /etc/docker/registry/config.yml."
)


json_option: Final = click.option("--json", "in_json", is_flag=True, help="Print JSON, for scripts.")


def examples(*lines: str) -> str:
    """Return an epilog that shows `lines` as one would type them."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Command(click.Command):
    """A command; if it has an argument CONFIG, its help says what that is."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what CONFIG is, then the epilog."""
        if any(isinstance(each, click.Argument) and each.name == "config" for each in self.params):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(_CONFIG)
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of such commands, whose list has the whole first sentence of each. click cuts off what is too long."""

    command_class = Command
    group_class: type[click.Group | type] | None = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line or more for each command."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(_WHOLE)) for name, each in found if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
